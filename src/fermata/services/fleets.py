"""The fleet as the store has it, remembered in this process from one look to the next: a million nodes take a quarter
of a minute to read, what changed since then a moment.
"""

from dataclasses import dataclass

from fermata.domain.fleet import Fleet
from fermata.store import fleet_changes, inventory
from fermata.store.database import Connection, recall, remember

_FLEET = "the fleet"  # under which it is remembered
CHANGES_MIN, CHANGES_SHARE = 1_000, 0.01  # so many units, or that share of the nodes, are read by name


@dataclass(frozen=True, kw_only=True)
class _Known:
    fleet: Fleet
    change: int


def read_fleet(conn: Connection) -> Fleet:
    """As `inventory.load_fleet`."""
    before: _Known | None = recall(conn, _FLEET)
    change = fleet_changes.last_change(conn)
    if before is not None and before.change == change:
        return before.fleet
    changes = read_changes(conn, before.fleet, before.change) if before is not None else None
    if before is not None and changes is not None:
        fleet = before.fleet.changed(changes.nodes, changes.devices)
    else:
        fleet = inventory.load_fleet(conn)
    keep_fleet(conn, fleet, change)
    return fleet


def keep_fleet(conn: Connection, fleet: Fleet, change: int) -> None:
    """Remembers a fleet that says all that the store does after that change."""
    remember(conn, _FLEET, _Known(fleet=fleet, change=change))


def read_changes(conn: Connection, fleet: Fleet, after: int) -> fleet_changes.Changes | None:
    """What changed of that fleet since then; None when it is as quick to read all of it."""
    most = max(CHANGES_MIN, int(CHANGES_SHARE * len(fleet.nodes)))
    return fleet_changes.read_changes(conn, after=after, most=most)
