"""Windows as scheduled events, and work on units as applied updates: what each stands at, in the words of the wire.

Pure. An event ends where it ends for its node: a window goes on while a node is back already.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from fermata.domain.node_states import UnitState
from fermata.domain.plans import Window
from fermata.domain.run_states import NOT_OPENED_YET, WindowState
from fermata.query.facts import PlannedWindow, UnitWork

NEVER_RUNS = frozenset({WindowState.MISSED, WindowState.SKIPPED, WindowState.CANCELLED})
BACK = frozenset({UnitState.RETURNED, UnitState.KEPT_OUT})


class EventStatus(StrEnum):
    """Where an event stands, seen from outside the node."""

    SCHEDULED = "Scheduled"
    STARTED = "Started"
    COMPLETED = "Completed"
    CANCELED = "Canceled"


class ApplyStatus(StrEnum):
    """Where work on a unit stands."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    RETRY_LATER = "RetryLater"
    CANCELLED = "Cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEvent:
    """One node in one window, `number` of the list it was made from."""

    number: int
    node: str
    status: EventStatus


def list_events(windows: Iterable[PlannedWindow], work: Iterable[UnitWork]) -> Iterator[NodeEvent]:
    """Every node of every window, in their order."""
    states: dict[tuple[str, str, str], UnitState] = {
        (each.run, each.window, each.unit): UnitState(each.state) for each in work
    }
    for number, planned in enumerate(windows):
        for node in planned.window.nodes:
            yield NodeEvent(number=number, node=node, status=_event_status(planned, node, states))


def event_type(window: Window) -> str:
    """What the node goes through: it is rebooted, or merely emptied and held."""
    return "Reboot" if window.reboots_per_node else "Freeze"


def apply_status(work: UnitWork) -> ApplyStatus:
    """A unit on the tail list waits for a repair or a person: later is all that can be said."""
    state = UnitState(work.state)
    if state in BACK or state is UnitState.PROVEN:
        return ApplyStatus.COMPLETED
    if state is UnitState.LEFT_OUT:
        return ApplyStatus.CANCELLED
    if state is UnitState.STOPPED or work.in_tail:
        return ApplyStatus.RETRY_LATER
    return ApplyStatus.PENDING if state is UnitState.PENDING else ApplyStatus.IN_PROGRESS


def _event_status(planned: PlannedWindow, node: str, states: Mapping[tuple[str, str, str], UnitState]) -> EventStatus:
    run = planned.run
    if run is None or run.state in NOT_OPENED_YET:
        return EventStatus.SCHEDULED
    if run.state in NEVER_RUNS:
        return EventStatus.CANCELED
    state = states.get((run.run, run.window, node))
    if state is None or state is UnitState.LEFT_OUT:
        return EventStatus.CANCELED  # the window opened without it
    if state in BACK:
        return EventStatus.COMPLETED
    return EventStatus.SCHEDULED if state is UnitState.PENDING else EventStatus.STARTED
