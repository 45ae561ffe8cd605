"""Where every in-scope node of a campaign stands, told from what was planned and what was conducted. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fermata.domain.campaign import Campaign
from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import NodeId, PlanId, UpdateId, WindowId
from fermata.domain.node_states import OUT, UnitKind, UnitState
from fermata.domain.operations import UnitOp, WindowRun
from fermata.domain.pending import FleetPending
from fermata.domain.plans import Plan
from fermata.domain.reasons import Code, Reason
from fermata.domain.report import NodeLine, Outcome, Span, VersionLine
from fermata.domain.run_states import NOT_OPENED_YET, WindowState
from fermata.domain.updates import Catalogue
from fermata.domain.usage import Outage
from fermata.domain.windows import Interval


@dataclass(frozen=True, kw_only=True)
class Books:
    """Everything an account is made from. `fleet` and `pending` are as they were when the first plan was made;
    `plans` are those that were in force, oldest first; `ops` are of nodes and devices, by id. `riders` are nodes that
    were served on impactless `trains`, each with its updates; `own`: those of windows that no plan has.
    """

    campaign: Campaign
    catalogue: Catalogue
    fleet: Fleet
    pending: FleetPending
    plans: tuple[Plan, ...]
    windows: tuple[WindowRun, ...]
    ops: tuple[UnitOp, ...]
    as_of: datetime
    riders: tuple[UnitOp, ...] = ()
    trains: Mapping[WindowId, Sequence[UpdateId]] = field(default_factory=dict)
    own: Mapping[WindowId, Sequence[UpdateId]] = field(default_factory=dict)


def account_for_nodes(books: Books) -> tuple[NodeLine, ...]:
    """One line for every in-scope node, by name."""
    node_ops = ops_by_unit(books, UnitKind.NODE)
    proven = proven_updates(books)
    standings = _standings_without_work(books)
    lines = [
        _line(books, node, node_ops.get(node.name, ()), proven.get(node.name, frozenset()), standings.get(node.name))
        for node in nodes_in_scope(books)
    ]
    return tuple(sorted(lines, key=lambda line: line.node))


def nodes_in_scope(books: Books) -> tuple[Node, ...]:
    """Every node of the clusters that the campaign is about."""
    return tuple(
        node
        for cluster, nodes in books.fleet.nodes_by_cluster.items()
        if books.campaign.scope.matches_cluster(books.fleet.clusters[cluster])
        for node in nodes
    )


def ops_by_unit(books: Books, kind: UnitKind) -> Mapping[str, tuple[UnitOp, ...]]:
    """The operations on each unit, in the order in which they were made."""
    found: dict[str, list[UnitOp]] = defaultdict(list)
    for op in books.ops:
        if op.kind is kind:
            found[op.unit].append(op)
    return {unit: tuple(ops) for unit, ops in found.items()}


def proven_updates(books: Books) -> Mapping[str, frozenset[UpdateId]]:
    """By unit, the updates whose version the unit was seen to run after they were written."""
    updates = {**window_updates(books), **books.trains, **books.own}
    found: dict[str, set[UpdateId]] = defaultdict(set)
    for op in (*books.ops, *books.riders):
        if op.active:
            found[op.unit].update(u for bit, u in enumerate(updates[op.window]) if op.active >> bit & 1)
    return {unit: frozenset(ids) for unit, ids in found.items()}


def window_updates(books: Books) -> Mapping[WindowId, Sequence[UpdateId]]:
    """The updates of each window in the order that the bits of an operation count them."""
    plans: dict[PlanId, Plan] = {plan.id: plan for plan in books.plans}
    followed = {window.window: window.plan for window in books.windows}
    return {
        window.id: window.updates
        for plan in plans.values()
        for window in plan.windows
        if followed.get(window.id) == plan.id
    }


def outages_of(books: Books) -> tuple[Outage, ...]:
    """When each node was held by us, from its lock until it was finished; a node still held, until now."""
    return tuple(
        Outage(
            node=NodeId(op.unit),
            cluster=op.cluster,
            out=Interval(op.locked_at, max(op.locked_at, op.finished_at or books.as_of)),
            in_service_before=op.in_service_before,
            ended=op.finished_at is not None,
        )
        for op in books.ops
        if op.kind is UnitKind.NODE and op.locked_at is not None
    )


def account_for_versions(books: Books) -> tuple[VersionLine, ...]:
    """Per update, on how many in-scope units it was due and is proven; by update id, those due nowhere left out."""
    due: dict[UpdateId, int] = defaultdict(int)
    seen: dict[UpdateId, int] = defaultdict(int)
    proven = proven_updates(books)
    in_scope = {name for name, c in books.fleet.clusters.items() if books.campaign.scope.matches_cluster(c)}
    units = [
        *(
            (node, books.pending.nodes[node])
            for node in books.pending.nodes
            if books.fleet.nodes[node].cluster in in_scope
        ),
        *((d, books.pending.devices[d]) for d in books.pending.devices if books.fleet.devices[d].cluster in in_scope),
    ]
    for unit, pending in units:
        for item in pending.due:
            due[item.update.id] += 1
            seen[item.update.id] += item.update.id in proven.get(unit, frozenset())
    return tuple(
        VersionLine(
            update=update,
            target=books.catalogue.updates[update].target,
            component=books.catalogue.updates[update].component,
            version=books.catalogue.updates[update].to_version,
            due=due[update],
            proven=seen[update],
        )
        for update in sorted(due)
    )


def _line(
    books: Books, node: Node, ops: Sequence[UnitOp], proven: frozenset[UpdateId], standing: "_Standing | None"
) -> NodeLine:
    targets = {item.update.component: item.update for item in books.pending.of_node(node).due}
    last = ops[-1] if ops else None
    outcome, reason = _outcome(last, standing)
    return NodeLine(
        node=node.name,
        cluster=node.cluster,
        outcome=outcome,
        window=last.window if last else standing.window if standing else None,
        out=Span(start=last.locked_at, end=last.finished_at) if last and last.locked_at else None,
        targets={component: update.to_version for component, update in targets.items()},
        proven={component: update.to_version for component, update in targets.items() if update.id in proven},
        retries=sum(sum(op.retries.values()) for op in ops),
        as_found=last is not None and last.state is UnitState.KEPT_OUT,
        reason=reason,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """Where a node without an operation stands."""

    outcome: Outcome
    window: WindowId | None
    reason: Reason | None


def _outcome(last: UnitOp | None, standing: _Standing | None) -> tuple[Outcome, Reason | None]:
    if last is None or last.state in {UnitState.LEFT_OUT, UnitState.PENDING}:
        if standing is None:
            return (Outcome.NO_WORK, None) if last is None else (Outcome.NOT_TAKEN, last.reason)
        return standing.outcome, standing.reason
    if last.state in OUT:
        held_back = last.state is UnitState.FAILED or last.tail_since is not None
        return (Outcome.TAIL, last.reason) if held_back else (Outcome.OUT, None)
    if last.reason is not None and last.reason.code is Code.GIVEN_BACK:
        return Outcome.NOT_TAKEN, last.reason
    return Outcome.RETURNED, None


def _standings_without_work(books: Books) -> Mapping[NodeId, _Standing]:
    """What the plans and their windows say about each node; the newest word counts."""
    found: dict[NodeId, _Standing] = {}
    runs = {window.window: window for window in books.windows}
    for plan in books.plans:
        for left in plan.unplanned:
            found |= {
                node: _Standing(outcome=Outcome.NOT_TAKEN, window=None, reason=left.reason) for node in left.nodes
            }
        for window in plan.windows:
            conducted = runs.get(window.id)
            if conducted is None or conducted.plan != plan.id:
                continue
            to_come = conducted.state in NOT_OPENED_YET or conducted.state is WindowState.OPEN
            standing = _Standing(
                outcome=Outcome.PLANNED if to_come else Outcome.NOT_TAKEN,
                window=window.id,
                reason=None if to_come else conducted.reason,
            )
            found |= dict.fromkeys(window.nodes, standing)
            for out in conducted.left_out:
                left_out = _Standing(outcome=Outcome.NOT_TAKEN, window=window.id, reason=out.reason)
                found |= dict.fromkeys(out.nodes, left_out)
    return found
