"""What a run has taken in of work orders, in memory: whose people a unit goes to, and windows that no plan has."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from fermata.domain.ids import NodeId, OrderId, RunId, WindowId
from fermata.domain.plans import Window
from fermata.domain.reasons import AnyCode
from fermata.domain.repairs import Handed
from fermata.store import handovers, work_orders
from fermata.store.database import Connection
from fermata.store.handovers import Handover


@dataclass(kw_only=True)
class Handing:
    """`handed`: units by window, each with its last order. `amended`: what mended nodes are due for beyond their plan.
    `windows`: those that no plan has. `told`: why orders wait, as it was told last. `seen`, `looked_at`: how the orders
    stood when they were last gone through.
    """

    handed: dict[WindowId, dict[str, Handed]] = field(default_factory=dict)
    amended: dict[WindowId, dict[NodeId, int]] = field(default_factory=dict)
    windows: dict[WindowId, Window] = field(default_factory=dict)
    told: dict[OrderId, AnyCode] = field(default_factory=dict)
    seen: tuple[int, ...] | None = None
    looked_at: datetime | None = None
    _units: dict[OrderId, dict[tuple[WindowId, str], None]] = field(default_factory=dict)

    def of_order(self, order: OrderId) -> list[tuple[WindowId, str, Handed]]:
        """The units that were last handed over for an order."""
        keys = self._units.get(order, {})
        found = ((window, unit, self.handed[window][unit]) for window, unit in keys)
        return [each for each in found if each[2].order == order]

    def keys(self, *, ended: bool) -> set[tuple[WindowId, str, int]]:
        """The last stay of each unit with people, of those whose order is over, or is not known to be."""
        found = ((window, unit, each) for window, units in self.handed.items() for unit, each in units.items())
        return {(window, unit, each.number) for window, unit, each in found if each.ended is ended}

    def end(self, window: WindowId, unit: str) -> None:
        """The order of a unit is over."""
        self.handed[window][unit] = replace(self.handed[window][unit], ended=True)

    def put(self, found: Handover, *, ended: bool = False) -> None:
        """Takes in what is on record of one unit."""
        handed = Handed(order=found.order, kind=found.kind, number=found.number, ended=ended)
        self.handed.setdefault(found.window, {})[found.unit] = handed
        self._units.setdefault(found.order, {})[found.window, found.unit] = None
        if found.due_after is not None:
            self.amended.setdefault(found.window, {})[NodeId(found.unit)] = found.due_after


def load_handing(conn: Connection, run: RunId, told: dict[OrderId, AnyCode]) -> Handing:
    """All of it, from the store, but what was `told`."""
    found = handovers.load_handovers(conn, run)
    over = work_orders.ended_orders(conn, {each.order for each in found})
    handing = Handing(windows=handovers.load_windows(conn, run), told=told)
    for each in found:
        handing.put(each, ended=each.order in over)
    return handing
