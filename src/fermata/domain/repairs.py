"""Repairs and other work of people in the node machine: what becomes of an order by where its node stands, whether it
may begin, and what a mended node still needs. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from fermata.domain.ids import DeviceId, NodeId, OrderId, UpdateId
from fermata.domain.node_states import DEVICE_AT_WORK, EMPTY, UnitKind, UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.plans import NodeApplyStep
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.request_kinds import RequestKind
from fermata.domain.scripts import NodeScript, WindowScript

REPAIR = "repair"  # the step of a unit that is with people
FOLDED = frozenset({RequestKind.REPAIR, RequestKind.HARDWARE})  # done inside a window: the node stays where it is
LEAVING = frozenset({RequestKind.DECOMMISSION, RequestKind.MOVE})  # the node leaves its place, and so its window
NEAR = timedelta(hours=48)  # a window this near takes the repair in: one outage instead of two


class Fold(StrEnum):
    """What becomes of an order that may begin, on a node of an open window.

    - `join`: the node goes to the people as soon as it is empty and idle, and comes back to its window afterwards.
    - `leave`: nothing more is done to it for its window: it goes to the people and leaves the fleet with its order.
    - `wait`: it is with other people, or on its way back: the order begins when its window is done with it.
    - `own`: its window is done with it: the order gets a window of its own.
    """

    JOIN = "join"
    LEAVE = "leave"
    WAIT = "wait"
    OWN = "own"


_S = UnitState
_DONE = (_S.RETURNED, _S.KEPT_OUT, _S.LEFT_OUT, _S.GONE)
_ON_THE_WAY_BACK = (_S.VERIFYING, _S.PROVEN, _S.IN_REPAIR)


def _fold(kind: RequestKind, state: UnitState) -> Fold:
    if state in _DONE:
        return Fold.OWN
    if kind in LEAVING:
        return Fold.LEAVE if state is _S.FAILED else Fold.WAIT
    return Fold.WAIT if state in _ON_THE_WAY_BACK else Fold.JOIN


FOLDS: Mapping[tuple[RequestKind, UnitState], Fold] = MappingProxyType(
    {(kind, state): _fold(kind, state) for kind in (*sorted(FOLDED), *sorted(LEAVING)) for state in UnitState}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """A unit's part in an order that its window has taken in. `number`: which of the unit's stays with people in this
    window that is; `ended`: the order is over, by its own people's word.
    """

    order: OrderId
    kind: RequestKind
    number: int
    ended: bool = False


def fold_all(kind: RequestKind, states: Iterable[UnitState | None]) -> Fold:
    """What becomes of an order by the states of all of its units in open windows, None: in none. It begins only when
    all of them may go, so the one that is furthest from it decides.
    """
    found = [Fold.OWN if state is None else FOLDS[kind, state] for state in states]
    if not found or all(fold is Fold.OWN for fold in found):
        return Fold.OWN
    if all(fold in (Fold.JOIN, Fold.LEAVE) for fold in found):
        return found[0]
    return Fold.WAIT


def is_written(op: UnitOp) -> bool:
    """True of a node on which something is written that only a reboot to come makes active."""
    return op.kind is UnitKind.NODE and bool(op.applied & ~op.active & ~op.undo)


def why_kept(op: UnitOp, order: OrderId, script: WindowScript, unproven: Mapping[DeviceId, UnitState]) -> Reason | None:
    """Why an empty node that an order waits for is at no safe point, or None: people neither work on it while something
    is being changed on what it hangs on, for which it was emptied, nor start firmware with their first power cycle.
    """
    if op.kind is not UnitKind.NODE or op.state not in EMPTY:
        return None
    for device in script.nodes[NodeId(op.unit)].devices:
        if unproven.get(device) in DEVICE_AT_WORK and script.devices[device].update.needs_drain:
            return reason(Code.ORDER_AFTER_DEVICE, unit=op.unit, order=order, device=device)
    return reason(Code.ORDER_AFTER_REBOOT, unit=op.unit, order=order) if is_written(op) else None


def due_beyond(script: WindowScript, name: NodeId, due: Iterable[UpdateId]) -> int:
    """Of the updates `due` on a mended node, those that its window brings but that it was not due for before, as bits:
    a new part may come with older firmware than the old one had. What the window does not bring waits for a plan.
    """
    own = script.nodes[name]
    bits = (script.bits[update] for update in due if update in script.bits)
    return sum(bit for bit in bits if not bit & own.due and _steps_of(script, bit))


def amend(script: WindowScript, name: NodeId, due: int) -> WindowScript:
    """The script with `due` for one node, which goes through the last batch and the last reboot of what it is due for
    beyond the plan.
    """
    own = script.nodes[name]
    more = {index for bit in _bits(due & ~own.due) for index in _steps_of(script, bit)}
    changed = NodeScript(
        node=name,
        steps=tuple(sorted({*own.steps, *more})),
        due=due | own.due,
        devices=own.devices,
        rank=own.rank,
    )
    return replace(script, nodes={**script.nodes, name: changed})


def _steps_of(script: WindowScript, bit: int) -> tuple[int, ...]:
    """The last step that writes an update, and the last reboot after it that makes it active; empty: none does."""
    writes = [i for i, s in enumerate(script.steps) if isinstance(s, NodeApplyStep) and script.bits[s.update] & bit]
    if not writes:
        return ()
    update = next(u for u in script.updates if script.bits[u.id] == bit)
    if not update.needs_reboot:
        return (writes[-1],)
    reboots = [i for i, mask in enumerate(script.activates) if mask & bit and i > writes[-1]]
    return (writes[-1], reboots[-1]) if reboots else ()


def _bits(mask: int) -> Sequence[int]:
    return [1 << i for i in range(mask.bit_length()) if mask >> i & 1]
