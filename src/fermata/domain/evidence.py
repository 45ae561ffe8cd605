"""Rows and evidence: what is written down of a node as its steps end, and what its return is judged by."""

from collections.abc import Mapping
from datetime import datetime

from fermata.domain.decisions import Begin, Resume
from fermata.domain.fleet import NodeState
from fermata.domain.ids import DeviceId, NodeId
from fermata.domain.moving import moved
from fermata.domain.node_states import FINAL, UnitKind, UnitState
from fermata.domain.observations import Failed, NodeSeen, Progress, Succeeded
from fermata.domain.operations import UnitOp
from fermata.domain.readmission import NO_EVIDENCE, Case, Evidence, Reading, Target
from fermata.domain.reasons import Reason
from fermata.domain.scripts import WindowScript, name_step

_OVER = FINAL | {UnitState.PROVEN}
_CHANGES = frozenset({UnitState.APPLYING, UnitState.REBOOTING, UnitState.RESETTING, UnitState.RECOVERING})
_IS_READ = frozenset({UnitState.VERIFYING, UnitState.PROVEN})  # what is read earlier proves nothing...
_IS_IDLE = frozenset({UnitState.LOCKED, UnitState.DRAINING, UnitState.DRAINED})  # ...but of what goes back by an abort
_IS_NOTED = _IS_READ | _IS_IDLE


def note_progress(op: UnitOp, progress: Progress | None, seen: NodeSeen | None, script: WindowScript) -> UnitOp:
    """The row with what was just seen of its node; same version, since it is saved with what is decided of it."""
    if op.kind is not UnitKind.NODE:
        return op
    found = op.evidence
    if isinstance(progress, Succeeded | Failed):
        if op.state in _CHANGES:
            found = Evidence(changed_at=progress.at)
        elif op.state is UnitState.VERIFYING:
            is_healthy = isinstance(progress, Succeeded)
            found = Evidence(
                changed_at=found.changed_at, checked_at=progress.at, healthy=is_healthy, reading=found.reading
            )
    if seen is not None and op.state in _IS_NOTED:
        changed_at = found.changed_at
        if seen.repaired_at is not None and (changed_at is None or changed_at < seen.repaired_at):
            changed_at = seen.repaired_at
        found = Evidence(
            changed_at=changed_at,
            checked_at=found.checked_at,
            healthy=found.healthy,
            reading=_read(seen, script.targets(NodeId(op.unit), op.undo)),
        )
    return op if found is op.evidence else moved(op, evidence=found)


def note_decision(decision: object, after: UnitOp, seen: NodeSeen | None, now: datetime) -> UnitOp:
    """The row as decided: with a step that changes the node, nothing seen before counts any more."""
    if after.kind is not UnitKind.NODE:
        return after
    match decision:
        case Begin() if after.state in _CHANGES and after.evidence != NO_EVIDENCE:
            return moved(after, evidence=NO_EVIDENCE)
        case Resume():
            repaired_at = seen.repaired_at if seen is not None else None
            return moved(after, evidence=Evidence(changed_at=repaired_at or now))
        case _:
            return after


def case_of(
    op: UnitOp,
    script: WindowScript,
    gaps: tuple[Reason, ...] | None,
    unproven: Mapping[DeviceId, UnitState],
    *,
    ends: bool = False,
) -> Case:
    """What the return of the node is judged by. `gaps`: what consent lacks, see `Case`; `unproven`: devices of the
    window that are not proven, of which one that may not be touched keeps nobody out. `ends`: it goes back early, with
    what is done.
    """
    own = script.nodes[NodeId(op.unit)]
    devices = {name: unproven[name] for name in own.devices if name in unproven}
    if ends:  # what can be written while nodes serve keeps none of them that goes back early
        devices = {name: state for name, state in devices.items() if script.devices[name].update.needs_drain}
    all_targets = script.targets(own.node, op.undo)
    targets = tuple(t for t in all_targets if script.bits[t.update] & op.active) if ends else all_targets
    left = {t.component for t in all_targets} - {t.component for t in targets}
    before = op.versions_before or {}
    return Case(
        node=own.node,
        targets=targets,
        evidence=op.evidence,
        gaps=gaps,
        devices={name: state for name, state in devices.items() if state is not UnitState.LEFT_OUT},
        under_way=_under_way(op),
        astray_since=op.astray_since,
        as_before={component: before.get(component, "") for component in left},
        is_untouched=ends and not op.begun and not op.retries and not _was_repaired(op),
        may_serve=ends and not op.was_drained,
    )


def _was_repaired(op: UnitOp) -> bool:
    """True when somebody changed the node while we hold it."""
    changed_at = op.evidence.changed_at
    return changed_at is not None and op.locked_at is not None and changed_at >= op.locked_at


def _under_way(op: UnitOp) -> str:
    """Only on a row that is proven, or over, nothing goes on."""
    if op.state in _OVER:
        return ""
    return name_step(op.step) if op.step else op.state.value


def _read(seen: NodeSeen, targets: tuple[Target, ...]) -> Reading:
    found = seen.versions
    return Reading(
        at=seen.observed_at,
        versions={target.component: found.get(target.component, "") for target in targets},
        reachable=seen.reachable,
        in_service=seen.state is NodeState.IN_SERVICE,
        locked=seen.locked,
    )
