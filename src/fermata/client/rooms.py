"""Rooms of windows."""

from dataclasses import dataclass
from typing import assert_never

from fermata.client.part import Part, campaign_params, path_part
from fermata.domain.ids import CampaignId, WindowId
from fermata.domain.room import START, RoomLine
from fermata.services.rooms import (
    AnswerOrder,
    BridgeOrder,
    GoOrder,
    HandoverOrder,
    NoteOrder,
    RoomList,
    RoomOrder,
    RoomView,
)


@dataclass(frozen=True, slots=True)
class RoomsVerbs(Part):
    """Rooms of windows."""

    def list_rooms(self, campaign: CampaignId | None) -> RoomList:
        return self.link.get(RoomList, "/rooms", campaign_params(campaign))

    def show_room(self, window: WindowId, campaign: CampaignId | None) -> RoomView:
        return self.link.get(RoomView, _path(window), campaign_params(campaign))

    def speak_in_room(self, window: WindowId, said: RoomOrder, campaign: CampaignId | None, *, actor: str) -> RoomLine:
        path, params, by = _path(window), campaign_params(campaign), {"actor": actor}
        match said:
            case AnswerOrder(team=team, text=text):
                return self.link.post(RoomLine, f"{path}/answers", {**by, "team": team, "text": text}, params)
            case GoOrder(topic=topic, is_go=is_go, why=why):
                body = {**by, "go": is_go, "why": why, "update": None if topic == START else topic}
                return self.link.post(RoomLine, f"{path}/words", body, params)
            case NoteOrder(text=text):
                return self.link.post(RoomLine, f"{path}/notes", {**by, "text": text}, params)
            case HandoverOrder(to=to, points=points):
                handed = {**by, "to": to, "points": list(points)}
                return self.link.post(RoomLine, f"{path}/handovers", handed, params)
            case BridgeOrder(url=url):
                return self.link.put(RoomLine, f"{path}/bridge", {**by, "url": url}, params)
            case _:
                assert_never(said)


def _path(window: WindowId) -> str:
    return f"/windows/{path_part(window)}/room"
