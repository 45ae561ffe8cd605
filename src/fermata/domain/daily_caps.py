"""How many nodes may go a day by the approvals that say so: heard by planner, checker and conductor."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import ApprovalId, NodeId, UpdateId
from fermata.domain.ledger import Decisions, nodes_of
from fermata.domain.policy import ConsentEntry, Policy, Stance
from fermata.domain.updates import Update


@dataclass(frozen=True, kw_only=True)
class DailyCap:
    """At most `most` of `nodes` go on one day, as the entry says that decides about work on each of them."""

    entry: ConsentEntry
    most: int
    nodes: frozenset[NodeId]

    @property
    def id(self) -> ApprovalId:
        """The entry's."""
        return self.entry.id


def find_daily_caps(
    fleet: Fleet, policy: Policy, updates: Mapping[UpdateId, Update], ledger: Iterable[ConsentEntry]
) -> tuple[DailyCap, ...]:
    """Every bound that an approval sets for a day and that could be broken, in the order of the ledger.

    What is due does not count here, so that a node that went already still does. What the policy lets through at any
    time needs no approval, and has no bound.
    """
    known = tuple(ledger)
    bounding = [entry for entry in known if entry.conditions.nodes_per_day is not None]
    if not bounding:
        return ()
    decided = Decisions(fleet, known)
    found = []
    for entry in bounding:
        nodes = frozenset(
            n.name for n in nodes_of(fleet, entry) if _is_bound(fleet, policy, updates, decided, entry, n)
        )
        assert entry.conditions.nodes_per_day is not None
        if len(nodes) > entry.conditions.nodes_per_day:  # fewer can never be too many
            found.append(DailyCap(entry=entry, most=entry.conditions.nodes_per_day, nodes=nodes))
    return tuple(found)


def _is_bound(
    fleet: Fleet,
    policy: Policy,
    updates: Mapping[UpdateId, Update],
    decided: Decisions,
    entry: ConsentEntry,
    node: Node,
) -> bool:
    """True when `entry` approves work on `node` that the policy does not let through at any time."""
    standing = decided.standing(node)
    if entry not in standing:
        return False
    return any(
        decided.pick(standing, name) is entry
        and policy.judge_update(updates[name], node, fleet.clusters[node.cluster]).stance is not Stance.ALLOW
        for name in sorted(entry.updates)
        if name in updates
    )
