"""Conducts the impactless train: opens one in a cluster where allowed work rides, and moves its riders batch by batch,
intent first, as `batch` moves units. Kill it anywhere: what was intended is looked at, and asked for under its key.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from fermata.domain.batch_size import count_failed
from fermata.domain.decide import NOTHING_SEEN, Seen
from fermata.domain.decide_begin import Facts
from fermata.domain.decisions import EndStep, Prove, Resume, carry_out, settle
from fermata.domain.fleet import Fleet, NodeState
from fermata.domain.free_work import find_free
from fermata.domain.ids import ClusterId, NodeId, UpdateId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.observations import Answer, NodeSeen
from fermata.domain.operations import Asked, Gate, Run, UnitOp
from fermata.domain.pending import FleetPending, find_pending
from fermata.domain.policy import Policy
from fermata.domain.reasons import Reason
from fermata.domain.run_states import NOT_OPENED_YET, RunState
from fermata.domain.scripts import APPLY_PREFIX
from fermata.domain.settle import judge_answer
from fermata.domain.tally import Tally
from fermata.domain.train import (
    NEAR,
    STEADY,
    Ridden,
    Train,
    decide_rider,
    find_rides,
    may_ride,
    order_updates,
    read_train,
    who_rides,
)
from fermata.domain.versions import is_at_least
from fermata.domain.windows import Interval
from fermata.execution.calling import make_caller
from fermata.execution.leaving import find_barred
from fermata.execution.obeying import read_intents
from fermata.execution.observe import observe, observe_nodes
from fermata.execution.perform import perform
from fermata.execution.roster import Roster
from fermata.execution.stage import Stage
from fermata.execution.trail import ACTOR, Mark, journal_lines
from fermata.execution.yard import Yard
from fermata.store import consent, inventory, journal, trains, unit_ops, work_orders
from fermata.store.database import Connection
from fermata.store.inventory_sources import list_stale
from fermata.store.journal import Entry

DUE_MAX = 1000  # riders of one batch, as of units
DECISIONS_IN_A_ROW_MAX = 4
_ENDINGS = (EndStep, Prove, Resume)


def open_yard(stage: Stage) -> Yard:
    """As the rows say, read when it is first needed after a start or a reload."""
    if stage.yard is None:
        with stage.database.read() as conn:
            going = {t.id: t for t in trains.load_trains(conn, stage.run) if t.closed_at is None}
            roster = Roster(trains.riders_of_open_trains(conn, stage.run))
            dues = dict(trains.load_dues(conn, stage.run))
        stage.yard = Yard(trains=going, roster=roster, dues=dues)
    return stage.yard


def step_trains(stage: Stage, now: datetime) -> int:
    """Moves up to DUE_MAX due riders; how many there were."""
    yard = open_yard(stage)
    due = yard.roster.due(now, DUE_MAX)
    if not due:
        return 0
    seen = observe(make_caller(stage), due, now, {}).seen
    caller = make_caller(stage)
    to_do = _record_intent(stage, yard, due, seen, now)
    stage.crash("train intended")
    if to_do:
        answers = perform(caller, to_do)
        stage.crash("train performed")
        _record_outcome(stage, yard, to_do, answers, now)
    return len(due)


def _record_intent(
    stage: Stage, yard: Yard, ops: Sequence[UnitOp], seen: Mapping[int, Seen], now: datetime
) -> list[UnitOp]:
    with stage.database.begin() as conn:
        read_intents(stage, conn)
        barred = find_barred(stage, conn, yard, ops, now)
        tally = Tally(stage.catalogue, unit_ops.busy(conn))
        marks: list[Mark] = []
        moved: list[tuple[int, UnitOp]] = []
        for op in sorted(ops, key=lambda op: (op.window, op.rank, op.id)):
            facts = _facts(stage, yard, op, tally, now)
            found = _decide_one(op, seen.get(op.id, NOTHING_SEEN), facts, yard.trains[op.window], barred.get(op.id))
            marks += found
            moved.append((op.version, found[-1].after))
            yard.roster.put([found[-1].after])
        trains.save_riders(conn, moved)
        _note(conn, yard, marks, now)
        stage.crash("train intent")
    intended = (op for _, op in moved if op.asked is Asked.INTENDED)
    return [op for op in intended if op.is_idle or op.next_at == now]  # others wait, and nothing is asked of them


def _decide_one(op: UnitOp, seen: Seen, facts: Facts, train: Train, barred: Reason | None) -> list[Mark]:
    marks: list[Mark] = []
    for _ in range(DECISIONS_IN_A_ROW_MAX):
        decision = decide_rider(op, seen, facts, train, barred)
        after = carry_out(op, decision, facts.now)
        marks.append(Mark(before=op, decision=decision, after=after, seen=seen))
        if after.next_at is None or not isinstance(decision, EndStep | Resume):
            return marks
        op, seen = after, NOTHING_SEEN
    raise AssertionError(f"{op.unit} on {op.window}: decisions go round in a circle at {op.step}")


def _record_outcome(
    stage: Stage, yard: Yard, ops: Sequence[UnitOp], answers: Mapping[int, Answer], now: datetime
) -> None:
    tally = Tally(stage.catalogue, ())
    marks = []
    for op in ops:
        answer = judge_answer(op, answers[op.id], _facts(stage, yard, op, tally, now))
        marks.append(Mark(before=op, decision=answer, after=settle(op, answer, now), seen=NOTHING_SEEN))
    with stage.database.begin() as conn:
        trains.save_riders(conn, [(mark.before.version, mark.after) for mark in marks])
        yard.roster.put(mark.after for mark in marks)
        _note(conn, yard, marks, now)
        stage.crash("train outcome")


def _note(conn: Connection, yard: Yard, marks: Sequence[Mark], now: datetime) -> None:
    """Journal, versions as reported, and who may write next."""
    journal.append_many(conn, journal_lines(marks, now))
    ended = [mark for mark in marks if isinstance(mark.decision, _ENDINGS) and mark.seen.node is not None]
    versions = {NodeId(m.before.unit): m.seen.node.versions for m in ended if m.seen.node is not None}
    if versions:
        inventory.record_versions(conn, versions)
    freed = {m.before.window for m in marks if m.before.state is UnitState.APPLYING is not m.after.state}
    waiting = [
        op
        for name in sorted(freed)
        for gate in (Gate.TRAIN, Gate.PACE, Gate.TEAM)
        for op in yard.roster.parked(gate, name)[: STEADY.at_once(yard.trains[name].cluster_nodes)]
    ]
    woken = [(op.version, replace(op, next_at=now, version=op.version + 1)) for op in waiting if op.next_at != now]
    trains.save_riders(conn, woken)
    yard.roster.put(op for _, op in woken)


def _facts(stage: Stage, yard: Yard, op: UnitOp, tally: Tally, now: datetime) -> Facts:
    name = op.window
    if name not in yard.scripts:
        nodes = [stage.fleet.nodes[NodeId(rider.unit)] for rider in yard.roster.of_window(name)]
        yard.scripts[name] = read_train(yard.trains[name], stage.catalogue, nodes, yard.dues[name])
    return Facts(
        now=now,
        script=yard.scripts[name],
        catalogue=stage.catalogue,
        intents=stage.intents,
        begin_again_at=None,
        tally=tally,
        unproven={},
        standing=partial(yard.roster.standing, name),
        device_versions=stage.device_versions,
        carriers={},
        nodes_before=stage.fleet.nodes,
        closed={name: state.judged.reason for name, state in stage.gates.states.items() if state.is_closed},
    )


def run_trains(stage: Stage, run: Run, now: datetime) -> None:
    """Closes trains that have arrived, and opens one in every cluster where allowed work is near no window."""
    yard = open_yard(stage)
    _close_arrived(stage, yard, now)
    catalogue = stage.catalogue
    if not stage.has_trains or run.state is not RunState.RUNNING:
        return
    if any(may_ride(update, catalogue) for update in catalogue.updates.values()):
        boarding = _find_boarding(stage, yard, now)
        for cluster in sorted({stage.fleet.nodes[name].cluster for name in boarding}):
            _open_train(stage, yard, cluster, boarding, now)


def _close_arrived(stage: Stage, yard: Yard, now: datetime) -> None:
    over = [name for name in yard.trains if all(op.finished_at is not None for op in yard.roster.of_window(name))]
    if not over:
        return
    with stage.database.begin() as conn:
        for name in sorted(over):
            trains.close_train(conn, stage.run, name, now)
            left = sum(op.state is UnitState.LEFT_OUT for op in yard.roster.of_window(name))
            journal.append(conn, _line(yard.trains[name], "train.arrived", now, {"left_out": left}))
    for name in over:
        del yard.trains[name]
        yard.roster.drop_finished(name)


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What boarding is decided by, read at one moment."""

    fleet: Fleet
    policy: Policy
    pending: FleetPending
    skipped: frozenset[NodeId]
    failed: frozenset[tuple[NodeId, UpdateId]]
    ridden: Mapping[UpdateId, Ridden]


def _find_boarding(stage: Stage, yard: Yard, now: datetime) -> Mapping[NodeId, frozenset[UpdateId]]:
    """Nodes that board now, with what is done on them. Consent, freezes' rule and stale inventory are read anew."""
    with stage.database.read() as conn:
        look = _look(stage, conn, yard, now)
        ledger = consent.load_ledger(conn)
    wanted = {}
    for node in look.fleet.nodes.values():
        if node.name in look.skipped or node.state is not NodeState.IN_SERVICE or node.name not in look.pending.nodes:
            continue
        pending, held = look.pending.of_node(node), stage.campaign.phases.go_updates  # these begin in windows alone
        rides = find_rides(node, pending, look.fleet, stage.catalogue, held=held)
        rides = frozenset(name for name in rides if (node.name, name) not in look.failed)
        if rides:
            wanted[node.name] = rides
    free = find_free(look.fleet, look.policy, look.pending, ledger, wanted, Interval(now, now + NEAR))
    return who_rides(free, look.skipped, look.ridden)


def _look(stage: Stage, conn: Connection, yard: Yard, now: datetime) -> _Look:
    fleet = inventory.load_fleet(conn)
    riders = trains.riders_of_run(conn, stage.run)
    updates = {t.id: t.updates for t in trains.load_trains(conn, stage.run)}
    dues = trains.load_dues(conn, stage.run)
    near = {
        name
        for row in stage.windows.values()
        if row.state in NOT_OPENED_YET and row.planned_start <= now + NEAR
        for name in stage.score(row.plan).windows[row.window].nodes
    }
    going = {train.cluster for train in yard.trains.values()}
    skipped = (
        near
        | unit_ops.nodes_in_work(conn)
        | set(work_orders.held_nodes(conn, fleet, now))
        | set(list_stale(conn, now).nodes)
        | set(stage.intents.nodes_named())
        | {NodeId(op.unit) for op in trains.unfinished_riders(conn)}
        | {n.name for c in fleet.clusters for n in fleet.nodes_by_cluster[c] if c in going}
        | {n.name for c in fleet.clusters.values() if not stage.campaign.scope.matches_cluster(c)
           for n in fleet.nodes_by_cluster[c.name]}
    )  # fmt: skip
    failed, ridden = _ridden(riders, updates, dues)
    return _Look(
        fleet=fleet,
        policy=inventory.load_policy(conn),
        pending=find_pending(fleet, stage.catalogue, stage.campaign.updates),
        skipped=frozenset(skipped),
        failed=failed,
        ridden=ridden,
    )


def _ridden(
    riders: Collection[UnitOp],
    updates: Mapping[WindowId, Sequence[UpdateId]],
    dues: Mapping[WindowId, Mapping[NodeId, int]],
) -> tuple[frozenset[tuple[NodeId, UpdateId]], Mapping[UpdateId, Ridden]]:
    """What failed on which node, and what came of each update on every train of the run: read from rows."""
    failed: set[tuple[NodeId, UpdateId]] = set()
    found: dict[UpdateId, Ridden] = {}
    for op in riders:
        due = dues[op.window][NodeId(op.unit)]
        for bit, name in ((bit, name) for bit, name in enumerate(updates[op.window]) if due >> bit & 1):
            tries, active = count_failed(op, APPLY_PREFIX + name), bool(op.active >> bit & 1)
            if tries and not active and op.finished_at is not None:
                failed.add((NodeId(op.unit), name))
            before = found.get(name, Ridden())
            found[name] = Ridden(failed=before.failed + tries, proven=before.proven + active)
    return frozenset(failed), found


def _open_train(
    stage: Stage, yard: Yard, cluster: ClusterId, boarding: Mapping[NodeId, frozenset[UpdateId]], now: datetime
) -> None:
    """What the nodes report now counts: who cannot be reached, or runs everything already, stays."""
    members = [node for node in stage.fleet.nodes_by_cluster[cluster] if node.name in boarding]
    seen = observe_nodes(stage.site, [node.name for node in members])
    ordered = order_updates(stage.catalogue.updates[name] for name in set().union(*(boarding[n.name] for n in members)))
    name = WindowId(f"train-{cluster}-{now:%Y%m%dT%H%MZ}")
    riders, dues = [], {}
    for rank, node in enumerate(sorted(members, key=lambda node: (node.fault_domain, node.name))):
        report = seen.get(node.name)
        if report is None or not report.reachable or report.state is not NodeState.IN_SERVICE:
            continue
        wanted = (u.id in boarding[node.name] and not _runs(report, u.component, u.to_version) for u in ordered)
        dues[node.name] = sum(1 << i for i, is_wanted in enumerate(wanted) if is_wanted)
        if dues[node.name]:
            op = UnitOp(
                id=0,
                run=stage.run,
                window=name,
                unit=node.name,
                kind=UnitKind.RIDER,
                cluster=cluster,
                fault_domain=node.fault_domain,
                rank=rank,
                in_service_before=True,
                next_at=now,
                versions_before=report.versions,
            )
            riders.append(op)
    with stage.database.begin() as conn:
        taken = unit_ops.nodes_in_work(conn)
        riders = [op for op in riders if op.unit not in taken]
        if not riders:
            return
        train = Train(
            id=name,
            run=stage.run,
            cluster=cluster,
            updates=tuple(update.id for update in ordered),
            cluster_nodes=len(stage.fleet.nodes_by_cluster[cluster]),
            riders=len(riders),
            opened_at=now,
            due_by=now + NEAR,
        )
        trains.add_train(conn, train, riders, dues)
        data = {"riders": len(riders), "updates": list(train.updates), "rate": STEADY.name}
        journal.append(conn, _line(train, "train.opened", now, data))
        yard.roster.put(op for op in trains.riders_of_open_trains(conn, stage.run) if op.window == name)
    yard.trains[name], yard.dues[name] = train, dues


def _runs(report: NodeSeen, component: str, version: str) -> bool:
    return is_at_least(report.versions.get(component, ""), version)


def _line(train: Train, event: str, now: datetime, data: Mapping[str, object]) -> Entry:
    subject = f"train:{train.id}"
    return Entry(at=now, actor=ACTOR, event=event, subject=subject, why="", data={"cluster": train.cluster, **data})
