"""A window takes nodes of one cluster, and so does a group of unplanned nodes.

Protects whoever approves, freezes or counts by cluster from work that hides under another name.
"""

from collections.abc import Iterator, Sequence
from itertools import compress

from fermata.domain.ids import ClusterId, NodeId, WindowId
from fermata.planning.case import CheckCase, some
from fermata.planning.columns import Numbers, look_up
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "WINDOW_CLUSTER"
WRITTEN = "A way belongs to one cluster and takes nodes of no other."


def check(reading: Reading) -> Iterator[Violation]:
    """Unknown clusters, and known nodes that belong to another one."""
    for view in reading.windows:
        window = view.window
        yield from _judge(reading.case, window.cluster, window.nodes, view.found, f"Window {window.id}", window.id)
    if reading.only is None:
        for group in reading.plan.unplanned:
            found = reading.case.columns.nodes.find(group.nodes)
            yield from _judge(reading.case, group.cluster, group.nodes, found, "Unplanned", None)


def _judge(
    case: CheckCase, cluster: ClusterId, names: Sequence[NodeId], found: Numbers, place: str, window: WindowId | None
) -> Iterator[Violation]:
    number = case.columns.clusters.get(cluster)
    if number is None:
        yield Violation(rule=CODE, sentence=f"{place} names cluster {cluster}, which is unknown.", window=window)
        return
    is_foreign = look_up(case.columns.nodes.cluster, found, number) != number
    if is_foreign.any():
        foreign = tuple(compress(names, is_foreign.tolist()))
        sentence = f"{place} of {cluster} holds nodes of other clusters: {some(foreign)}."
        yield Violation(rule=CODE, sentence=sentence, window=window, nodes=foreign)
