"""May these nodes go back? The proof by what is on record, for people and automation; the conductor asks the same."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from fermata.domain.as_planned import as_today
from fermata.domain.consent_of_written import gaps_of_written
from fermata.domain.evidence import case_of
from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import ClusterId, DeviceId, NodeId, PlanId, RunId, WindowId
from fermata.domain.node_states import UnitState
from fermata.domain.operations import Run, UnitOp, WindowRun
from fermata.domain.pending import FleetPending, find_pending
from fermata.domain.plans import Plan
from fermata.domain.readmission import NotReadmitted, Proven, Target, judge
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.repairs import amend
from fermata.domain.scripts import WindowScript, read_script
from fermata.domain.updates import Catalogue
from fermata.services.errors import nearest, refuse_all
from fermata.store import consent, handovers, inventory, plans, runs, unit_ops, work_orders
from fermata.store.database import Connection, Database
from fermata.store.flights import load_planned


class MayReturn(StrEnum):
    """The answer. Of a node that no window has, nothing is asked."""

    YES = "yes"
    NO = "no"
    NOT_ASKED = "not_asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReturn:
    """One node. `window` None: none has it; else `state` is where it stands there. `as_of`: the run's clock, or when
    it went back. `proven`: targeted components that report their target; `missing`: all that lacks for a yes.
    """

    node: NodeId
    cluster: ClusterId
    answer: MayReturn
    sentence: str
    as_of: datetime | None
    window: WindowId | None
    state: UnitState | None
    proven: tuple[Proven, ...]
    missing: tuple[Reason, ...]


def judge_nodes(
    db: Database, names: Iterable[str], *, now: datetime | None = None, fleet: Fleet | None = None
) -> tuple[NodeReturn, ...]:
    """One answer for each name, in their order, each once. `now` None: the instant up to which its run was worked on.
    `fleet` None: it is read.

    Raises Refusal for names that nobody has.
    """
    wanted = tuple(dict.fromkeys(NodeId(name) for name in names))
    with db.read() as conn:
        fleet = inventory.load_fleet(conn) if fleet is None else fleet
        refuse_all(
            reason(Code.NODE_UNKNOWN, unit=name, nearest=nearest(name, fleet.nodes))
            for name in wanted
            if name not in fleet.nodes
        )
        return _Desk(conn, fleet, now).judge(wanted)


@dataclass(kw_only=True)
class _Files:
    """One plan with what its windows are read by."""

    plan: Plan
    fleet: Fleet
    pending: FleetPending
    scripts: dict[WindowId, WindowScript] = field(default_factory=dict)


class _Desk:
    """What is on record, each thing read once for a call."""

    def __init__(self, conn: Connection, fleet: Fleet, now: datetime | None) -> None:
        self._conn = conn
        self._fleet = fleet
        self._now = now
        self._runs: dict[RunId, Run] = {}
        self._windows: dict[tuple[RunId, WindowId], WindowRun] = {}
        self._files: dict[PlanId, _Files] = {}
        self._devices: dict[tuple[RunId, WindowId], Mapping[DeviceId, UnitState]] = {}

    def judge(self, names: Sequence[NodeId]) -> tuple[NodeReturn, ...]:
        ops = unit_ops.latest_ops_of(self._conn, names)
        held = {name: op for name, op in ops.items() if op.state is not UnitState.LEFT_OUT}
        gaps = self._gaps([op for op in held.values() if op.finished_at is None])
        ordered = self._ordered([name for name in names if name not in held or held[name].finished_at is not None])
        found = []
        for name in names:
            node, op = self._fleet.nodes[name], held.get(name)
            if name in ordered:
                found.append(_no(node, (ordered[name],)))
            elif op is None:
                found.append(_not_asked(node))
            elif op.finished_at is not None:
                found.append(self._done(node, op, op.finished_at))
            else:
                found.append(self._open(node, op, gaps.get(name)))
        return tuple(found)

    def _ordered(self, names: Sequence[NodeId]) -> Mapping[NodeId, Reason]:
        """Nodes that a work order holds: nobody scales those in before it is completed."""
        at = self._now or max((run.clock_at for run in runs.list_runs(self._conn)), default=None)
        if not names or at is None:
            return {}
        found = work_orders.held_nodes(self._conn, self._fleet, at)
        return {name: found[name] for name in names if name in found and found[name].code is Code.HELD_BY_ORDER}

    def _done(self, node: Node, op: UnitOp, at: datetime) -> NodeReturn:
        script = self._script(op)
        went = "went back" if op.state is UnitState.RETURNED else "was released, out of service as it was found,"
        told = reason(Code.RETURN_DONE, unit=op.unit, went=went, at=f"{at:%Y-%m-%d %H:%MZ}", window=op.window)
        return NodeReturn(
            node=node.name,
            cluster=node.cluster,
            answer=MayReturn.YES,
            sentence=told.sentence,
            as_of=at,
            window=op.window,
            state=op.state,
            proven=judge(case_of(op, script, (), {}), at).proven,
            missing=(),
        )

    def _open(self, node: Node, op: UnitOp, gaps: tuple[Reason, ...] | None) -> NodeReturn:
        at = self._now or self._run(op).clock_at
        if op.state is UnitState.PENDING:
            return _no(node, (reason(Code.RETURN_NOT_TAKEN, unit=op.unit, window=op.window),), op=op, as_of=at)
        verdict = judge(case_of(op, self._script(op), gaps, self._unproven(op), ends=_ends(op)), at)
        if isinstance(verdict, NotReadmitted):
            return _no(node, verdict.missing, op=op, as_of=at, proven=verdict.proven)
        return NodeReturn(
            node=node.name,
            cluster=node.cluster,
            answer=MayReturn.YES,
            sentence=reason(Code.RETURN_MAY, unit=op.unit, window=op.window).sentence,
            as_of=at,
            window=op.window,
            state=op.state,
            proven=verdict.proven,
            missing=(),
        )

    def _gaps(self, ops: Sequence[UnitOp]) -> Mapping[NodeId, tuple[Reason, ...]]:
        if not ops:
            return {}
        policy, ledger = inventory.load_policy(self._conn), consent.load_ledger(self._conn)
        by_plan: dict[PlanId, dict[NodeId, tuple[Target, ...]]] = {}
        for op in ops:
            node = NodeId(op.unit)
            by_plan.setdefault(self._plan(op).plan.id, {})[node] = self._script(op).targets(node, op.undo)
        found: dict[NodeId, tuple[Reason, ...]] = {}
        for name, written in by_plan.items():
            files = self._files[name]
            updates, asked = self._catalogue.updates, files.pending.asked
            fleet = as_today(written, files.fleet, self._fleet)
            found |= gaps_of_written(fleet, policy, ledger, written, updates=updates, asked=asked)
        return found

    @cached_property
    def _catalogue(self) -> Catalogue:
        return inventory.load_catalogue(self._conn)

    def _run(self, op: UnitOp) -> Run:
        if op.run not in self._runs:
            run = runs.load_run(self._conn, op.run)
            assert run is not None, "every operation is of a run"
            self._runs[op.run] = run
        return self._runs[op.run]

    def _plan(self, op: UnitOp) -> _Files:
        key = (op.run, op.window)
        if key not in self._windows:
            row = runs.load_window(self._conn, op.run, op.window)
            assert row is not None, "every operation is of a window"
            self._windows[key] = row
        name = self._windows[key].plan
        if name not in self._files:
            plan = plans.load_plan(self._conn, name)
            fleet = plans.load_fleet_snapshot(self._conn, plan.inputs.fleet)
            campaign = inventory.load_campaign(self._conn, plan.campaign)
            pending = find_pending(fleet, load_planned(self._conn, self._catalogue, plan), campaign.updates)
            self._files[name] = _Files(plan=plan, fleet=fleet, pending=pending)
        return self._files[name]

    def _script(self, op: UnitOp) -> WindowScript:
        files = self._plan(op)
        if op.window not in files.scripts:
            planned = {each.id: each for each in files.plan.windows}
            window = planned.get(op.window) or handovers.load_windows(self._conn, op.run)[op.window]
            is_planned = window.id in planned
            script = read_script(window, files.fleet, files.pending, self._catalogue, planned=is_planned)
            for each in handovers.load_handovers(self._conn, op.run):
                if each.window == op.window and each.due_after is not None:
                    script = amend(script, NodeId(each.unit), each.due_after)
            files.scripts[op.window] = script
        return files.scripts[op.window]

    def _unproven(self, op: UnitOp) -> Mapping[DeviceId, UnitState]:
        key = (op.run, op.window)
        if key not in self._devices:
            of_window = unit_ops.devices_of_window(self._conn, *key)
            self._devices[key] = {DeviceId(d.unit): d.state for d in of_window if d.state is not UnitState.PROVEN}
        return self._devices[key]


def _no(
    node: Node,
    missing: tuple[Reason, ...],
    *,
    op: UnitOp | None = None,
    as_of: datetime | None = None,
    proven: tuple[Proven, ...] = (),
) -> NodeReturn:
    pieces = "1 piece of evidence is" if len(missing) == 1 else f"{len(missing)} pieces of evidence are"
    return NodeReturn(
        node=node.name,
        cluster=node.cluster,
        answer=MayReturn.NO,
        sentence=reason(Code.RETURN_MAY_NOT, unit=node.name, pieces=pieces).sentence,
        as_of=as_of,
        window=op.window if op is not None else None,
        state=op.state if op is not None else None,
        proven=proven,
        missing=missing,
    )


def _not_asked(node: Node) -> NodeReturn:
    state = node.state.value.replace("_", " ")
    return NodeReturn(
        node=node.name,
        cluster=node.cluster,
        answer=MayReturn.NOT_ASKED,
        sentence=reason(Code.RETURN_OF_NOBODY, unit=node.name, state=state).sentence,
        as_of=None,
        window=None,
        state=None,
        proven=(),
        missing=(),
    )


def _ends(op: UnitOp) -> bool:
    """True of a node that goes back early, by an abort: its row says so."""
    return op.reason is not None and op.reason.code is Code.GIVEN_BACK
