"""Nodes that went back behind our back: how they are told from those that we hold, and what becomes of their rows.

Somebody scales a node in, or takes our lock off, while a window has it. Its row is marked at once; nothing with impact
begins on it, or on a device that it hangs on, before it is locked and drained again; and it is proven anew.
"""

from datetime import datetime

from fermata.domain.decide_begin import bump
from fermata.domain.decisions import Begin, Park, Repeat, Watch
from fermata.domain.fleet import NodeState
from fermata.domain.moving import moved
from fermata.domain.node_states import EMPTY, OUT, UnitEvent, UnitKind, UnitState
from fermata.domain.observations import Failed, NeverAsked, NodeSeen, Progress
from fermata.domain.operations import Asked, Gate, UnitOp
from fermata.domain.readmission import Evidence
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.scripts import DRAIN, LOCK, VERIFY, name_step

_HARMLESS = frozenset({UnitEvent.LOCK, UnitEvent.DRAIN})  # what may begin on a node with workloads
# repeated without a look: nothing of it touches a unit, and those who repair it are told however it is
HARMLESS_INTENTS = frozenset({UnitState.LOCKED, UnitState.DRAINING, UnitState.FAILED, UnitState.IN_REPAIR})


def judge_sighting(op: UnitOp, seen: NodeSeen, progress: Progress | None = None) -> Reason | None:
    """Why the node is out of our hands although its row says that we hold it; None when it is as it should be.

    `progress`: of what its row has under way, when it was asked. A node that is marked already is not marked twice.
    """
    if op.kind is not UnitKind.NODE or op.state not in OUT or op.astray_since is not None:
        return None
    if op.state is UnitState.LOCKED:
        return None  # whether the target has the lock is being asked
    if op.state is UnitState.PROVEN and op.asked is not Asked.NOTHING and not isinstance(progress, NeverAsked):
        return None  # we may have given it back ourselves
    fields = {"unit": op.unit, "window": op.window, "step": name_step(op.step) if op.step else op.state.value}
    if seen.state is NodeState.IN_SERVICE and _should_be_empty(op, progress):
        return reason(Code.NODE_ASTRAY, **fields)
    if seen.locked is False:
        return reason(Code.NODE_UNLOCKED, **fields)
    return None


def _should_be_empty(op: UnitOp, progress: Progress | None) -> bool:
    """True when no workload may be on it: it was drained, or its drain is said to have failed, which put it back."""
    if op.state is UnitState.DRAINING:
        return isinstance(progress, Failed)
    if op.state is UnitState.PROVEN and not op.was_drained:
        return False  # an abort gives it back before it was drained
    return op.state in EMPTY and not (op.state is UnitState.FAILED and op.step in (LOCK, DRAIN))


def mark_astray(op: UnitOp, why: Reason, now: datetime) -> UnitOp:
    """The row of a node that is out of our hands, with a higher version: on the list of what needs a person, without
    evidence, with fresh keys for lock, drain and check. What goes on on it goes on to its end.
    """
    is_idle = op.asked is Asked.NOTHING and op.state is not UnitState.FAILED
    return moved(
        op,
        astray_since=now,
        evidence=Evidence(changed_at=op.evidence.changed_at),
        retries=bump(op.retries, (LOCK, DRAIN, VERIFY)),
        tries_max=op.tries_max + 1,
        reason=why,
        tail_since=op.tail_since or now,
        next_at=now if is_idle else op.next_at,
        version=op.version + 1,
    )


def hold_unseen(op: UnitOp, decision: Begin | Repeat, unseen: tuple[str, ...], until: datetime) -> Park | Watch | None:
    """What to do instead of a step with impact, or of asking for it again, while nobody knows whether workloads are on
    `unseen`; None: it may go on, since it has no impact, or everybody was seen.
    """
    harmless = decision.event in _HARMLESS if isinstance(decision, Begin) else op.state in HARMLESS_INTENTS
    if harmless or not unseen:
        return None
    nodes = unseen[0] if len(unseen) == 1 else f"{unseen[0]} and {len(unseen) - 1:,} more"
    why = reason(Code.NODE_UNSEEN, unit=op.unit, nodes=nodes)
    if isinstance(decision, Repeat) or op.asked is not Asked.NOTHING:
        return Watch(until=until, reason=why)
    return Park(gate=Gate.PROOF, reason=why, position=decision.position, step=decision.step, until=until)
