"""What a batch of decisions leaves behind: journal lines, versions to record, and whom to wake."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fermata.domain.decide import Seen
from fermata.domain.decisions import (
    Begin,
    Decision,
    EndStep,
    GiveUp,
    HandOver,
    Leave,
    Park,
    Postpone,
    Prove,
    Resume,
    Settlement,
    Watch,
)
from fermata.domain.node_states import UnitEvent, UnitKind, UnitState
from fermata.domain.observations import Succeeded
from fermata.domain.operations import UnitOp
from fermata.store.journal import Entry

ACTOR = "conductor"
MEASURED = "node.measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One decision as it was carried out."""

    before: UnitOp
    decision: Decision | Settlement
    after: UnitOp
    seen: Seen


def journal_lines(marks: Iterable[Mark], now: datetime) -> list[Entry]:
    """What an auditor needs: who began what (one line per window and step), how each step ended, who came back."""
    begun: dict[tuple[str, str, int], list[str]] = {}
    lines: list[Entry] = []
    for mark in marks:
        if isinstance(mark.decision, Begin):
            key = (mark.before.window, mark.decision.step, mark.decision.attempt)
            begun.setdefault(key, []).append(mark.before.unit)
        told = _tell(mark.decision)
        listed_before = isinstance(mark.decision, Watch | Park) and mark.before.tail_since is not None
        if told is not None and not listed_before:
            lines.append(_line(now, told[0], mark.before, told[1]))
        lines += _measured(now, mark)
    return [*(_beginning(now, *key, units) for key, units in begun.items()), *lines]


def _measured(now: datetime, mark: Mark) -> list[Entry]:
    """What the health check of a node that is proven with it measured: what is usual of its SKU is learned from it."""
    progress = mark.seen.progress
    if mark.before.state is not UnitState.VERIFYING or mark.after.state is not UnitState.PROVEN:
        return []
    if not isinstance(progress, Succeeded) or progress.measured is None or not progress.measured.figures:
        return []
    data = {"window": mark.before.window, "figures": dict(progress.measured.figures)}
    why = progress.measured.sentence
    return [Entry(at=now, actor=ACTOR, event=MEASURED, subject=f"node:{mark.before.unit}", why=why, data=data)]


def _tell(decision: Decision | Settlement) -> tuple[str, str] | None:
    """Event and why, for what is worth a line of its own."""
    match decision:
        case Begin(why=why):
            return ("step.failed", why) if why else None
        case EndStep(why=why):
            return ("step.failed" if why else "step.ended", why)
        case Prove(reason=reason):
            return "unit.proven", str(reason or "")
        case GiveUp(reason=reason) | HandOver(reason=reason):
            return ("unit.failed" if isinstance(decision, GiveUp) else "unit.handed_over"), str(reason)
        case Resume():
            return "unit.resumed", "repaired"
        case Leave(event=event, reason=reason):
            return _LEAVINGS[event], str(reason or "")
        case _:
            return _tell_waiting(decision)


def _tell_waiting(decision: Decision | Settlement) -> tuple[str, str] | None:
    match decision:
        case Postpone(unmade=why) if why:
            return "step.not_called", why
        case Watch(listed=True, reason=reason) | Park(listed=True, reason=reason):
            return "unit.tail", str(reason or "")
        case _:
            return None


def _beginning(now: datetime, window: str, step: str, attempt: int, units: list[str]) -> Entry:
    data = {"step": step, "attempt": attempt, "units": sorted(units)}
    return Entry(at=now, actor=ACTOR, event="step.begun", subject=f"window:{window}", why="", data=data)


_LEAVINGS = {
    UnitEvent.GIVE_BACK: "node.returned",
    UnitEvent.KEEP_OUT: "node.kept_out",
    UnitEvent.LEAVE_OUT: "node.left_out",
    UnitEvent.LEAVE_FLEET: "node.gone",
}


def _line(now: datetime, event: str, op: UnitOp, why: str) -> Entry:
    data: dict[str, object] = {"window": op.window, "step": op.step, "attempt": op.attempt}
    if op.step_started_at is not None:
        data["minutes"] = round((now - op.step_started_at) / timedelta(minutes=1))
    kind = "device" if op.kind is UnitKind.DEVICE else "node"
    if kind == "device" and event == _LEAVINGS[UnitEvent.LEAVE_OUT]:
        event = "device.left_out"  # customers are told of nodes
    return Entry(at=now, actor=ACTOR, event=event, subject=f"{kind}:{op.unit}", why=why, data=data)
