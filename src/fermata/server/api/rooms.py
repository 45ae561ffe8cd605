"""The rooms of windows: what is told in them, and what people say there."""

from typing import Annotated

from fastapi import status
from pydantic import Field

from fermata.domain.ids import CampaignId, TeamId, WindowId
from fermata.domain.room import BRIDGE_MAX, START, RoomLine
from fermata.server.api.bodies import Body, Name, Text
from fermata.server.api.nouns import open_noun
from fermata.server.context import Context, Given
from fermata.services import rooms
from fermata.services.rooms import (
    AnswerOrder,
    BridgeOrder,
    GoOrder,
    HandoverOrder,
    NoteOrder,
    RoomList,
    RoomView,
    Speaker,
)

POINTS_MAX = 50
ONE = "/windows/{window}/room"

router = open_noun("rooms")

Campaign = str | None


class SaidBody(Body):
    """Who says it."""

    actor: Name


class RollCallBody(SaidBody):
    """Which team is there, and what it adds."""

    team: Name
    text: Text = ""


class GoBody(SaidBody):
    """Go, or no-go, and why; on the window's start, or on the `update` that is named."""

    go: bool
    why: Text
    update: Name | None = None


class NoteBody(SaidBody):
    """What others should know."""

    text: Text


class HandoverBody(SaidBody):
    """Who has the room from now on, and what is open beside what the room asks for itself."""

    to: Name
    points: Annotated[list[Text], Field(default_factory=list, max_length=POINTS_MAX)]


class BridgeBody(SaidBody):
    """Where people of the room meet."""

    url: Annotated[str, Field(min_length=1, max_length=BRIDGE_MAX)]


@router.get("/rooms")
def get_rooms(given: Given, campaign: Campaign = None) -> RoomList:
    """Every window of the newest run, with what was told in its room last."""
    return rooms.list_rooms(given.db, _named(campaign))


@router.get(ONE)
def get_room(given: Given, window: Name, campaign: Campaign = None) -> RoomView:
    """The room of a window of the newest run: its messages, the roll-call, what people said."""
    return rooms.show_room(given.db, WindowId(window), campaign=_named(campaign))


@router.post(f"{ONE}/answers", status_code=status.HTTP_201_CREATED)
def post_answer(given: Given, window: Name, body: RollCallBody, campaign: Campaign = None) -> RoomLine:
    """A team answers the roll-call. A second answer of it changes nothing."""
    return rooms.speak(
        given.db, _by(given, window, body, campaign), AnswerOrder(team=TeamId(body.team), text=body.text)
    )


@router.post(f"{ONE}/words", status_code=status.HTTP_201_CREATED)
def post_go(given: Given, window: Name, body: GoBody, campaign: Campaign = None) -> RoomLine:
    """A person's go or no-go. It lets nothing begin that consent, freezes, gates or an operator's word forbid."""
    said = GoOrder(topic=body.update or START, is_go=body.go, why=body.why)
    return rooms.speak(given.db, _by(given, window, body, campaign), said)


@router.post(f"{ONE}/notes", status_code=status.HTTP_201_CREATED)
def post_note(given: Given, window: Name, body: NoteBody, campaign: Campaign = None) -> RoomLine:
    """Something that others should know."""
    return rooms.speak(given.db, _by(given, window, body, campaign), NoteOrder(text=body.text))


@router.post(f"{ONE}/handovers", status_code=status.HTTP_201_CREATED)
def post_handover(given: Given, window: Name, body: HandoverBody, campaign: Campaign = None) -> RoomLine:
    """Somebody takes the room, or takes it over; what the room asks for is on record with it."""
    said = HandoverOrder(to=body.to, points=tuple(body.points))
    return rooms.speak(given.db, _by(given, window, body, campaign), said)


@router.put(f"{ONE}/bridge")
def put_bridge(given: Given, window: Name, body: BridgeBody, campaign: Campaign = None) -> RoomLine:
    """Sets the bridge; the same link again changes nothing."""
    return rooms.speak(given.db, _by(given, window, body, campaign), BridgeOrder(url=body.url))


def _by(given: Context, window: str, body: SaidBody, campaign: Campaign) -> Speaker:
    return Speaker(window=WindowId(window), actor=body.actor, at=given.now(), campaign=_named(campaign))


def _named(campaign: Campaign) -> CampaignId | None:
    return CampaignId(campaign) if campaign else None
