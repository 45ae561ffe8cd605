"""The machine of one unit (node or device) in a window: a transition table, and `advance`, the only way to move."""

from enum import StrEnum
from types import MappingProxyType


class UnitKind(StrEnum):
    """What a row of conducted work is about."""

    NODE = "node"
    DEVICE = "device"
    RIDER = "rider"  # a node that stays in service, on the impactless train


class UnitState(StrEnum):
    """Where a unit stands in its window. Devices and riders use some of these only. In repair it is with the people of
    a work order; gone with one that takes it out of the fleet.
    """

    PENDING = "pending"
    LOCKED = "locked"
    DRAINING = "draining"
    DRAINED = "drained"
    APPLYING = "applying"
    REBOOTING = "rebooting"
    RESETTING = "resetting"
    VERIFYING = "verifying"
    RECOVERING = "recovering"
    PROVEN = "proven"
    RETURNED = "returned"
    KEPT_OUT = "kept_out"
    FAILED = "failed"
    IN_REPAIR = "in_repair"
    GONE = "gone"
    LEFT_OUT = "left_out"


class UnitEvent(StrEnum):
    """What moves a unit."""

    LOCK = "lock"
    DRAIN = "drain"
    EMPTIED = "emptied"
    APPLY = "apply"
    REBOOT = "reboot"
    RESET = "reset"
    STEP_ENDED = "step_ended"
    VERIFY = "verify"
    PROVE = "prove"
    UNPROVE = "unprove"
    UNCHANGED = "unchanged"
    UNDO = "undo"
    RECOVER = "recover"
    TAKE_BACK = "take_back"
    GIVE_BACK = "give_back"
    KEEP_OUT = "keep_out"
    GIVE_UP = "give_up"
    HAND_OVER = "hand_over"
    REPAIRED = "repaired"
    LEAVE_FLEET = "leave_fleet"
    LEAVE_OUT = "leave_out"


class IllegalMove(Exception):
    """The table has no such move: the caller's reasoning is wrong, so nothing may be done to the unit."""

    def __init__(self, kind: UnitKind, state: UnitState, event: UnitEvent) -> None:
        super().__init__(f"a {kind} that is {state} cannot {event}")


_S = UnitState
_E = UnitEvent

NODE_MOVES: MappingProxyType[tuple[UnitState, UnitEvent], UnitState] = MappingProxyType(
    {
        (_S.PENDING, _E.LOCK): _S.LOCKED,
        (_S.PENDING, _E.LEAVE_OUT): _S.LEFT_OUT,
        (_S.LOCKED, _E.DRAIN): _S.DRAINING,
        (_S.LOCKED, _E.LOCK): _S.LOCKED,
        (_S.LOCKED, _E.LEAVE_OUT): _S.LEFT_OUT,
        (_S.LOCKED, _E.UNCHANGED): _S.PROVEN,
        (_S.DRAINING, _E.EMPTIED): _S.DRAINED,
        (_S.DRAINING, _E.LOCK): _S.LOCKED,
        (_S.DRAINING, _E.UNCHANGED): _S.PROVEN,
        (_S.DRAINING, _E.GIVE_UP): _S.FAILED,
        (_S.DRAINED, _E.LOCK): _S.LOCKED,
        (_S.DRAINED, _E.APPLY): _S.APPLYING,
        (_S.DRAINED, _E.REBOOT): _S.REBOOTING,
        (_S.DRAINED, _E.RESET): _S.RESETTING,
        (_S.DRAINED, _E.VERIFY): _S.VERIFYING,
        (_S.DRAINED, _E.UNCHANGED): _S.PROVEN,
        (_S.DRAINED, _E.GIVE_UP): _S.FAILED,
        (_S.APPLYING, _E.STEP_ENDED): _S.DRAINED,
        (_S.APPLYING, _E.RESET): _S.RESETTING,
        (_S.APPLYING, _E.GIVE_UP): _S.FAILED,
        (_S.REBOOTING, _E.STEP_ENDED): _S.DRAINED,
        (_S.REBOOTING, _E.RESET): _S.RESETTING,
        (_S.REBOOTING, _E.GIVE_UP): _S.FAILED,
        (_S.RESETTING, _E.STEP_ENDED): _S.DRAINED,
        (_S.RESETTING, _E.GIVE_UP): _S.FAILED,
        (_S.VERIFYING, _E.PROVE): _S.PROVEN,
        (_S.VERIFYING, _E.STEP_ENDED): _S.DRAINED,
        (_S.VERIFYING, _E.RESET): _S.RESETTING,
        (_S.VERIFYING, _E.GIVE_UP): _S.FAILED,
        (_S.DRAINED, _E.UNDO): _S.RECOVERING,
        (_S.RECOVERING, _E.STEP_ENDED): _S.DRAINED,
        (_S.RECOVERING, _E.RESET): _S.RESETTING,
        (_S.RECOVERING, _E.GIVE_UP): _S.FAILED,
        (_S.PROVEN, _E.GIVE_BACK): _S.RETURNED,
        (_S.PROVEN, _E.KEEP_OUT): _S.KEPT_OUT,
        (_S.PROVEN, _E.LOCK): _S.LOCKED,
        (_S.PROVEN, _E.UNPROVE): _S.DRAINED,
        (_S.PROVEN, _E.GIVE_UP): _S.FAILED,
        (_S.FAILED, _E.LOCK): _S.LOCKED,
        (_S.FAILED, _E.RESET): _S.RESETTING,
        (_S.FAILED, _E.REPAIRED): _S.DRAINED,
        (_S.DRAINED, _E.HAND_OVER): _S.IN_REPAIR,
        (_S.FAILED, _E.HAND_OVER): _S.IN_REPAIR,
        (_S.IN_REPAIR, _E.REPAIRED): _S.DRAINED,
        (_S.IN_REPAIR, _E.LEAVE_FLEET): _S.GONE,
        (_S.FAILED, _E.RECOVER): _S.RESETTING,
        (_S.RETURNED, _E.TAKE_BACK): _S.PENDING,
        (_S.KEPT_OUT, _E.TAKE_BACK): _S.PENDING,
    }
)

DEVICE_MOVES: MappingProxyType[tuple[UnitState, UnitEvent], UnitState] = MappingProxyType(
    {
        (_S.PENDING, _E.APPLY): _S.APPLYING,
        (_S.PENDING, _E.LEAVE_OUT): _S.LEFT_OUT,
        (_S.APPLYING, _E.PROVE): _S.PROVEN,
        (_S.APPLYING, _E.RESET): _S.RESETTING,
        (_S.APPLYING, _E.STEP_ENDED): _S.PENDING,
        (_S.APPLYING, _E.GIVE_UP): _S.FAILED,
        (_S.RESETTING, _E.STEP_ENDED): _S.PENDING,
        (_S.RESETTING, _E.PROVE): _S.PROVEN,
        (_S.RESETTING, _E.GIVE_UP): _S.FAILED,
        (_S.FAILED, _E.REPAIRED): _S.PENDING,
        (_S.FAILED, _E.PROVE): _S.PROVEN,
        (_S.PENDING, _E.HAND_OVER): _S.IN_REPAIR,
        (_S.FAILED, _E.HAND_OVER): _S.IN_REPAIR,
        (_S.IN_REPAIR, _E.REPAIRED): _S.PENDING,
        (_S.IN_REPAIR, _E.PROVE): _S.PROVEN,
        (_S.PENDING, _E.UNDO): _S.RECOVERING,
        (_S.RECOVERING, _E.PROVE): _S.PROVEN,
        (_S.RECOVERING, _E.RESET): _S.RESETTING,
        (_S.RECOVERING, _E.STEP_ENDED): _S.PENDING,
        (_S.RECOVERING, _E.GIVE_UP): _S.FAILED,
        (_S.PROVEN, _E.TAKE_BACK): _S.PENDING,
        (_S.FAILED, _E.RECOVER): _S.RESETTING,
        (_S.FAILED, _E.UNDO): _S.RECOVERING,
    }
)

RIDER_MOVES: MappingProxyType[tuple[UnitState, UnitEvent], UnitState] = MappingProxyType(
    {
        (_S.PENDING, _E.APPLY): _S.APPLYING,
        (_S.PENDING, _E.PROVE): _S.PROVEN,
        (_S.PENDING, _E.LEAVE_OUT): _S.LEFT_OUT,
        (_S.APPLYING, _E.STEP_ENDED): _S.PENDING,
        (_S.APPLYING, _E.PROVE): _S.PROVEN,
        (_S.APPLYING, _E.LEAVE_OUT): _S.LEFT_OUT,
        (_S.APPLYING, _E.GIVE_UP): _S.FAILED,
        (_S.FAILED, _E.REPAIRED): _S.PENDING,
    }
)  # nothing locks, drains, resets or reboots a node in service

OUT = frozenset(
    {
        _S.LOCKED,
        _S.DRAINING,
        _S.DRAINED,
        _S.APPLYING,
        _S.REBOOTING,
        _S.RESETTING,
        _S.VERIFYING,
        _S.RECOVERING,
        _S.PROVEN,
        _S.FAILED,
        _S.IN_REPAIR,
    }
)  # a node in one of these is held by us and counts against every limit on nodes out
EMPTY = OUT - {_S.LOCKED, _S.DRAINING}  # no workload on it, unless it failed before its drain ended
DEVICE_AT_WORK = frozenset({_S.APPLYING, _S.RESETTING, _S.RECOVERING})  # something is being changed on the device
BACK = frozenset({_S.RETURNED, _S.KEPT_OUT})  # proven and out of our hands
FINAL = frozenset({_S.RETURNED, _S.KEPT_OUT, _S.LEFT_OUT, _S.GONE})  # nothing more happens to the node in this window


_MOVES = {UnitKind.NODE: NODE_MOVES, UnitKind.DEVICE: DEVICE_MOVES, UnitKind.RIDER: RIDER_MOVES}


def advance(kind: UnitKind, state: UnitState, event: UnitEvent) -> UnitState:
    """The state after `event`. Raises IllegalMove when the table has no such move."""
    moves = _MOVES[kind]
    after = moves.get((state, event))
    if after is None:
        raise IllegalMove(kind, state, event)
    return after


def mermaid(kind: UnitKind) -> str:
    """The table as a Mermaid state diagram, for the docs."""
    moves = _MOVES[kind]
    lines = ["stateDiagram-v2", f"    [*] --> {_S.PENDING}"]
    lines += [f"    {before} --> {after}: {event}" for (before, event), after in moves.items()]
    sources = {before for before, _ in moves}
    ends = [state for state in UnitState if state in set(moves.values()) and state not in sources]
    lines += [f"    {state} --> [*]" for state in ends]
    return "\n".join(lines) + "\n"


def diagram_page() -> str:
    """The page docs/node-machine.md: all machines, drawn from their tables."""
    parts = ["# How a node and a shared device move through a window, and a rider on the impactless train", ""]
    for kind in UnitKind:
        parts += [f"## {kind}", "", "```mermaid", mermaid(kind).rstrip(), "```", ""]
    command = "python -c 'from fermata.domain.node_states import diagram_page; print(diagram_page(), end=\"\")'"
    parts += [
        "`unchanged` is the proof of a node that an abort gives back: it reports what it did when it was taken.",
        "A node that an operator holds stays in its state, at the gate `pause`; what runs on it is let end.",
        "",
    ]
    parts.append(f"Drawn from the tables in `fermata.domain.node_states` by `{command}`.")
    return "\n".join(parts) + "\n"
