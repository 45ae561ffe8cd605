"""Jobs of the simulated fleet: a node has one in most stretches of eight hours, drawn from the seed, unless it is kept
free of it. They are told and kept off; how long a drain takes is drawn by itself, as it always was.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fermata.domain.ahead import Ahead, Kept
from fermata.domain.ids import NodeId, RunId, WindowId
from fermata.domain.jobs import Job
from fermata.domain.observations import Accepted
from fermata.ports import CALL_SIZE_MAX, Clock
from fermata.sim.machines import Machine
from fermata.sim.world import World

STRETCH = timedelta(hours=8)
LEAD = timedelta(days=7)  # before a window, as most Slurms are set
BUSY_SHARE = 0.8
USERS = ("ada", "blaise", "chandra", "dirac")
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A job that a node has unless something keeps it off. `limit`: when it would be ended."""

    user: str
    begins_at: datetime
    ends_at: datetime
    limit: datetime


def draw_job(world: World, node: str, number: int, start: datetime) -> Planned | None:
    """The job that a node has in its stretch `number`, which begins at `start`, by the dice alone."""
    name = f"{node} {number}"
    if world.draw(name, "job") >= BUSY_SHARE:
        return None
    begins = (start + STRETCH * 0.1 * world.draw(name, "job begins")).replace(microsecond=0)
    ends = (begins + (start + STRETCH - begins) * (1 + world.draw(name, "job lasts")) / 2).replace(microsecond=0)
    user = USERS[int(world.draw(name, "job of") * len(USERS))]
    return Planned(user=user, begins_at=begins, ends_at=ends, limit=(start + STRETCH).replace(microsecond=0))


class SimJobs:
    """Jobs."""

    def __init__(self, world: World, clock: Clock, turns: AbstractContextManager[None]) -> None:
        self._world, self._clock, self._turns = world, clock, turns
        self._shifts: dict[str, timedelta] = {}
        self._drawn: dict[str, tuple[int, Planned | None]] = {}

    def list_jobs(self, nodes: Sequence[NodeId]) -> Sequence[Job]:
        """See the port."""
        if len(nodes) > CALL_SIZE_MAX:
            raise ValueError(f"{len(nodes)} items in a call, at most {CALL_SIZE_MAX} are allowed")
        with self._turns:
            now = self._clock.now()
            return list(self._running(nodes, now))

    def keep_ahead(self, run: RunId, wanted: Sequence[Ahead]) -> Kept:
        """See the port."""
        with self._turns:
            now = self._clock.now()
            near = [ahead for ahead in wanted if ahead.starts_at - now <= LEAD]
            self._world.keep_free(run, near, now)
            return Kept(answers={WindowId(ahead.window): Accepted() for ahead in near})

    def _running(self, nodes: Iterable[NodeId], now: datetime) -> Iterator[Job]:
        for name in nodes:
            machine = self._world.nodes.get(name)
            job = self._draw(name, now) if machine is not None else None
            if machine is not None and job is not None and self._is_on(machine, job, now):
                yield Job(
                    id=f"{name}-{int(job.begins_at.timestamp())}",
                    user=job.user,
                    state="RUNNING",
                    nodes=frozenset({name}),
                    ends_at=job.limit,
                    requeues=True,
                )

    def _draw(self, node: str, now: datetime) -> Planned | None:
        """The job that is on a node at `now` if nothing kept it off. The last that was drawn of each is remembered."""
        if node not in self._shifts:
            self._shifts[node] = STRETCH * self._world.draw(node, "jobs from")
        shift = self._shifts[node]
        number = (now - _EPOCH + shift) // STRETCH
        known = self._drawn.get(node)
        if known is None or known[0] != number:
            known = number, draw_job(self._world, node, number, _EPOCH + number * STRETCH - shift)
            self._drawn[node] = known
        job = known[1]
        return job if job is not None and job.begins_at <= now < job.ends_at else None

    def _is_on(self, machine: Machine, job: Planned, now: datetime) -> bool:
        """Nothing kept it off when it began: nobody had taken the node, or kept it free of jobs so long."""
        machine.settle(now)
        drain = machine.current if machine.current is not None and machine.current.op == "drain" else None
        if not machine.in_service and (drain is None or job.begins_at > drain.at):
            return False
        if machine.gone_since is not None or (machine.drained and drain is None):
            return False
        return not any(
            free.stood_at(job.begins_at) and free.keeps_off(job.begins_at, job.limit)
            for free in self._world.kept_free.get(machine.name, ())
        )
