"""Which work may be done by itself, away from any window: what nobody has to be asked about any more."""

from collections.abc import Mapping

from fermata.domain.allowances import covers
from fermata.domain.closures import say_outside
from fermata.domain.consent import hear_nodes
from fermata.domain.fleet import Cluster, Fleet, Node
from fermata.domain.hearing import Desk
from fermata.domain.ids import ClusterId, NodeId, UpdateId
from fermata.domain.ledger import Decisions
from fermata.domain.pending import Due, FleetPending, UnitPending
from fermata.domain.policy import ConsentEntry, Policy
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.updates import Update
from fermata.domain.windows import Interval


def find_free(
    fleet: Fleet,
    policy: Policy,
    pending: FleetPending,
    ledger: tuple[ConsentEntry, ...],
    wanted: Mapping[NodeId, frozenset[UpdateId]],
    span: Interval,
) -> Mapping[NodeId, frozenset[UpdateId]]:
    """Of the updates wanted on each node, those that may be done by themselves at any time of `span`; nodes without any
    are absent. An approval that ties nodes or updates together, or counts nodes a day, speaks of outages: what it lets
    through waits for one.
    """
    desk = Desk(fleet, policy, pending, Decisions(fleet, ledger))
    found: dict[NodeId, frozenset[UpdateId]] = {}
    for name, updates in wanted.items():
        free = frozenset(update for update in updates if _is_free(desk, name, update, span))
        if free:
            found[name] = free
    return found


def _is_free(desk: Desk, name: NodeId, update: UpdateId, span: Interval) -> bool:
    said = desk.hear(desk.fleet.nodes[name], frozenset({update}))
    conditions = [entry.conditions for entry in said.entries]
    if said.is_lacking or any(c.with_scope or c.with_updates or c.nodes_per_day for c in conditions):
        return False
    return covers(said.allowances, span)


def find_lacks(
    nodes: Mapping[NodeId, Node],
    clusters: Mapping[ClusterId, Cluster],
    policy: Policy,
    ledger: tuple[ConsentEntry, ...],
    wanted: Mapping[NodeId, tuple[Update, Interval]],
) -> Mapping[NodeId, Reason]:
    """Of the nodes on which an update would be done by itself in that time: those on which it may not be any more, and
    why. `nodes` and `clusters`: as many of the fleet as are asked about.
    """
    due = {name: UnitPending(due=(Due(update=update, from_version=""),)) for name, (update, _) in wanted.items()}
    fleet = Fleet(clusters=clusters, nodes=nodes, devices={})
    desk = Desk(fleet, policy, FleetPending(nodes=due, devices={}, asked=frozenset()), Decisions(fleet, ledger))
    lacking = {name for name, (update, span) in wanted.items() if not _is_free(desk, name, update.id, span)}
    gaps = hear_nodes(desk, desk.say_all(nodes[name] for name in sorted(lacking))).gaps if lacking else {}
    return {name: gaps.get(name) or _say_unfree(desk, name, *wanted[name]) for name in lacking}


def _say_unfree(desk: Desk, name: NodeId, update: Update, span: Interval) -> Reason:
    """Of work that is approved: its approval has conditions that only a window meets, or it is not allowed now."""
    node = desk.fleet.nodes[name]
    allowances = desk.hear(node, frozenset({update.id})).allowances
    if covers(allowances, span):
        why = "its approval ties it to other work, or to a number of nodes a day, which speaks of outages."
        return reason(Code.RIDE_ENDS, unit=name, why=why)
    customer, length = desk.fleet.clusters[node.cluster].customer, span.end - span.start
    return say_outside(allowances, customer, f"node {name}", after=span.start, length=length)
