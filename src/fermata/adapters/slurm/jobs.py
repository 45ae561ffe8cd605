"""Jobs that are on nodes now, and what a drain would cost. The parsing is pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fermata.adapters.slurm.hostlist import expand
from fermata.adapters.slurm.nodes import read_epoch, read_time

# each field ends with a bar; no field that users write is asked for
FORMAT = "JobID:|,UserName:|,State:|,NodeList:|,EndTime:|,Requeue:|"
STATES = "RUNNING,SUSPENDED,COMPLETING,CONFIGURING,STOPPED,SIGNALING,STAGE_OUT"
_ON_NODES = frozenset(STATES.split(","))


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job with nodes. `ends_at`: when its limit ends it, UTC; None: it has no limit. `requeues`: it may be put
    back into the queue, to begin again from its start.
    """

    id: str
    user: str
    state: str
    nodes: frozenset[str]
    ends_at: datetime | None
    requeues: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainCost:
    """What a drain of nodes would cost. `users`: how many jobs each has there. `node_count`: nodes with a job on them;
    `outside`: nodes of the same jobs that are not drained, and lose their job all the same if it is requeued.
    `over_at`: when the last limit ends, UTC; None with `endless` jobs, which have no limit, or without jobs.
    """

    jobs: tuple[Job, ...]
    users: Mapping[str, int]
    node_count: int
    outside: int
    endless: int
    over_at: datetime | None


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


def count_cost(jobs: Iterable[Job], nodes: Collection[str]) -> DrainCost:
    """What a drain of `nodes` would cost, of all `jobs` that run."""
    drained = frozenset(nodes)
    hit = tuple(sorted((job for job in jobs if job.nodes & drained), key=lambda job: (job.user, job.id)))
    taken = frozenset[str]().union(*(job.nodes for job in hit))
    ends = [job.ends_at for job in hit if job.ends_at is not None]
    endless = len(hit) - len(ends)
    return DrainCost(
        jobs=hit,
        users=dict(sorted(Counter(job.user for job in hit).items())),
        node_count=len(taken & drained),
        outside=len(taken - drained),
        endless=endless,
        over_at=max(ends) if ends and not endless else None,
    )


def _is_endless(job: Mapping[str, Any]) -> bool:
    """A limit that is infinite: slurmrestd tells an end a year away for it."""
    limit = job.get("time_limit")
    return limit is None or (isinstance(limit, dict) and bool(limit.get("infinite")))
