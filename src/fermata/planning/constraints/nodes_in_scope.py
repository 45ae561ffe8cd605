"""Only nodes that the inventory knows, that are in scope and that have pending work are planned.

Nodes of unknown version, which may have work, and those with work on a device alone, stand in unplanned at most.

Protects the nodes the campaign has no business with, and a count of nodes that means something.
"""

from collections.abc import Iterator, Sequence
from itertools import compress

from fermata.domain.ids import NodeId, WindowId
from fermata.planning.case import CheckCase, some
from fermata.planning.columns import NOBODY, Flags, Numbers, look_up
from fermata.planning.encoding import Facts, Takes
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "NODES_IN_SCOPE"


def check(reading: Reading) -> Iterator[Violation]:
    """Unknown nodes, nodes of clusters out of scope, and nodes with nothing to do, in windows and in unplanned."""
    case = reading.case
    for view in reading.windows:
        window = view.window
        yield from _judge(case, window.nodes, view.found, case.working, f"window {window.id}", window.id)
    if reading.only is None:
        is_right = case.working | case.alone | (case.scoped & case.dues.unknown)
        for group in reading.plan.unplanned:
            found = case.columns.nodes.find(group.nodes)
            yield from _judge(case, group.nodes, found, is_right, f"unplanned of {group.cluster}", None)


def _judge(
    case: CheckCase, names: Sequence[NodeId], found: Numbers, is_right: Flags, place: str, window: WindowId | None
) -> Iterator[Violation]:
    is_known = found != NOBODY
    is_scoped = look_up(case.scoped, found, absent=False)
    for fault, is_faulty in (
        ("not in the inventory", ~is_known),
        ("outside the campaign's scope", is_known & ~is_scoped),
        ("without pending work", is_scoped & ~look_up(is_right, found, absent=False)),
    ):
        nodes = tuple(compress(names, is_faulty.tolist())) if is_faulty.any() else ()
        if nodes:
            sentence = f"{place} holds {len(nodes):,} nodes {fault}: {some(nodes)}."
            yield Violation(rule=CODE, sentence=sentence, window=window, nodes=nodes)


def encode(facts: Facts) -> Takes:
    """Clusters that the campaign's scope matches; which of their nodes have work is `domain.pending`'s to say."""
    return Takes(covers=facts.inputs.campaign.scope.matches_cluster)
