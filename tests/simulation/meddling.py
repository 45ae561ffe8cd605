"""Somebody scales a node in behind the conductor's back, at the instant that a test chooses, while the loop runs on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from tests.simulation import stagehand

from fermata.domain.node_states import UnitState
from fermata.domain.operations import Asked, UnitOp
from fermata.ports import Notice
from fermata.sim.clock import VirtualClock
from fermata.store import journal
from fermata.store.journal import Entry

Wanted = Callable[[UnitOp], bool]


class MeddlingClock(VirtualClock):
    """Before each wait: when the row of a node is as `wanted`, `act` is done once, at that very instant."""

    def __init__(self, rig: stagehand.Rig, wanted: Wanted, act: Callable[[UnitOp, datetime], None]) -> None:
        super().__init__(rig.clock.now(), None)
        self._rig = rig
        self._wanted = wanted
        self._act = act
        self.done: UnitOp | None = None
        self.at: datetime | None = None

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        if self.done is None:
            found = next((op for op in self._rig.ops() if self._wanted(op)), None)
            if found is not None:
                self.done, self.at = found, self.now()
                self._act(found, self.at)
        return super().wait_until(instant, stop)


@dataclass(kw_only=True)
class Loud:
    """The notifier, and what it was told."""

    inner: object
    told: list[Notice] = field(default_factory=list)

    def notify(self, notices: list[Notice]) -> object:
        self.told += notices
        return self.inner.notify(notices)  # type: ignore[attr-defined]


def in_state(state: UnitState, *, before: bool = True) -> Wanted:
    """A node of that state that was in service before, or was not, with its step under way if it has one."""

    def wanted(op: UnitOp) -> bool:
        return (
            op.kind.value == "node"
            and op.state is state
            and op.in_service_before is before
            and (op.asked is not Asked.INTENDED or state is UnitState.PROVEN)
        )

    return wanted


def entries(rig: stagehand.Rig, event: str) -> list[Entry]:
    with rig.database.read() as conn:
        return [line for line in journal.read(conn, limit=10_000) if line.event == event]


def impact_after(rig: stagehand.Rig, unit: str, at: datetime) -> list[tuple[str, datetime]]:
    """What was begun on a node from `at` on, in order."""
    found = [step for step in rig.world.steps.values() if step.unit == unit and step.at > at]
    return [(step.op, step.at) for step in sorted(found, key=lambda step: step.at)]
