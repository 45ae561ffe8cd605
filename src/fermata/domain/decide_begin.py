"""What a unit may begin next, and every reason why it may not yet: the second half of `decide`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from fermata.domain.batch_size import PAYS, CountTries, Tried, count_tries
from fermata.domain.blocking import blocking_nodes
from fermata.domain.decisions import Begin, Decision, HandOver, Leave, Park
from fermata.domain.fleet import Node
from fermata.domain.ids import DeviceId, NodeId, UpdateId, WindowId
from fermata.domain.intents import Intent, Intents, say_paused
from fermata.domain.intents import Standing as Wanted
from fermata.domain.node_states import DEVICE_AT_WORK, FINAL, UnitEvent, UnitState
from fermata.domain.operations import Gate, UnitOp
from fermata.domain.plans import NodeApplyStep, Step, VerifyStep
from fermata.domain.policy import Freeze
from fermata.domain.queues import CountQueue, Standing, count_queue
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.repairs import REPAIR, Handed, is_written, why_kept
from fermata.domain.scripts import (
    APPLY_PREFIX,
    DRAIN,
    LOCK,
    RESET_PREFIX,
    VERIFY,
    DeviceScript,
    NodeScript,
    WindowScript,
)
from fermata.domain.tally import Tally
from fermata.domain.updates import Catalogue, IsolationBy, Update
from fermata.domain.versions import is_at_least

HANG_FACTOR = 2.5  # times the 90th percentile: of lognormal steps, fewer than 1 in 1,000 are cut off wrongly
_ENDS_BY_ITSELF = frozenset({Gate.TEAM, Gate.ISOLATION})  # others write, and will have written: they wait for nobody
GATE_LOOK = timedelta(hours=1)  # fallback only: whoever opens a gate wakes those who wait at it

Behind = Mapping[NodeId, UnitOp | None]  # where the nodes behind a device stand


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is true around a unit. `tally` counts along; `standing`: a unit of the window as it is now.

    `unproven`: the window's devices that are not proven, with their state. `device_versions`: as last observed,
    of the whole fleet. `nodes_before`: the nodes as they were when the plan was made.
    `begin_again_at`: after a hard stop, when untouched nodes may begin; None while they may. `handed`: units of the
    window that a work order waits for, or has. `gaps`: what consent to the work on a node lacks now, of those nodes
    only for which it was asked. `frozen`: nodes whose lock nobody has accepted, each with the freeze that met it
    first. `lacking`: devices that were to be written next and to which consent lacks something. `closed`: updates
    whose gate lets nobody begin, and why. `undo_targets`: of nodes on which updates are rolled back, by window and
    node, the versions to roll them back to. `looked_at`: when the last answer of a target came in; `now` was before
    that. `count_tries`, `count_queue`: what came of an update in the window, and who is still to be let in to it.
    """

    now: datetime
    script: WindowScript
    catalogue: Catalogue
    intents: Intents
    begin_again_at: datetime | None
    tally: Tally
    unproven: Mapping[DeviceId, UnitState]
    standing: Standing
    device_versions: Mapping[DeviceId, str]
    carriers: Mapping[tuple[NodeId, str], tuple[DeviceId, ...]]
    nodes_before: Mapping[NodeId, Node]
    handed: Mapping[str, Handed] = field(default_factory=dict)
    gaps: Mapping[NodeId, tuple[Reason, ...]] = field(default_factory=dict)
    frozen: Mapping[NodeId, Freeze] = field(default_factory=dict)
    lacking: Mapping[DeviceId, Reason] = field(default_factory=dict)
    closed: Mapping[UpdateId, Reason] = field(default_factory=dict)
    undo_targets: Mapping[tuple[WindowId, str], Mapping[UpdateId, str]] = field(default_factory=dict)
    looked_at: datetime | None = None
    count_tries: CountTries = count_tries
    count_queue: CountQueue = count_queue
    _holding: dict[tuple[int, tuple[DeviceId, ...]], list[DeviceId]] = field(
        init=False, default_factory=dict, compare=False, repr=False
    )

    def holding(self, own: NodeScript, index: int) -> list[DeviceId]:
        """The devices that a node hangs on because of which it may not begin the step `index` of the script. All nodes
        of a rack hang on the same ones: it is found once while these facts are true.
        """
        key = (index, own.devices)
        if key not in self._holding:
            self._holding[key] = [n for n in own.devices if n in self.unproven and _holds_node(n, index, self)]
        return self._holding[key]

    def undo_to(self, op: UnitOp) -> Mapping[UpdateId, str]:
        """What the updates on the node are rolled back to."""
        return self.undo_targets.get((op.window, op.unit), {})

    def device_id(self, op: UnitOp) -> DeviceId:
        """The device that `op` is about."""
        return DeviceId(op.unit)

    def wanted(self, op: UnitOp) -> Wanted:
        """What operators let happen to the unit."""
        return self.intents.of_unit(op)


def patience_for(step: str, facts: Facts) -> timedelta:
    """How long a step may take before it counts as hung."""
    defaults = facts.catalogue.defaults
    if step.startswith(APPLY_PREFIX):
        duration = facts.script.by_id[UpdateId(step.removeprefix(APPLY_PREFIX))].duration_minutes
    elif step in (LOCK, DRAIN):
        duration = defaults.drain_minutes
    elif step == VERIFY:
        duration = defaults.verify_minutes
    else:
        duration = defaults.reboot_minutes
    return timedelta(minutes=round(duration.p90 * HANG_FACTOR))


def bump(retries: Mapping[str, int], labels: Iterable[str]) -> dict[str, int]:
    """One more try of each of these steps."""
    found = dict(retries)
    for label in labels:
        tried = label.removeprefix(RESET_PREFIX)
        found[tried] = found.get(tried, 0) + 1
    return found


def redo_labels(script: WindowScript, op: UnitOp, lacking: int) -> tuple[str, ...]:
    """The steps that bring the updates in the mask `lacking` to a node: they need fresh keys when done again."""
    own = script.nodes.get(NodeId(op.unit))
    if own is None:
        return ()
    labels = []
    for index in own.steps:
        step = script.steps[index]
        brings = script.bits[step.update] if isinstance(step, NodeApplyStep) else script.activates[index]
        if brings & lacking:
            labels.append(script.labels[index])
    return tuple(labels)


def begin_node(op: UnitOp, facts: Facts) -> Decision:
    """The next own step of an empty, idle node, or what it waits for. Parts come before their firmware: what people
    are to do there comes first, at the next safe point (`repairs.why_kept`). A node that would wait before its reboot
    goes as it is: what it waits for may wait for its people.
    """
    script = facts.script
    own = script.nodes[NodeId(op.unit)]
    index = script.next_step(own, op.applied | op.undo, op.active | op.undo)
    due_to_people = hand_over(op, facts)
    if due_to_people is not None:
        kept = why_kept(op, facts.handed[op.unit].order, script, facts.unproven)
        if kept is None:
            return due_to_people
        if kept.code is Code.ORDER_AFTER_DEVICE:
            return _park(index, script.labels[index], Gate.DEVICE, kept, facts)
    barred = _why_not_now(op, own, index, facts)
    if barred is None:
        return _begin(op, facts, _event_of(script.steps[index]), index)
    if due_to_people is not None and barred[0] not in _ENDS_BY_ITSELF:
        return due_to_people
    return _park(index, script.labels[index], *barred, facts)


def _why_not_now(op: UnitOp, own: NodeScript, index: int, facts: Facts) -> tuple[Gate, Reason] | None:
    """Why the next own step of a node may not begin, or None: then there is room for it, and it counts from now on."""
    step = facts.script.steps[index]
    blocked = _closed_gate(op, own, index, facts)
    if blocked is None and isinstance(step, NodeApplyStep):
        return not_admitted(op, facts.script.by_id[step.update], facts)
    return blocked


def _event_of(step: Step) -> UnitEvent:
    match step:
        case VerifyStep():
            return UnitEvent.VERIFY
        case NodeApplyStep():
            return UnitEvent.APPLY
        case _:
            return UnitEvent.REBOOT


def waits_as_before(op: UnitOp, facts: Facts) -> bool:
    """True when a parked node that begins its next step now would be parked again, at the same gate and for the very
    same reason.
    """
    script = facts.script
    own = script.nodes[NodeId(op.unit)]
    index = script.next_step(own, op.applied | op.undo, op.active | op.undo)
    return hand_over(op, facts) is None and _closed_gate(op, own, index, facts) == (op.gate, op.reason)


def begin_device(op: UnitOp, facts: Facts) -> Decision:
    """The update of an idle device, or what it waits for."""
    due_to_people = hand_over(op, facts)
    if due_to_people is not None:
        return due_to_people
    device = facts.script.devices[DeviceId(op.unit)]
    label = facts.script.labels[device.step]
    behind = {name: facts.standing(name) for name in device.behind}
    barred = _find_gone(device, behind, facts) or facts.lacking.get(device.device)
    if barred is not None:
        return Leave(event=UnitEvent.LEAVE_OUT, reason=barred)
    blocked = _device_gate(op, device, behind, facts) or not_admitted(op, device.update, facts)
    if blocked is not None:
        return _park(device.step, label, *blocked, facts)
    return _begin(op, facts, UnitEvent.APPLY, device.step)


def hand_over(op: UnitOp, facts: Facts) -> HandOver | None:
    """To the people of the order that waits for the unit; None: no order does."""
    handed = facts.handed.get(op.unit)
    done = op.retries.get(REPAIR, 0)
    if handed is None or handed.ended or handed.number <= done:
        return None
    written = ", with firmware that its next restart makes active" if is_written(op) else ""
    failed_in = (op.step.removeprefix(RESET_PREFIX),) if op.state is UnitState.FAILED else ()
    return HandOver(
        step=REPAIR,
        attempt=handed.number,
        retries=bump(op.retries, failed_in),
        reason=reason(Code.IN_REPAIR, unit=op.unit, order=handed.order, kind=handed.kind, written=written),
    )


def _begin(op: UnitOp, facts: Facts, event: UnitEvent, index: int) -> Begin:
    label = facts.script.labels[index]
    planned_start, _ = facts.script.planned(index)
    return Begin(
        event=event,
        step=label,
        attempt=op.retries.get(label, 0) + 1,
        position=index,
        patience=patience_for(label, facts),
        slip_minutes=round((facts.now - planned_start) / timedelta(minutes=1)),
        changes_unit=event in (UnitEvent.APPLY, UnitEvent.REBOOT),
    )


def _park(index: int, label: str, gate: Gate, why: Reason, facts: Facts) -> Park:
    until = facts.now + GATE_LOOK
    if gate is Gate.HARD_STOP and facts.begin_again_at is not None:
        until = facts.begin_again_at
    return Park(gate=gate, reason=why, position=index, step=label, until=until)


def _closed_gate(op: UnitOp, own: NodeScript, index: int, facts: Facts) -> tuple[Gate, Reason] | None:
    script = facts.script
    step = script.steps[index]
    if not isinstance(step, VerifyStep):
        pause = facts.wanted(op).pause
        if pause is not None:
            return Gate.PAUSE, say_paused(pause, op.unit)
        if facts.begin_again_at is not None and not op.begun:
            until = f"{facts.begin_again_at:%Y-%m-%d %H:%MZ}"
            return Gate.HARD_STOP, reason(Code.HARD_STOP_PASSED, unit=op.unit, until=until)
    held = facts.holding(own, index)
    if held:
        return Gate.DEVICE, _kept_or_last(op, Gate.DEVICE, [_say_device(op, name, facts) for name in held])
    if isinstance(step, NodeApplyStep):
        return at_gate(op, step.update, facts) or _unmet_requirement(op, own, script.by_id[step.update], facts)
    return None


def at_gate(op: UnitOp, update: UpdateId, facts: Facts) -> tuple[Gate, Reason] | None:
    """Who has tried it already goes on: half an update is worse than either version."""
    closed = facts.closed.get(update)
    if closed is None or APPLY_PREFIX + update in op.retries:
        return None
    if closed.code in (Code.GO_AWAITED, Code.NO_GO):
        return Gate.EVIDENCE, closed
    return Gate.EVIDENCE, reason(Code.WAITS_AT_GATE, unit=op.unit, update=update, why=closed.sentence)


def _unmet_requirement(op: UnitOp, own: NodeScript, update: Update, facts: Facts) -> tuple[Gate, Reason] | None:
    """What the update needs of the node's own components, or of the devices it hangs on, as they are now."""
    for needed in update.requires:
        carriers = facts.carriers.get((own.node, needed.component), ())
        if carriers:
            found = {name: facts.device_versions.get(name, "") for name in carriers}
        else:
            found = {DeviceId(own.node): _node_version(op, own, needed.component, facts)}
        lacking = {name: version for name, version in found.items() if not is_at_least(version, needed.min_version)}
        if lacking:
            text = f"{needed.component} {needed.min_version}"
            said = [_say_version(op, update, text, carrier, version) for carrier, version in lacking.items()]
            return Gate.REQUIREMENT, _kept_or_last(op, Gate.REQUIREMENT, said)
    return None


def _holds_node(name: DeviceId, index: int, facts: Facts) -> bool:
    """True when a node that hangs on the device, which is not proven, may not begin that step before it is through."""
    state = facts.unproven[name]
    if state is UnitState.LEFT_OUT:
        return False
    step = facts.script.devices[name].step
    is_busy = state in DEVICE_AT_WORK and facts.script.waits_for(step, index)
    return is_busy or facts.script.waits_for(index, step)


def _kept_or_last(op: UnitOp, gate: Gate, said: Sequence[Reason]) -> Reason:
    """Of all that a unit waits for: what its row names, as long as that is true, else the last, which comes last."""
    return op.reason if op.gate is gate and op.reason is not None and op.reason in said else said[-1]


def _say_device(op: UnitOp, name: DeviceId, facts: Facts) -> Reason:
    update = facts.script.devices[name].update.id
    return reason(Code.WAITS_FOR_DEVICE, unit=op.unit, device=name, update=update, state=facts.unproven[name])


def _say_version(op: UnitOp, update: Update, requirement: str, carrier: DeviceId, version: str) -> Reason:
    return reason(
        Code.WAITS_FOR_VERSION,
        update=update.id,
        unit=op.unit,
        requirement=requirement,
        carrier=carrier,
        version=version or "nothing",
    )


def _node_version(op: UnitOp, own: NodeScript, component: str, facts: Facts) -> str:
    for update in facts.script.updates:
        if update.component == component and facts.script.bits[update.id] & op.active & own.due:
            return update.to_version
    return facts.nodes_before[own.node].versions.get(component, "")


def not_admitted(op: UnitOp, update: Update, facts: Facts) -> tuple[Gate, Reason] | None:
    """Why there is no room for one more unit that writes the update; None: there is, and it counts from now on."""
    tried = partial(facts.count_tries, facts.script, update, facts.standing, facts.catalogue)
    too_fast = facts.tally.is_too_fast(update, op.window, tried)
    if too_fast is not None:
        return Gate.PACE, say_pace(op, update, too_fast)
    nodes = len(facts.script.nodes)
    queue = partial(facts.count_queue, facts.script, update, facts.standing)
    gate = facts.tally.admit(update, op.window, op.fault_domain, nodes=nodes, queue=queue)
    if gate is None:
        return None
    if gate is Gate.TEAM:
        at_once = facts.catalogue.team_limits[update.owner_team]
        return gate, reason(Code.WAITS_FOR_TEAM, unit=op.unit, team=update.owner_team, at_once=at_once)
    what = "fault domain(s)" if update.isolation.by is IsolationBy.FAULT_DOMAIN else "per cent"
    at_once = update.isolation.at_once
    return gate, reason(Code.WAITS_FOR_ISOLATION, unit=op.unit, update=update.id, at_once=at_once, what=what)


def say_pace(op: UnitOp, update: Update, tried: Tried) -> Reason:
    """Why a unit waits because of tries that failed."""
    return reason(
        Code.WAITS_FOR_PACE,
        unit=op.unit,
        update=update.id,
        failed=tried.failed,
        at_once=tried.at_once,
        bound=tried.bound,
        pays=PAYS,
    )


def _device_gate(op: UnitOp, device: DeviceScript, behind: Behind, facts: Facts) -> tuple[Gate, Reason] | None:
    pause = pause_of_device(op, device, behind.values(), facts)
    if pause is not None:
        return Gate.PAUSE, say_paused(pause, op.unit)
    if facts.begin_again_at is not None and not any(s is not None and s.begun for s in (op, *behind.values())):
        until = f"{facts.begin_again_at:%Y-%m-%d %H:%MZ}"
        return Gate.HARD_STOP, reason(Code.HARD_STOP_PASSED, unit=op.unit, until=until)
    busy = blocking_nodes(device, facts.script, lambda name: behind[NodeId(name)])
    if busy:
        return Gate.NODES, reason(Code.WAITS_FOR_NODES, unit=op.unit, nodes=len(busy), example=busy[0])
    return at_gate(op, device.update.id, facts)


def pause_of_device(op: UnitOp, device: DeviceScript, behind: Iterable[UnitOp | None], facts: Facts) -> Intent | None:
    """The word that holds a device: of its window or wider, or of a node that has to be empty for it."""
    words = [facts.wanted(op).pause]
    if device.update.needs_drain:
        words += [facts.wanted(node).pause for node in behind if node is not None]
    return next((word for word in words if word is not None), None)


def _find_gone(device: DeviceScript, behind: Behind, facts: Facts) -> Reason | None:
    """Why a device is left out that needs its nodes empty: one of them goes back, or went, before its turn came."""
    if not device.update.needs_drain:
        return None
    said = bool(facts.intents.words)  # asked once: there are dozens of nodes behind each of hundreds of devices
    for name, node in behind.items():
        if node is not None and (node.state in FINAL or (said and facts.wanted(node).abort is not None)):
            return reason(Code.BEHIND_RETURNED, unit=device.device, example=name)
    return None
