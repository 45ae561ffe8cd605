"""A window takes nodes of one cluster, and so does a group of unplanned nodes.

Protects whoever approves, freezes or counts by cluster from work that hides under another name.
"""

from collections.abc import Iterable, Iterator

from fermata.domain.ids import ClusterId, NodeId, WindowId
from fermata.planning.case import CheckCase, some
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "WINDOW_CLUSTER"
WRITTEN = "A way belongs to one cluster and takes nodes of no other."


def check(reading: Reading) -> Iterator[Violation]:
    """Unknown clusters, and known nodes that belong to another one."""
    case = reading.case
    for window in reading.selected:
        yield from _judge(case, window.cluster, window.nodes, f"Window {window.id}", window.id)
    if reading.only is None:
        for group in reading.plan.unplanned:
            yield from _judge(case, group.cluster, group.nodes, "Unplanned", None)


def _judge(
    case: CheckCase, cluster: ClusterId, names: Iterable[NodeId], place: str, window: WindowId | None
) -> Iterator[Violation]:
    if cluster not in case.fleet.clusters:
        yield Violation(rule=CODE, sentence=f"{place} names cluster {cluster}, which is unknown.", window=window)
        return
    known = case.fleet.nodes
    foreign = tuple(name for name in names if name in known and known[name].cluster != cluster)
    if foreign:
        sentence = f"{place} of {cluster} holds nodes of other clusters: {some(foreign)}."
        yield Violation(rule=CODE, sentence=sentence, window=window, nodes=foreign)
