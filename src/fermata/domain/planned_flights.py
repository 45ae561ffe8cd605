"""The flights that a plan brings to nodes, each as a whole: what is tried, on how many nodes, in which windows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.ids import UpdateId, WindowId
from fermata.domain.plans import Plan
from fermata.domain.updates import Flown


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFlight:
    """A flight with work in a plan. `windows` by start, of which `first_start` is the first, UTC."""

    update: UpdateId
    nodes: int
    windows: tuple[WindowId, ...]
    first_start: datetime


def find_planned_flights(plan: Plan, flights: Iterable[Flown]) -> tuple[PlannedFlight, ...]:
    """Those of `flights` that a window brings to a node, by name. `flights`: as the plan was made from them."""
    found = []
    for flown in sorted(flights, key=lambda flown: flown.update):
        bringing = [w for w in plan.windows if flown.update in w.updates and not flown.nodes.isdisjoint(w.nodes)]
        if not bringing:
            continue
        bringing.sort(key=lambda window: (window.start, window.id))
        found.append(
            PlannedFlight(
                update=flown.update,
                nodes=len(flown.nodes.intersection(node for window in bringing for node in window.nodes)),
                windows=tuple(window.id for window in bringing),
                first_start=bringing[0].start,
            )
        )
    return tuple(found)
