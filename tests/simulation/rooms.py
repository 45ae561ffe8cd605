"""What the tests of rooms share: a rig whose conductor tells, and what it told."""

from pathlib import Path

from tests.simulation import small, stagehand

from fermata.domain.ids import WindowId
from fermata.domain.room import Message, RoomLine
from fermata.services.room_telling import StoreRooms
from fermata.sim.fates import NO_FAULTS, Faults
from fermata.store import rooms

WINDOW = WindowId("win-c0")
ROUGH = Faults(fails=0.1, fallout=0.1, mean_days_to_repair=0.2)


def rig(
    folder: Path,
    *,
    faults: Faults = NO_FAULTS,
    bridge: str = "",
    nodes: int = 24,
    campaign: small.Campaign | None = None,
) -> stagehand.Rig:
    """One cluster, one window, a day."""
    url = stagehand.fresh_sqlite(folder)
    found = stagehand.set_up(url, folder, fleet=small.fleet(1, nodes), faults=faults, seed=3, campaign=campaign)
    found.rooms = StoreRooms(found.database, bridge)
    return found


def lines(found: stagehand.Rig, window: WindowId = WINDOW) -> list[RoomLine]:
    """All of a room, oldest first."""
    with found.database.read() as conn:
        return list(rooms.load_lines(conn, found.run, window))


def told(found: stagehand.Rig, window: WindowId = WINDOW) -> list[Message]:
    """Its messages."""
    return [line.what for line in lines(found, window) if isinstance(line.what, Message)]
