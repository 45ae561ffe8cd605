"""Every in-scope node with production-ready work, or of unknown version, stands in one window or in unplanned.

Where work is due on a shared device alone, the nodes behind it stand in unplanned.

Protects against work that is forgotten, and against taking a node out twice for the same campaign.
"""

from collections import Counter
from collections.abc import Iterator

from fermata.planning.case import some
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "NODES_COVERED"
WRITTEN = "The model chooses exactly one way for each cluster; a way takes each node once."


def check(reading: Reading) -> Iterator[Violation]:
    """Nodes named nowhere (asked of whole plans only), in two windows, twice unplanned, or both planned and not."""
    case = reading.case
    plan = reading.plan
    places = Counter(name for window in plan.windows for name in set(window.nodes))
    unplanned = Counter(name for group in plan.unplanned for name in group.nodes)
    for window in reading.selected if reading.only is not None else plan.windows:
        twice = tuple(sorted(name for name in set(window.nodes) if places[name] > 1))
        if twice:
            sentence = f"{some(twice)} of window {window.id} also in another window: one outage is enough."
            yield Violation(rule=CODE, sentence=sentence, window=window.id, nodes=twice)
        both = tuple(sorted(name for name in set(window.nodes) if unplanned[name]))
        if both:
            sentence = f"{some(both)} of window {window.id} also listed as unplanned."
            yield Violation(rule=CODE, sentence=sentence, window=window.id, nodes=both)
    if reading.only is not None:
        return
    repeated = tuple(sorted(name for name, count in unplanned.items() if count > 1))
    if repeated:
        yield Violation(rule=CODE, sentence=f"{some(repeated)} listed as unplanned twice.", nodes=repeated)
    members = case.fleet.nodes_by_cluster
    for cluster in sorted(case.working):
        asked = case.working[cluster] | case.alone[cluster]
        asked |= {n.name for n in members[cluster] if n.name in case.unknown}
        absent = tuple(sorted(n for n in asked if n not in places and n not in unplanned))
        if absent:
            sentence = f"{cluster}: {len(absent):,} nodes with work stand neither in a window nor in unplanned: "
            yield Violation(rule=CODE, sentence=f"{sentence}{some(absent)}.", nodes=absent)
