"""Which work may be done by itself, away from any window: what nobody has to be asked about any more."""

from collections.abc import Mapping

from fermata.domain.allowances import covers
from fermata.domain.fleet import Fleet
from fermata.domain.hearing import Desk
from fermata.domain.ids import NodeId, UpdateId
from fermata.domain.ledger import Decisions
from fermata.domain.pending import FleetPending
from fermata.domain.policy import ConsentEntry, Policy
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
