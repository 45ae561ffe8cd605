"""Nodes that are kept free of jobs which would run into a window, so that none has to be killed: which, from when, and
how. Only nodes that customers let go; given up as soon as they are locked, or their window will not come.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from fermata.domain.ids import NodeId, RunId, WindowId
from fermata.domain.jobs import DrainCost
from fermata.domain.observations import Accepted, Answer
from fermata.domain.operations import WindowRun
from fermata.domain.reasons import Reason
from fermata.domain.run_states import NOT_OPENED_YET, WindowState

CONSIDERED = timedelta(days=14)  # before a window: no job limit that sites set is longer, and plans change until then
FLOATS_LEAST = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """Nodes that are to be empty for a window, `[starts_at, ends_at)`, UTC: no job begins there that could run into it.
    `floats`: nobody knows when the window opens; instead, no job that could last longer than this begins there, from
    now on and for as long as it stands.
    """

    window: WindowId
    nodes: frozenset[NodeId]
    starts_at: datetime
    ends_at: datetime
    floats: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a target did of all that a run wants. `answers`: by window; one that is too far off for the target to keep
    jobs off already is absent. `left`: what stands though it is not wanted any more, by the target's name of it.
    """

    answers: Mapping[WindowId, Answer] = field(default_factory=dict)
    left: Mapping[str, Answer] = field(default_factory=dict)


class Keeping(StrEnum):
    """How jobs are kept off: not, those that would run into the start, or those that are longer than a drain."""

    NONE = "none"
    UNTIL_START = "until_start"
    FLOATING = "floating"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsAhead:
    """What stands between a window and empty nodes, as it was looked at `at`. `nodes`: that it is to take.

    `keeping`: how jobs are kept off `kept` of them; `floats`: see Ahead. `why`: what keeps it from more. `cost`: of a
    drain, as of `cost_at`; None: the target did not say, or it was not asked yet.
    """

    run: RunId
    window: WindowId
    at: datetime
    nodes: int
    keeping: Keeping = Keeping.NONE
    kept: int = 0
    floats: timedelta | None = None
    why: Reason | None = None
    cost: DrainCost | None = None
    cost_at: datetime | None = None


def plan_ahead(row: WindowRun, nodes: Collection[NodeId], drain: timedelta, now: datetime) -> Ahead | None:
    """What is to be kept free for a window now. `nodes`: of a window to come, those that may go; of an open one, those
    that are not locked yet. `drain`: how long its plan gives jobs to leave. None: nothing.

    Up to its planned start, jobs that would run into it are kept off. One that waits beyond it opens at a time that
    nobody knows: nodes that stood idle until then would be lost, so that jobs no longer than its drain may begin.
    """
    is_near = row.planned_start - now <= CONSIDERED
    if not nodes or not is_near or not (row.state in NOT_OPENED_YET or row.state is WindowState.OPEN):
        return None
    return Ahead(
        window=row.window,
        nodes=frozenset(nodes),
        starts_at=row.planned_start,
        ends_at=max(row.back_by, row.planned_end),
        floats=None if row.planned_start > now else max(drain, FLOATS_LEAST),
    )


def read_kept(wanted: Ahead | None, answer: Answer | None) -> tuple[Keeping, int]:
    """How jobs are kept off how many nodes, by what the target answered. None: it was not asked, or keeps off nobody
    so early.
    """
    if wanted is None or not isinstance(answer, Accepted):
        return Keeping.NONE, 0
    return (Keeping.UNTIL_START if wanted.floats is None else Keeping.FLOATING), len(wanted.nodes)
