"""AWS's metadata for clients inside a node: scheduled maintenance and what is over, behind a session's token.

Nothing is approved here: that world has no word for it inside a node.
"""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import orjson

from fermata.domain.request_kinds import RequestKind
from fermata.domain.scheduled_events import EventStatus, EventType, ScheduledEvent, past_events
from fermata.server.callers import BadToken
from fermata.server.doors.node_front import TEXT, BadCall, Call, Door, Reply

TTL_HEADER, TOKEN_HEADER = b"x-aws-ec2-metadata-token-ttl-seconds", b"x-aws-ec2-metadata-token"
TTL_MAX = 21_600
SESSION = "metadata session"
CODES = {EventType.REBOOT: "system-reboot", EventType.FREEZE: "system-maintenance"}
RETIREMENT = "instance-retirement"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


async def put_token(call: Call) -> Reply:
    """A token for so many seconds, good for this node alone."""
    text = call.header(TTL_HEADER)
    if not text.isdecimal() or not 1 <= int(text) <= TTL_MAX:
        raise BadCall(f"{TTL_HEADER.decode()} must be from 1 to {TTL_MAX} seconds.")
    token = call.given.node_keys.sign(
        call.given.node_keys.claims(call.node, audience=SESSION, now=call.given.now(), seconds=int(text))
    )
    return Reply(body=token.encode(), media_type=TEXT, headers=((TTL_HEADER, text.encode()),))


async def get_scheduled(call: Call) -> Reply:
    """Events to come and under way."""
    _require_session(call)
    return Reply(body=orjson.dumps([_event(event, "active", "") for event in call.document().events]))


async def get_history(call: Call) -> Reply:
    """Events that are over."""
    _require_session(call)
    told = []
    for event in past_events(call.picture.outlook(call.node)):
        is_done = event.status is EventStatus.COMPLETED
        told.append(_event(event, "completed" if is_done else "canceled", "[Completed] " if is_done else "[Canceled] "))
    return Reply(body=orjson.dumps(told))


async def get_id(call: Call) -> Reply:
    """The node's name, as an instance's id."""
    _require_session(call)
    return Reply(body=call.node.encode(), media_type=TEXT)


def short_id(event: ScheduledEvent) -> str:
    """The event's id in that world's form."""
    return "instance-event-" + event.id.replace("-", "")[:17]


def code_of(event: ScheduledEvent) -> str:
    """What is done to the node: after a decommission there is none any more."""
    return RETIREMENT if event.kind is RequestKind.DECOMMISSION else CODES[event.type]


def _event(event: ScheduledEvent, state: str, prefix: str) -> dict[str, Any]:
    told = {
        "NotBefore": _time(event.not_before),
        "Code": code_of(event),
        "Description": prefix + event.description,
        "EventId": short_id(event),
        "State": state,
    }
    return told if event.ends_at is None else {**told, "NotAfter": _time(event.ends_at)}


def _time(instant: datetime) -> str:
    at = instant.astimezone(UTC)
    return f"{at.day} {_MONTHS[at.month - 1]} {at:%Y %H:%M:%S} GMT"


def _require_session(call: Call) -> None:
    try:
        claims = call.given.node_keys.read(call.header(TOKEN_HEADER), call.given.now())
    except BadToken as bad:
        raise BadCall(f"Unauthorized: {bad}.", status=HTTPStatus.UNAUTHORIZED) from bad
    if claims is None or claims.get("sub") != call.node or claims.get("aud") != SESSION:
        raise BadCall("Unauthorized: PUT /latest/api/token gives a token.", status=HTTPStatus.UNAUTHORIZED)


_DATA = "/latest/meta-data"
DOORS = (
    Door(path="/latest/api/token", methods={"PUT": put_token}),
    Door(path=f"{_DATA}/events/maintenance/scheduled", methods={"GET": get_scheduled}),
    Door(path=f"{_DATA}/events/maintenance/history", methods={"GET": get_history}),
    Door(path=f"{_DATA}/instance-id", methods={"GET": get_id}),
)
