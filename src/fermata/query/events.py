"""Windows as scheduled events, and work on units as applied updates: what each stands at, in the words of the wire.

Pure. An event ends where it ends for its node: a window goes on while a node is back already.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from fermata.domain.node_states import UnitState
from fermata.domain.scheduled_events import BACK, EventStatus, event_status
from fermata.query.facts import PlannedWindow, UnitWork


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
            run = planned.run
            unit = states.get((run.run, run.window, node)) if run is not None else None
            yield NodeEvent(number=number, node=node, status=event_status(run.state if run else None, unit))


def apply_status(work: UnitWork) -> ApplyStatus:
    """A unit on the tail list waits for a repair or a person: later is all that can be said."""
    state = UnitState(work.state)
    if state in BACK or state is UnitState.PROVEN:
        return ApplyStatus.COMPLETED
    if state is UnitState.LEFT_OUT:
        return ApplyStatus.CANCELLED
    if state is UnitState.FAILED or work.in_tail:
        return ApplyStatus.RETRY_LATER
    return ApplyStatus.PENDING if state is UnitState.PENDING else ApplyStatus.IN_PROGRESS
