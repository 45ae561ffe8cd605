"""No more windows are open at any instant than each limit `cluster_windows at_once` allows.

Protects the people who conduct them: each open window needs eyes on it.
"""

from collections.abc import Iterator

from fermata.domain.campaign import LimitKind
from fermata.planning.case import at, limit_text, some
from fermata.planning.encoding import Capacity, Facts
from fermata.planning.inputs import Violation
from fermata.planning.limits import find_limits, make_capacity
from fermata.planning.reading import Reading
from fermata.planning.sweep import Span, find_peaks

CODE = "CLUSTER_WINDOWS"


def check(reading: Reading) -> Iterator[Violation]:
    """Times with too many windows of clusters that match the limit's `where`."""
    case = reading.case
    clusters = case.fleet.clusters
    for limit, _ in case.limits:
        if limit.what is not LimitKind.CLUSTER_WINDOWS or limit.at_once is None:
            continue
        spans = [
            Span(start=window.start, end=window.end, units=1, window=window.id)
            for window in reading.plan.windows
            if window.cluster in clusters
            and limit.where.matches_cluster(clusters[window.cluster])
            and case.counts_on(limit, window.start)
        ]
        for peak in find_peaks(spans, limit.at_once, reading.asked):
            sentence = (
                f"{peak.total} windows are open at {at(peak.at)}, {limit.at_once} may be ({limit_text(limit)}):"
                f" {some(peak.windows)}."
            )
            yield Violation(rule=CODE, sentence=sentence, window=peak.windows[0])


def encode(facts: Facts) -> Capacity:
    """One resource a limit; a window of a cluster that matches uses one."""
    numbers = find_limits(facts, LimitKind.CLUSTER_WINDOWS, lambda limit: limit.at_once is not None)
    return make_capacity(facts, numbers, lambda limit, taken: int(limit.where.matches_cluster(taken.cluster)))
