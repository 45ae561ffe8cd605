"""Only nodes that the inventory knows, that are in scope and that have pending work are planned.

Nodes of unknown version, which may have work, and those with work on a device alone, stand in unplanned at most.

Protects the nodes the campaign has no business with, and a count of nodes that means something.
"""

from collections.abc import Iterable, Iterator

from fermata.domain.fleet import Node
from fermata.domain.ids import NodeId, WindowId
from fermata.planning.case import CheckCase, some
from fermata.planning.encoding import Facts, Takes
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "NODES_IN_SCOPE"


def check(reading: Reading) -> Iterator[Violation]:
    """Unknown nodes, nodes of clusters out of scope, and nodes with nothing to do, in windows and in unplanned."""
    case = reading.case
    for window in reading.selected:
        yield from _judge(case, window.nodes, f"window {window.id}", window.id)
    if reading.only is None:
        for group in reading.plan.unplanned:
            yield from _judge(case, group.nodes, f"unplanned of {group.cluster}", None)


def _judge(case: CheckCase, names: Iterable[NodeId], place: str, window: WindowId | None) -> Iterator[Violation]:
    found: dict[str, list[NodeId]] = {}
    for name in names:
        node = case.fleet.nodes.get(name)
        if node is None:
            found.setdefault("not in the inventory", []).append(name)
        elif node.cluster not in case.in_scope:
            found.setdefault("outside the campaign's scope", []).append(name)
        elif name not in case.working[node.cluster] and (window is not None or not _may_be_left(case, node)):
            found.setdefault("without pending work", []).append(name)
    for fault, nodes in found.items():
        sentence = f"{place} holds {len(nodes):,} nodes {fault}: {some(nodes)}."
        yield Violation(rule=CODE, sentence=sentence, window=window, nodes=tuple(nodes))


def _may_be_left(case: CheckCase, node: Node) -> bool:
    return node.name in case.unknown or node.name in case.alone[node.cluster]


def encode(facts: Facts) -> Takes:
    """Clusters that the campaign's scope matches; which of their nodes have work is `domain.pending`'s to say."""
    return Takes(covers=facts.inputs.campaign.scope.matches_cluster)
