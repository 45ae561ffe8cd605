"""No more windows are open at any instant than each limit `cluster_windows at_once` allows.

Protects the people who conduct them: each open window needs eyes on it.
"""

from collections.abc import Iterator

from fermata.domain.campaign import LimitKind
from fermata.planning.case import at, limit_text, some
from fermata.planning.inputs import Violation
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
        for peak in find_peaks(spans, limit.at_once, reading.only):
            sentence = (
                f"{peak.total} windows are open at {at(peak.at)}, {limit.at_once} may be ({limit_text(limit)}):"
                f" {some(peak.windows)}."
            )
            yield Violation(rule=CODE, sentence=sentence, window=peak.windows[0])
