"""Jobs that are on nodes now, and what a drain of the nodes would cost: read from targets, shown before a window."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

LONGEST_MAX = 20  # jobs of a drain that are named: more than a person goes through, few enough to be stored and shown
USERS_MAX = 50  # that are named, those with the most jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job with nodes. `state`: the scheduler's own word. `ends_at`: when its limit ends it, UTC; None: it has no
    limit. `requeues`: it may be put back into the queue, to begin again from its start.
    """

    id: str
    user: str
    state: str
    nodes: frozenset[str]
    ends_at: datetime | None
    requeues: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainCost:
    """What a drain of nodes that begins at `begins_at` would cost. `node_count`: nodes with a job on them now;
    `outside`: nodes of the same jobs that are not drained, and lose their job all the same if it is requeued.

    `lasting`: jobs whose limit ends later than the drain begins, so that it may have to wait for them; `endless` of
    them have no limit. `over_at`: when the last limit ends, UTC; None with endless jobs, or without jobs. `users`: how
    many jobs each has, most first, at most USERS_MAX. `longest`: the jobs that may last longest, at most LONGEST_MAX.
    """

    begins_at: datetime
    job_count: int
    node_count: int
    outside: int
    lasting: int
    endless: int
    over_at: datetime | None
    users: Mapping[str, int]
    longest: tuple[Job, ...]


def count_cost(jobs: Iterable[Job], nodes: Collection[str], begins_at: datetime) -> DrainCost:
    """What a drain of `nodes` from `begins_at` on would cost, of `jobs` that run now."""
    drained = frozenset(nodes)
    hit = {job.id: job for job in jobs if job.nodes & drained}.values()
    taken = frozenset[str]().union(*(job.nodes for job in hit))
    ends = [job.ends_at for job in hit if job.ends_at is not None]
    endless = len(hit) - len(ends)
    users = sorted(Counter(job.user for job in hit).items(), key=lambda item: (-item[1], item[0]))
    return DrainCost(
        begins_at=begins_at,
        job_count=len(hit),
        node_count=len(taken & drained),
        outside=len(taken - drained),
        lasting=endless + sum(end > begins_at for end in ends),
        endless=endless,
        over_at=max(ends) if ends and not endless else None,
        users=dict(users[:USERS_MAX]),
        longest=tuple(sorted(hit, key=_lasts_longest)[:LONGEST_MAX]),
    )


def _lasts_longest(job: Job) -> tuple[bool, float, str]:
    """Jobs without a limit first, then by the end of their limits, the last first."""
    return job.ends_at is not None, -job.ends_at.timestamp() if job.ends_at is not None else 0.0, job.id
