"""No more big clusters are taken whole on a calendar day than each limit `whole_big_clusters per_day` allows.

Big is a cluster with more nodes than `big_cluster_nodes`. Protects the fleet from losing several of its largest
machines on one day, and the teams from two long evenings at once.
"""

from collections.abc import Iterator
from datetime import date

from fermata.domain.campaign import Limit, LimitKind
from fermata.domain.plans import Mode, Window
from fermata.planning.case import some
from fermata.planning.encoding import Capacity, Facts, Taken
from fermata.planning.inputs import Violation
from fermata.planning.limits import find_limits, make_capacity
from fermata.planning.reading import Reading

CODE = "BIG_CLUSTERS_PER_DAY"


def check(reading: Reading) -> Iterator[Violation]:
    """Days, within from..until of the limit, with more whole windows of big clusters than allowed."""
    case = reading.case
    asked = {window.id for window in reading.selected}
    whole = [w for w in reading.plan.windows if w.mode is Mode.WHOLE and w.cluster in case.big]
    for limit, _ in case.limits:
        if limit.what is not LimitKind.WHOLE_BIG_CLUSTERS or limit.per_day is None:
            continue
        days: dict[date, list[Window]] = {}
        for window in whole:
            matches = limit.where.matches_cluster(case.fleet.clusters[window.cluster])
            if matches and case.counts_on(limit, window.start):
                days.setdefault(case.day_of(window.start), []).append(window)
        for day, windows in sorted(days.items()):
            if len(windows) > limit.per_day and any(window.id in asked for window in windows):
                sentence = (
                    f"{len(windows)} big clusters are taken whole on {day}, {limit.per_day} may be:"
                    f" {some(window.cluster for window in windows)}."
                )
                yield Violation(rule=CODE, sentence=sentence, window=windows[0].id)


def encode(facts: Facts) -> Capacity:
    """One resource a limit and day; a window that takes a big cluster whole uses one."""
    nodes_of, bound = facts.inputs.fleet.nodes_by_cluster, facts.inputs.campaign.big_cluster_nodes

    def count(limit: Limit, taken: Taken) -> int:
        is_big = len(nodes_of[taken.cluster.name]) > bound
        return int(is_big and taken.mode is Mode.WHOLE and limit.where.matches_cluster(taken.cluster))

    numbers = find_limits(facts, LimitKind.WHOLE_BIG_CLUSTERS, lambda limit: limit.per_day is not None)
    return make_capacity(facts, numbers, count)
