"""Whether what was written on nodes is still approved: asked by who is about to give them back, and by who asks whether
they may go.
"""

from collections.abc import Mapping

from fermata.domain.consent import find_consent
from fermata.domain.fleet import Fleet
from fermata.domain.ids import NodeId, UpdateId
from fermata.domain.pending import Due, FleetPending, UnitPending
from fermata.domain.policy import ConsentEntry, Policy
from fermata.domain.readmission import Target
from fermata.domain.reasons import Reason
from fermata.domain.updates import Update


def gaps_of_written(
    fleet: Fleet,
    policy: Policy,
    ledger: tuple[ConsentEntry, ...],
    written: Mapping[NodeId, tuple[Target, ...]],
    *,
    updates: Mapping[UpdateId, Update],
    asked: frozenset[UpdateId],
) -> Mapping[NodeId, tuple[Reason, ...]]:
    """What consent to the targets of each node lacks, () for nothing. `asked`: the updates that the plan looked for.

    A word that was said after work began is heard, too: people are refused it then, so that it can only be there when
    something is wrong, and somebody has to look.
    """
    nodes = {name: fleet.nodes[name] for name in written}
    clusters = {node.cluster: fleet.clusters[node.cluster] for node in nodes.values()}
    due = {
        name: UnitPending(due=tuple(Due(update=updates[t.update], from_version="") for t in targets))
        for name, targets in written.items()
    }
    pending = FleetPending(nodes=due, devices={}, asked=asked)
    gaps = find_consent(Fleet(clusters=clusters, nodes=nodes, devices={}), policy, pending, ledger).gaps
    return {name: (gaps[name],) if name in gaps else () for name in nodes}
