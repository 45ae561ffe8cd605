"""Jobs as Slurm lists them: squeue's lines or slurmrestd's answer. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from fermata.adapters.slurm.hostlist import expand
from fermata.adapters.slurm.nodes import read_epoch, read_time
from fermata.domain.jobs import Job

# each field ends with a bar; no field that users write is asked for
FORMAT = "JobID:|,UserName:|,State:|,NodeList:|,EndTime:|,Requeue:|"
STATES = "RUNNING,SUSPENDED,COMPLETING,CONFIGURING,STOPPED,SIGNALING,STAGE_OUT"
_ON_NODES = frozenset(STATES.split(","))


def parse_lines(text: str) -> list[Job]:
    """The jobs of `squeue -h -O FORMAT`. Raises ValueError for other lines."""
    found = []
    for line in text.splitlines():
        if not line.strip():
            continue
        words = [word.strip() for word in line.split("|")]
        if len(words) != 7:
            raise ValueError(f"no line of a job: {line[:80]!r}")
        number, user, state, nodes, ends, requeues, _ = words
        found.append(
            Job(
                id=number,
                user=user,
                state=state,
                nodes=frozenset(expand(nodes)),
                ends_at=read_time(ends),
                requeues=requeues == "1",
            )
        )
    return found


def parse_json(jobs: Sequence[Mapping[str, Any]]) -> list[Job]:
    """The jobs of slurmrestd's answer that are on nodes. Raises ValueError for a list of nodes that is none."""
    found = []
    for job in jobs:
        state = job.get("job_state")
        states = [str(word).upper() for word in (state if isinstance(state, list) else [state]) if word]
        if _ON_NODES.isdisjoint(states) or not job.get("nodes"):
            continue
        found.append(
            Job(
                id=str(job.get("job_id")),
                user=str(job.get("user_name") or job.get("user_id") or ""),
                state=",".join(states),
                nodes=frozenset(expand(str(job["nodes"]))),
                ends_at=None if _is_endless(job) else read_epoch(job.get("end_time")),
                requeues=bool(job.get("requeue")),
            )
        )
    return found


def _is_endless(job: Mapping[str, Any]) -> bool:
    """A limit that is infinite: slurmrestd tells an end a year away for it."""
    limit = job.get("time_limit")
    return limit is None or (isinstance(limit, dict) and bool(limit.get("infinite")))
