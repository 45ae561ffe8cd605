"""Every in-scope node with production-ready work, or of unknown version, stands in one window or in unplanned.

Where work is due on a shared device alone, the nodes behind it stand in unplanned.

Protects against work that is forgotten, and against taking a node out twice for the same campaign.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from fermata.domain.ids import NodeId
from fermata.planning.case import some
from fermata.planning.columns import Flags
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "NODES_COVERED"
WRITTEN = "The model chooses exactly one way for each cluster; a way takes each node once."


def check(reading: Reading) -> Iterator[Violation]:
    """Nodes named nowhere (asked of whole plans only), in two windows, twice unplanned, or both planned and not."""
    nodes = reading.case.columns.nodes
    unplanned = nodes.count(nodes.find(group.nodes) for group in reading.plan.unplanned)
    planned, left = _count_strangers(reading)
    for view in reading.windows if reading.only is not None else reading.every_window:
        strangers = frozenset(view.strangers)
        twice = nodes.named(view.numbers[reading.times_taken[view.numbers] > 1])
        twice = tuple(sorted((*twice, *(name for name in strangers if planned[name] > 1))))
        if twice:
            sentence = f"{some(twice)} of window {view.window.id} also in another window: one outage is enough."
            yield Violation(rule=CODE, sentence=sentence, window=view.window.id, nodes=twice)
        both = nodes.named(view.numbers[unplanned[view.numbers] > 0])
        both = tuple(sorted((*both, *(name for name in strangers if left[name]))))
        if both:
            sentence = f"{some(both)} of window {view.window.id} also listed as unplanned."
            yield Violation(rule=CODE, sentence=sentence, window=view.window.id, nodes=both)
    if reading.only is not None:
        return
    repeated = nodes.named(np.flatnonzero(unplanned > 1))
    repeated = tuple(sorted((*repeated, *(name for name, count in left.items() if count > 1))))
    if repeated:
        yield Violation(rule=CODE, sentence=f"{some(repeated)} listed as unplanned twice.", nodes=repeated)
    yield from _find_absent(reading, (reading.times_taken == 0) & (unplanned == 0))


def _count_strangers(reading: Reading) -> tuple[Counter[NodeId], Counter[NodeId]]:
    """How often windows, and groups of unplanned nodes, name a node that the inventory does not know."""
    known = reading.case.columns.nodes.number
    planned = Counter(name for view in reading.every_window for name in frozenset(view.strangers))
    left = Counter(name for group in reading.plan.unplanned for name in group.nodes if name not in known)
    return planned, left


def _find_absent(reading: Reading, is_nowhere: Flags) -> Iterator[Violation]:
    case = reading.case
    asked = case.working | case.alone | (case.scoped & case.dues.unknown)
    numbers = np.flatnonzero(asked & is_nowhere)
    for cluster in case.columns.clusters_of(numbers):
        absent = case.columns.nodes.named(np.intersect1d(case.columns.members(cluster), numbers))
        sentence = f"{cluster}: {len(absent):,} nodes with work stand neither in a window nor in unplanned: "
        yield Violation(rule=CODE, sentence=f"{sentence}{some(absent)}.", nodes=absent)
