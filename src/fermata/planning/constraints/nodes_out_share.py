"""No larger share of the in-scope nodes that match is out at any instant than each `at_once_fraction` allows.

The share is of all in-scope nodes that match `where`, with work or without, rounded down to whole nodes. Protects a
service from losing too much of one place at once.
"""

from collections.abc import Iterator
from math import floor

from fermata.domain.campaign import LimitKind
from fermata.planning.case import at, exactly, limit_text, some
from fermata.planning.encoding import Capacity, Facts
from fermata.planning.inputs import Violation
from fermata.planning.limits import count_nodes, find_limits, make_capacity
from fermata.planning.reading import Reading
from fermata.planning.sweep import find_node_peaks

CODE = "NODES_OUT_SHARE"


def check(reading: Reading) -> Iterator[Violation]:
    """Times over a limit."""
    case = reading.case
    for limit, matching in case.limits:
        if limit.what is not LimitKind.NODES_OUT or limit.at_once_fraction is None:
            continue
        nodes = int(matching.sum())
        cap = floor(exactly(limit.at_once_fraction) * nodes)
        for peak in find_node_peaks(case, reading, limit, matching, cap=cap):
            sentence = (
                f"{peak.total:,} of {nodes:,} nodes are out at {at(peak.at)}, {cap:,} may be"
                f" ({limit_text(limit)}, {limit.at_once_fraction:g}): windows {some(peak.windows)}."
            )
            yield Violation(rule=CODE, sentence=sentence, window=peak.windows[0])


def encode(facts: Facts) -> Capacity:
    """One resource a limit; a window uses its nodes that match."""
    numbers = find_limits(facts, LimitKind.NODES_OUT, lambda limit: limit.at_once_fraction is not None)
    return make_capacity(
        facts,
        numbers,
        lambda limit, taken: count_nodes(limit, taken.nodes, taken.cluster),
        keeps_reserve=True,
    )
