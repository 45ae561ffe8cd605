"""The verbs of rooms over a store of one's own."""

from dataclasses import dataclass

from fermata.domain.ids import CampaignId, WindowId
from fermata.domain.room import RoomLine
from fermata.services import rooms
from fermata.wiring import clocks
from fermata.wiring.stores import Database


@dataclass(frozen=True, slots=True)
class RoomVerbs:
    """The services, on real time."""

    database: Database

    def list_rooms(self, campaign: CampaignId | None) -> rooms.RoomList:
        return rooms.list_rooms(self.database, campaign)

    def show_room(self, window: WindowId, campaign: CampaignId | None) -> rooms.RoomView:
        return rooms.show_room(self.database, window, campaign=campaign)

    def speak_in_room(
        self, window: WindowId, said: rooms.RoomOrder, campaign: CampaignId | None, *, actor: str
    ) -> RoomLine:
        by = rooms.Speaker(window=window, actor=actor, at=clocks.utc_now(), campaign=campaign)
        return rooms.speak(self.database, by, said)
