"""Which windows of a run are its control phase: few nodes, as different as the first windows let them be."""

from collections.abc import Iterable, Mapping

from fermata.domain.fleet import Cluster
from fermata.domain.ids import ClusterId, WindowId
from fermata.domain.operations import WindowRun

ALMOST = 1e-9  # 0.05 x 40 is a little more than 2 in floating point


def choose_control(
    windows: Iterable[WindowRun], clusters: Mapping[ClusterId, Cluster], max_fraction: float
) -> frozenset[WindowId]:
    """Windows that together hold at most `max_fraction` of the nodes of all: by planned start, of every SKU one first.

    A window that is too large by itself is never one. Empty: every window is too large.
    """
    ordered = sorted(windows, key=lambda row: (row.planned_start, row.window))
    room = int(sum(row.nodes for row in ordered) * max_fraction + ALMOST)
    chosen: dict[WindowId, None] = {}
    skus: set[str] = set()
    for only_new in (True, False):
        for row in ordered:
            sku = clusters[row.cluster].sku
            if row.window not in chosen and row.nodes <= room and not (only_new and sku in skus):
                chosen[row.window] = None
                skus.add(sku)
                room -= row.nodes
    return frozenset(chosen)
