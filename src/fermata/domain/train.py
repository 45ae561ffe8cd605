"""The impactless train: work that no workload feels, done on nodes that stay in service, at a pace of its own.

Which nodes ride, what a rider does next, and when it waits. A rider is never locked, drained, reset or rebooted, and is
not out: it is proven by the version that it reports after each write.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from fermata.domain.batch_size import PAYS, Tried
from fermata.domain.decide import BEGINS_SOMETHING, POLL, Seen
from fermata.domain.decide_begin import GATE_LOOK, Facts, at_gate, bump, patience_for, say_pace
from fermata.domain.decide_waiting import TAIL_LOOK
from fermata.domain.decisions import Begin, Decision, EndStep, GiveUp, Leave, Park, Prove, Repeat, Resume, Watch
from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import ClusterId, NodeId, RunId, UpdateId, WindowId
from fermata.domain.intents import say_ended, say_paused
from fermata.domain.node_states import UnitEvent, UnitState
from fermata.domain.observations import Failed, NeverAsked, NodeSeen, Running, Succeeded
from fermata.domain.operations import Asked, Gate, UnitOp
from fermata.domain.pending import UnitPending
from fermata.domain.plans import Mode, NodeApplyStep, Step, VerifyStep, Window
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.scripts import APPLY_PREFIX, NodeScript, WindowScript, name_step
from fermata.domain.updates import NODE_TARGET, Catalogue, Impact, Stage, Update
from fermata.domain.versions import is_at_least

NEAR = timedelta(hours=24)  # a window that starts within it takes the work along; without one the train is done in it
STOP_DEBT = 5.0  # failed tries beyond what successes pay for: the batch size is then a thirtieth of its bound
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How fast a train goes: riders that write at once, as a share of their cluster, in one fault domain at a time."""

    name: str
    share: float

    def at_once(self, nodes: int) -> int:
        """Of a cluster of so many nodes; at least one."""
        return max(1, int(nodes * self.share + 1e-9))


# A twentieth is what availability promises leave: should a write be felt after all, 95 % of the cluster are spared, and
# as all of them share a fault domain, no more than what may fail together anyway. Twenty rounds fit into a day.
STEADY = Rate(name="steady", share=0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class Train:
    """One train of one cluster. `updates` in the order in which they are written, which gives the bits of its riders.
    `cluster_nodes`: of the whole cluster, of which its rate takes a share. `closed_at` None: it runs.
    """

    id: WindowId
    run: RunId
    cluster: ClusterId
    updates: tuple[UpdateId, ...]
    cluster_nodes: int
    riders: int
    opened_at: datetime
    due_by: datetime
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ridden:
    """What came of an update on all trains of a run. `failed` counts tries, `proven` nodes."""

    failed: int = 0
    proven: int = 0

    @property
    def is_stopped(self) -> bool:
        """True when no train carries it any more."""
        return self.failed - self.proven / PAYS >= STOP_DEBT


def may_ride(update: Update, catalogue: Catalogue) -> bool:
    """True for work on a node that no workload feels, that is qualified, and that minds nothing done beside it."""
    conflicts = any(update.id in pair for pair in catalogue.conflicts)
    is_impactless = update.impact is Impact.IMPACTLESS
    return is_impactless and update.target == NODE_TARGET and update.stage is Stage.PRODUCTION_READY and not conflicts


def find_rides(
    node: Node, pending: UnitPending, fleet: Fleet, catalogue: Catalogue, *, held: Collection[UpdateId] = ()
) -> frozenset[UpdateId]:
    """What of the node's own due work could ride: with all that it must come after, and with what it needs there.
    `held`: these do not.
    """
    due = {item.update.id: item.update for item in pending.due}
    may = {name: update for name, update in due.items() if name not in held and may_ride(update, catalogue)}
    rides = {name for name, update in may.items() if _has_needs(update, node, fleet)}
    while late := {name for name in rides if any(a in due and a not in rides for a in due[name].after)}:
        rides -= late
    return frozenset(rides)


def _has_needs(update: Update, node: Node, fleet: Fleet) -> bool:
    for need in update.requires:
        devices = [d.version for d in fleet.devices_of(node) if d.component == need.component]
        versions = devices or [node.versions.get(need.component, "")]
        if not all(is_at_least(version, need.min_version) for version in versions):
            return False
    return True


def order_updates(updates: Iterable[Update]) -> tuple[Update, ...]:
    """Each after what it must come after, else by id."""
    left = {update.id: update for update in updates}
    ordered: list[Update] = []
    while left:
        ready = [u for _, u in sorted(left.items()) if not any(a in left for a in u.after)]
        ordered += ready or [u for _, u in sorted(left.items())]
        left = {name: u for name, u in left.items() if u not in ordered}
    return tuple(ordered)


def read_train(train: Train, catalogue: Catalogue, nodes: Sequence[Node], dues: Mapping[NodeId, int]) -> WindowScript:
    """The train as a script: its updates one after the other, on each rider those that `dues` masks."""
    updates = tuple(catalogue.updates[name] for name in train.updates)
    steps: list[Step] = []
    at = train.opened_at
    for update in updates:
        end = at + timedelta(minutes=update.duration_minutes.p50)
        steps.append(NodeApplyStep(update=update.id, batch=1, batches=1, nodes=len(nodes), start=at, end=end))
        at = end
    steps.append(VerifyStep(start=at, end=at + MINUTE))
    window = Window(
        id=train.id,
        cluster=train.cluster,
        mode=Mode.ROLLING,
        part=1,
        parts=1,
        start=train.opened_at,
        end=at + MINUTE,
        nodes=tuple(node.name for node in nodes),
        updates=train.updates,
        steps=tuple(steps),
        reboots_per_node=0,
        end_confidence=1.0,
    )
    last = len(updates)
    riders = {
        node.name: NodeScript(
            node=node.name,
            steps=(*(i for i in range(last) if dues[node.name] >> i & 1), last),
            due=dues[node.name],
            devices=(),
            rank=rank,
        )
        for rank, node in enumerate(sorted(nodes, key=lambda node: (node.fault_domain, node.name)))
    }
    return WindowScript(window=window, steps=tuple(steps), updates=updates, nodes=riders, devices={})


def decide_rider(op: UnitOp, seen: Seen, facts: Facts, train: Train, barred: Reason | None = None) -> Decision:
    """The one thing to do about a rider. A write that may not have been asked for is judged anew, as on any node.
    `barred`: why nothing more begins on its node in service; what is being written is let end, also when its time is
    over.
    """
    barred = barred or _say_late(op, facts, train)
    if op.state is UnitState.FAILED:
        return _look_at_failed(op, seen.node, facts)
    if op.asked is not Asked.NOTHING:
        return _judge(op, seen, facts, barred)
    return _begin(op, facts, train, barred)


def _say_late(op: UnitOp, facts: Facts, train: Train) -> Reason | None:
    if facts.now < train.due_by:
        return None
    return say_end(op, f"it was to be through by {train.due_by:%Y-%m-%d %H:%MZ}, and nobody asked for longer.")


def say_end(op: UnitOp, why: str) -> Reason:
    """Why a rider leaves although nothing failed."""
    return reason(Code.RIDE_ENDS, unit=op.unit, why=why)


def _begin(op: UnitOp, facts: Facts, train: Train, barred: Reason | None) -> Decision:
    wanted = facts.wanted(op)
    if wanted.end is not None:
        return Leave(event=UnitEvent.LEAVE_OUT, reason=say_ended(wanted.end, op.unit))
    script = facts.script
    index = script.next_step(script.nodes[NodeId(op.unit)], op.applied, op.active)
    step = script.steps[index]
    if not isinstance(step, NodeApplyStep):
        return Prove(active=op.active)
    if barred is not None:
        return Leave(event=UnitEvent.LEAVE_OUT, reason=barred)
    update = script.by_id[step.update]
    count = partial(facts.count_tries, script, update, facts.standing, facts.catalogue)
    tried = facts.tally.tried(update, op.window, count)
    if Ridden(failed=tried.failed, proven=tried.succeeded).is_stopped:
        why = reason(Code.TRAIN_STOPPED, unit=op.unit, update=update.id, failed=tried.failed, proven=tried.succeeded)
        return Leave(event=UnitEvent.LEAVE_OUT, reason=why)
    waits = _find_wait(op, update, tried, facts, train)
    if waits is not None:
        gate, why = waits
        return Park(gate=gate, reason=why, position=index, step=script.labels[index], until=facts.now + GATE_LOOK)
    label = script.labels[index]
    return Begin(
        event=UnitEvent.APPLY,
        step=label,
        attempt=op.retries.get(label, 0) + 1,
        position=index,
        patience=patience_for(label, facts),
        slip_minutes=0,
        changes_unit=True,
    )


def _find_wait(op: UnitOp, update: Update, tried: Tried, facts: Facts, train: Train) -> tuple[Gate, Reason] | None:
    pause = facts.wanted(op).pause
    if pause is not None:
        return Gate.PAUSE, say_paused(pause, op.unit)
    closed = at_gate(op, update.id, facts)
    if closed is not None:
        return closed
    if facts.tally.is_too_fast(update, op.window, lambda: tried) is not None:
        return Gate.PACE, say_pace(op, update, tried)
    limit = facts.catalogue.team_limits.get(update.owner_team)
    if facts.tally.is_team_full(update.owner_team):
        return Gate.TEAM, reason(Code.WAITS_FOR_TEAM, unit=op.unit, team=update.owner_team, at_once=limit)
    at_once = min(STEADY.at_once(train.cluster_nodes), max(1, tried.bound))
    if not facts.tally.seat(update, op.window, op.fault_domain, at_once):
        why = reason(
            Code.WAITS_FOR_TRAIN,
            unit=op.unit,
            rate=STEADY.name,
            at_once=at_once,
            cluster=train.cluster,
            update=update.id,
        )
        return Gate.TRAIN, why
    return None


def _judge(op: UnitOp, seen: Seen, facts: Facts, barred: Reason | None) -> Decision:
    match seen.progress:
        case None | NeverAsked():
            return _ask_again(op, facts, barred)
        case Running(check_again_at=again):
            if op.limit_at is not None and facts.now >= op.limit_at:
                minutes = round((facts.now - (op.step_started_at or facts.now)) / MINUTE)
                why = reason(Code.RIDE_HANGS, unit=op.unit, step=name_step(op.step), minutes=minutes)
                return GiveUp(reason=why)
            until = again if again is not None and again > facts.now else facts.now + POLL
            return Watch(until=min(until, op.limit_at) if op.limit_at else until)
        case Failed(why=why):
            return try_again(op, why)
        case Succeeded():
            return _judge_version(op, seen.node, facts)


def _ask_again(op: UnitOp, facts: Facts, barred: Reason | None) -> Decision:
    wanted = facts.wanted(op)
    if op.state not in BEGINS_SOMETHING or (wanted.is_free and barred is None):
        return Repeat()
    if wanted.end is not None or barred is not None:
        return EndStep(event=UnitEvent.STEP_ENDED, applied=op.applied, active=op.active, retries=op.retries)
    assert wanted.pause is not None, "a word that is neither"
    return Watch(until=facts.now + POLL, reason=say_paused(wanted.pause, op.unit), held=True)


def _judge_version(op: UnitOp, node: NodeSeen | None, facts: Facts) -> Decision:
    """What the node reports decides, never what the updater says."""
    if node is None:
        return Watch(until=facts.now + POLL)
    update = facts.script.by_id[UpdateId(op.step.removeprefix(APPLY_PREFIX))]
    if not is_at_least(node.versions.get(update.component, ""), update.to_version):
        return try_again(op, f"{update.id} claimed success but the version is not the target")
    active = op.active | facts.script.bits[update.id]
    if active == facts.script.nodes[NodeId(op.unit)].due:
        return Prove(active=active)
    return EndStep(event=UnitEvent.STEP_ENDED, applied=active, active=active, retries=op.retries)


def try_again(op: UnitOp, why: str) -> EndStep | Leave:
    """Another try under a new key, or the node's next window does it: nothing in service is power cycled."""
    retries = bump(op.retries, (op.step,))
    if retries[op.step] >= op.tries_max:
        told = reason(Code.RIDE_FAILED, unit=op.unit, step=name_step(op.step), tries=retries[op.step], why=why)
        return Leave(event=UnitEvent.LEAVE_OUT, reason=told)
    return EndStep(event=UnitEvent.STEP_ENDED, applied=op.applied, active=op.active, retries=retries, why=why)


def _look_at_failed(op: UnitOp, node: NodeSeen | None, facts: Facts) -> Decision:
    since = op.failed_at or facts.now
    if node is None or not node.reachable or node.repaired_at is None or node.repaired_at < since:
        return Watch(until=facts.now + TAIL_LOOK)
    script = facts.script
    active = script.nodes[NodeId(op.unit)].due & sum(
        script.bits[u.id] for u in script.updates if is_at_least(node.versions.get(u.component, ""), u.to_version)
    )
    return Resume(event=UnitEvent.REPAIRED, applied=active, active=active, retries=bump(op.retries, (op.step,)))


def who_rides(
    wanted: Mapping[NodeId, frozenset[UpdateId]], skipped: Collection[NodeId], ridden: Mapping[UpdateId, Ridden]
) -> Mapping[NodeId, frozenset[UpdateId]]:
    """Of the nodes with allowed work, those that board, with what is done on them. `skipped`: who is taken, held, near
    a window, or rides already.
    """
    stopped = {name for name, found in ridden.items() if found.is_stopped}
    left = {name: updates - stopped for name, updates in wanted.items() if name not in skipped}
    return {name: updates for name, updates in left.items() if updates}
