"""Freezes that come after a window took a node and before anybody accepted its lock: a part of `decide`.

A freeze beats approvals until work on a node starts, which it does with its lock. Whoever is locked goes on: a node
that is half updated helps nobody. Consent needs no such look: nobody can withdraw it once the node is taken.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from fermata.domain.closures import say_frozen
from fermata.domain.decide_begin import Facts
from fermata.domain.decisions import Leave, Watch
from fermata.domain.fleet import Cluster, Node
from fermata.domain.ids import NodeId
from fermata.domain.node_states import OUT, UnitEvent, UnitKind, UnitState
from fermata.domain.observations import Failed, NeverAsked, Progress, Succeeded
from fermata.domain.operations import Asked, UnitOp
from fermata.domain.policy import Freeze, OrderedAs, Policy
from fermata.domain.reasons import Code, reason
from fermata.domain.scripts import WindowScript
from fermata.domain.updates import Update

FREEZE_LOOK = timedelta(minutes=30)  # it may be ended early, or something made exempt from it
UNKNOWN_LOOK = timedelta(minutes=5)
_OVER = (None, UnitState.LEFT_OUT)  # of a device: proven, or not to be written in this window


def awaits_lock(op: UnitOp) -> bool:
    """True of a node that was taken and whose lock nobody has accepted yet. One that is locked anew, since it was out
    of our hands, is in work.
    """
    if op.kind is not UnitKind.NODE or op.astray_since is not None:
        return False
    return op.state is UnitState.PENDING or (op.state is UnitState.LOCKED and op.asked is not Asked.NOTHING)


def may_be_frozen(freeze: Freeze, now: datetime, until: datetime) -> bool:
    """True when the freeze meets `now`, or a part of what is to come before `until`."""
    return freeze.end > now and (freeze.start <= now or freeze.start < until)


def find_freeze(
    policy: Policy,
    freezes: Iterable[Freeze],
    node: Node,
    cluster: Cluster,
    work: Iterable[Update],
    orders: Iterable[OrderedAs] = (),
) -> Freeze | None:
    """The first of `freezes` that covers the node, and out of which its updates and work orders do not let it."""
    found = tuple(work), tuple(orders)
    return next((f for f in freezes if f.scope.covers(node, cluster) and not policy.lets_out(f, *found)), None)


def work_left(op: UnitOp, script: WindowScript) -> tuple[Update, ...]:
    """What a node is to be taken out for, which an exemption has to name: its own updates that it does not run, and
    those of the devices that need it empty.
    """
    own = script.nodes[NodeId(op.unit)]
    on_node = [update for update in script.updates if script.bits[update.id] & own.due & ~op.active]
    on_devices = [script.devices[name].update for name in own.devices if script.devices[name].update.needs_drain]
    return (*on_node, *on_devices)


def keep_unlocked(op: UnitOp, progress: Progress | None, facts: Facts) -> Leave | Watch | None:
    """What becomes of a node that a freeze met before its lock; None: no freeze did, or it is locked, or is to go back
    anyway. It is left out as soon as its target says that it never heard of the lock, and so are those that are not
    locked either and go together with it, behind a shared device. `progress`: of the lock.

    It waits for the end of the freeze while nobody knows whether it is locked, and where leaving it out would tear
    apart what goes together and has begun: nodes behind a device, nodes of a work order, or a roll-back and its node.
    Then it is listed for people: others are out until the freeze ends.
    """
    if not facts.frozen or not awaits_lock(op) or _is_let_go(op, facts):
        return None
    if op.state is UnitState.LOCKED and isinstance(progress, Succeeded):
        return None
    mates = _mates(op, facts)
    begun = next((name for name in mates if _is_in_work(facts.standing(name))), None)
    own = facts.frozen.get(NodeId(op.unit))
    other = next((name for name in mates if name in facts.frozen), None) if begun is None else None
    freeze = own or (facts.frozen[other] if other is not None else None)
    if freeze is None:
        return None
    if op.state is UnitState.LOCKED and not isinstance(progress, NeverAsked | Failed):
        unknown = "nobody knows whether its lock was accepted: its workload manager says nothing of it"
        return _wait(op, freeze, unknown, facts.now + UNKNOWN_LOOK)
    because = _why_together(op, begun, facts)
    if because is not None:
        return replace(_wait(op, freeze, because, min(freeze.end, facts.now + FREEZE_LOOK)), listed=True)
    words = say_frozen(freeze).sentence
    if own is None:
        words = f"All behind a shared device go together, and {other} is one of them. {words}"
    why = reason(Code.FROZEN_BEFORE_LOCK, unit=op.unit, window=op.window, freeze=words)
    return Leave(event=UnitEvent.LEAVE_OUT, reason=why)


def _mates(op: UnitOp, facts: Facts) -> tuple[NodeId, ...]:
    """The other nodes behind the devices of `op` that need all of them empty and are still to be written."""
    devices = (facts.script.devices[name] for name in facts.script.nodes[NodeId(op.unit)].devices)
    to_come = [d for d in devices if d.update.needs_drain and facts.unproven.get(d.device) not in _OVER]
    return tuple(dict.fromkeys(name for device in to_come for name in device.behind if name != op.unit))


def _is_in_work(op: UnitOp | None) -> bool:
    return op is not None and op.state in OUT and not awaits_lock(op)


def _why_together(op: UnitOp, begun: NodeId | None, facts: Facts) -> str | None:
    """Why the node cannot be left out alone; None when it can."""
    if op.taken_again_at is not None:
        return "it is taken out again after that, to be rolled back"
    if begun is not None:
        return f"{begun} is in work, and both stand behind a device that needs all of its nodes empty"
    handed = facts.handed.get(op.unit)
    if handed is None or handed.ended or sum(each.order == handed.order for each in facts.handed.values()) < 2:
        return None
    return f"all nodes of work order {handed.order} go together"


def _is_let_go(op: UnitOp, facts: Facts) -> bool:
    """True when operators end its work before it begins."""
    if op.state is UnitState.PENDING:
        return facts.wanted(op).end is not None
    return facts.wanted(op).abort is not None and op.taken_again_at is None


def _wait(op: UnitOp, freeze: Freeze, because: str, until: datetime) -> Watch:
    why = reason(Code.WAITS_FOR_FREEZE, unit=op.unit, freeze=say_frozen(freeze).sentence, because=because)
    return Watch(until=until, reason=why, held=True)
