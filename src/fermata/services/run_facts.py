"""What is known of a run beside its plan, gathered from the store: the facts in which a deviation is found."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from fermata.domain.campaign import LimitKind
from fermata.domain.consent import consent_gaps
from fermata.domain.deviation import RunFacts, TailUse, is_quiet
from fermata.domain.ids import ClusterId, NodeId, WindowId
from fermata.domain.node_states import OUT, UnitKind
from fermata.domain.observed import Fate
from fermata.domain.openings import count_limits, limit_words
from fermata.domain.operations import Run
from fermata.domain.pending import has_work, work_on
from fermata.domain.plans import Plan
from fermata.domain.reasons import Code
from fermata.domain.replanning import waiting_nodes
from fermata.domain.run_states import NOT_OPENED_YET
from fermata.domain.sentences_of_consent import OF_CONSENT
from fermata.planning.checker import check_plan
from fermata.planning.inputs import PlanningInput
from fermata.services.plans import load_inputs
from fermata.store import runs, unit_ops
from fermata.store.database import Connection
from fermata.store.flights import load_planned

BARRING = frozenset(
    {"ALLOWED_WINDOWS", "CONSENT", "FLIGHTS", "FREEZE", "WORK_ORDERS"}
)  # rules whose answer changes by the day


def gather_facts(conn: Connection, run: Run, inputs: PlanningInput) -> RunFacts:
    """The facts at `inputs.now`. `inputs`: what a plan that follows the run's would be made from."""
    plan = inputs.parent
    assert plan is not None, "a run conducts a plan"
    named = {window.id for window in plan.windows}
    rows = tuple(row for row in runs.load_windows(conn, run.id) if row.window in named)
    ahead = frozenset(row.window for row in rows if row.state in NOT_OPENED_YET)
    return RunFacts(
        plan=plan.id,
        windows=rows,
        left=_left(inputs),
        barred=_barred(conn, plan, ahead),
        gone=_gone(plan, ahead, inputs),
        new=_new(plan, inputs),
        freed=_by_cluster(sorted({*_freed(plan, inputs), *_cleared(conn, plan, ahead, inputs)})),
        tail=_tail(conn, run, inputs),
        is_quiet=is_quiet(rows),
    )


def _left(inputs: PlanningInput) -> Mapping[WindowId, tuple[NodeId, ...]]:
    seen = inputs.observed.windows if inputs.observed is not None else ()
    return {window.window: tuple(sorted(window.again)) for window in seen if window.fate is Fate.DONE and window.again}


def _barred(
    conn: Connection, plan: Plan, ahead: frozenset[WindowId]
) -> Mapping[WindowId, Mapping[str, tuple[NodeId, ...]]]:
    found: dict[WindowId, dict[str, tuple[NodeId, ...]]] = {}
    for violation in check_plan(load_inputs(conn, plan), plan, only=ahead) if ahead else ():
        if violation.rule in BARRING and violation.window in ahead and violation.nodes:
            of_window = found.setdefault(violation.window, {})
            of_window[violation.sentence] = tuple(sorted(violation.nodes))
    return found


def _gone(plan: Plan, ahead: frozenset[WindowId], inputs: PlanningInput) -> Mapping[ClusterId, tuple[NodeId, ...]]:
    nodes = inputs.fleet.nodes
    return _by_cluster(
        (window.cluster, name)
        for window in plan.windows
        if window.id in ahead
        for name in window.nodes
        if name not in nodes or nodes[name].cluster != window.cluster
    )


def _new(plan: Plan, inputs: PlanningInput) -> Mapping[ClusterId, tuple[NodeId, ...]]:
    """Nodes in scope with work that stand nowhere in the plan; those that work orders keep have their own reason."""
    fleet, pending = inputs.fleet, inputs.pending_now
    told = {name for window in plan.windows for name in window.nodes}
    told |= {name for group in plan.unplanned for name in group.nodes}
    return _by_cluster(
        (node.cluster, node.name)
        for node in fleet.nodes.values()
        if node.name not in told
        and node.name not in inputs.held
        and inputs.campaign.scope.matches_cluster(fleet.clusters[node.cluster])
        and has_work(fleet, pending, node)
    )


def _freed(plan: Plan, inputs: PlanningInput) -> Iterable[tuple[ClusterId, NodeId]]:
    """Nodes that the plan left out because nobody had agreed, and somebody has by now."""
    fleet, pending = inputs.fleet, inputs.pending_now
    groups = [g for g in plan.unplanned if g.reason.code in OF_CONSENT or g.reason.code is Code.CONSENT_AGAIN]
    if not groups or inputs.ledger is None:
        return ()
    gaps = consent_gaps(fleet, inputs.policy, pending, inputs.ledger)
    waiting = waiting_nodes(fleet, inputs.policy, pending, plan, inputs.ledger)
    return (
        (group.cluster, name)
        for group in groups
        for name in group.nodes
        if name in fleet.nodes
        and name not in gaps
        and name not in waiting
        and has_work(fleet, pending, fleet.nodes[name])
    )


def _cleared(
    conn: Connection, plan: Plan, ahead: frozenset[WindowId], inputs: PlanningInput
) -> Iterable[tuple[ClusterId, NodeId]]:
    """Nodes of windows to come that bring no flight to them, and on which one was approved since."""
    if not inputs.catalogue.flights:
        return ()
    planned = load_planned(conn, replace(inputs.catalogue, flights=()), plan)
    known = {(flown.update, name) for flown in planned.flights for name in flown.nodes}
    fresh = {(f.update, name) for f in inputs.catalogue.flights for name in f.nodes} - known
    fleet, pending = inputs.fleet, inputs.pending_now
    due = {
        name for update, name in fresh if any(work.id == update for work in work_on(fleet, pending, fleet.nodes[name]))
    }
    return (
        (window.cluster, name) for window in plan.windows if window.id in ahead for name in window.nodes if name in due
    )


def _tail(conn: Connection, run: Run, inputs: PlanningInput) -> tuple[TailUse, ...]:
    out = {NodeId(op.unit) for op in unit_ops.tail_ops(conn, run.id) if op.kind is UnitKind.NODE and op.state in OUT}
    return tuple(
        TailUse(limit=limit_words(limit), allowed=allowed, used=len(members & out))
        for limit, members, allowed in count_limits(inputs.campaign, inputs.fleet).counted
        if limit.what is LimitKind.NODES_OUT
    )


def _by_cluster(pairs: Iterable[tuple[ClusterId, NodeId]]) -> Mapping[ClusterId, tuple[NodeId, ...]]:
    found: dict[ClusterId, list[NodeId]] = {}
    for cluster, name in pairs:
        found.setdefault(cluster, []).append(name)
    return {cluster: tuple(sorted(names)) for cluster, names in found.items()}
