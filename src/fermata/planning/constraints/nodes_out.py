"""No more nodes are out at any instant than each limit `nodes_out at_once` allows.

A node is out over `[start, end)` of its window. Protects the capacity that stays in service.
"""

from collections.abc import Iterator

from fermata.domain.campaign import LimitKind
from fermata.planning.case import at, limit_text, some
from fermata.planning.encoding import Capacity, Facts
from fermata.planning.inputs import Violation
from fermata.planning.limits import count_nodes, find_limits, make_capacity
from fermata.planning.reading import Reading
from fermata.planning.sweep import find_node_peaks

CODE = "NODES_OUT"


def check(reading: Reading) -> Iterator[Violation]:
    """Times over a limit; nodes that match its `where` count."""
    case = reading.case
    for limit, matching in case.limits:
        if limit.what is not LimitKind.NODES_OUT or limit.at_once is None:
            continue
        for peak in find_node_peaks(case, reading, limit, matching, cap=limit.at_once):
            sentence = (
                f"{peak.total:,} nodes are out at {at(peak.at)}, {limit.at_once:,} may be ({limit_text(limit)}):"
                f" windows {some(peak.windows)}."
            )
            yield Violation(rule=CODE, sentence=sentence, window=peak.windows[0])


def encode(facts: Facts) -> Capacity:
    """One resource a limit; a window uses its nodes that match."""
    numbers = find_limits(facts, LimitKind.NODES_OUT, lambda limit: limit.at_once is not None)
    return make_capacity(
        facts,
        numbers,
        lambda limit, taken: count_nodes(limit, taken.nodes, taken.cluster),
        keeps_reserve=True,
    )
