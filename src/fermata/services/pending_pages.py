"""A page of what is pending: other clusters than those that it shows are counted, and no line of them is made."""

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping

from fermata.domain.ids import ClusterId
from fermata.domain.pending_lines import LineKind, Listing, PendingFilter, PendingLine, Standing, place_of
from fermata.services.request_record import Inputs


def count_once(inputs: Inputs, wanted: PendingFilter) -> Callable[[ClusterId], Iterable[LineKind]]:
    """Counts of clusters that are kept as long as nothing of them changes, but where units are named."""
    given = (inputs.fleet, inputs.catalogue, inputs.policy, inputs.basis.pending)
    if wanted.nodes or wanted.devices:
        return Listing(*given, wanted).count
    every = Listing(*given, PendingFilter())

    def count(cluster: ClusterId) -> Iterable[LineKind]:
        found = inputs.basis.once("lines", cluster, lambda name: tuple(every.count(name)))
        return (kind for kind in found if not wanted.updates or kind.update in wanted.updates)

    return count


def take_lines(
    listing: Listing,
    hidden: Collection[Standing],
    counts: Mapping[ClusterId, int],
    after: tuple[str | int, ...] | None,
    limit: int | None,
) -> tuple[list[PendingLine], int]:
    """So many lines from behind a place on, and how many there are before them: other clusters are only counted."""
    taken: list[PendingLine] = []
    passed = 0
    for cluster in listing.clusters:
        if after is not None and cluster < str(after[0]):
            passed += counts[cluster]
            continue
        if limit is not None and len(taken) >= limit and (after is None or cluster != after[0]):
            break
        lines = sorted((line for line in listing.lines(cluster) if line.standing not in hidden), key=place_of)
        start = 0 if after is None else bisect_right(lines, after, key=place_of)
        passed += start
        taken += lines[start:] if limit is None else lines[start : start + limit - len(taken)]
    return taken, passed
