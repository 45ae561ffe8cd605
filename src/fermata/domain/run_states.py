"""The machines of a run and of each of its windows: transition tables, and `advance_*`, the only way to move."""

from enum import StrEnum
from types import MappingProxyType


class Desired(StrEnum):
    """What an operator wants; the conductor moves towards it.

    pause: nothing new begins. stop: what is taken is finished, nothing new is taken. abort: what is taken goes back as
    soon as that can be proven, and nothing new is taken.
    """

    RUN = "run"
    PAUSE = "pause"
    STOP = "stop"
    ABORT = "abort"


class ReplanMode(StrEnum):
    """What the conductor does when reality differs from the plan: nothing, make a plan and ask, or publish it too."""

    OFF = "off"
    PROPOSE = "propose"
    AUTO = "auto"


class RunState(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FINISHED = "finished"


class WindowState(StrEnum):
    """Where a window stands. A closed window may still own nodes on the tail list."""

    PLANNED = "planned"
    WAITING = "waiting"
    OPEN = "open"
    CLOSED = "closed"
    MISSED = "missed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class IllegalRunMove(Exception):
    """The table has no such move: the caller's reasoning is wrong."""


_R = RunState
_W = WindowState

RUN_MOVES: MappingProxyType[RunState, frozenset[RunState]] = MappingProxyType(
    {
        _R.RUNNING: frozenset({_R.PAUSED, _R.STOPPING, _R.FINISHED}),
        _R.PAUSED: frozenset({_R.RUNNING, _R.STOPPING, _R.FINISHED}),
        _R.STOPPING: frozenset({_R.STOPPED}),
        _R.STOPPED: frozenset(),
        _R.FINISHED: frozenset(),
    }
)
WINDOW_MOVES: MappingProxyType[WindowState, frozenset[WindowState]] = MappingProxyType(
    {
        _W.PLANNED: frozenset({_W.WAITING, _W.OPEN, _W.MISSED, _W.SKIPPED, _W.CANCELLED}),
        _W.WAITING: frozenset({_W.OPEN, _W.MISSED, _W.SKIPPED, _W.CANCELLED}),
        _W.OPEN: frozenset({_W.CLOSED}),
        _W.CLOSED: frozenset(),
        _W.MISSED: frozenset(),
        _W.SKIPPED: frozenset(),
        _W.CANCELLED: frozenset(),
    }
)
NOT_OPENED_YET = frozenset({_W.PLANNED, _W.WAITING})
GONE = frozenset({_W.MISSED, _W.SKIPPED, _W.CANCELLED})  # it never opened and never will
LIVE_RUNS = frozenset({_R.RUNNING, _R.PAUSED, _R.STOPPING})


def advance_run(state: RunState, to: RunState) -> RunState:
    """`to`, when the table allows it. Raises IllegalRunMove."""
    if to not in RUN_MOVES[state]:
        raise IllegalRunMove(f"a {state} run cannot become {to}")
    return to


def advance_window(state: WindowState, to: WindowState) -> WindowState:
    """`to`, when the table allows it. Raises IllegalRunMove."""
    if to not in WINDOW_MOVES[state]:
        raise IllegalRunMove(f"a {state} window cannot become {to}")
    return to
