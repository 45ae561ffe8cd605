"""Google's metadata for clients inside a node: maintenance that is to come, with waiting for a change."""

import asyncio
from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Any

import orjson

from fermata.domain import arm
from fermata.domain.request_kinds import RequestKind
from fermata.domain.scheduled_events import EventStatus, EventType, ScheduledEvent
from fermata.server.doors.node_front import JSON, TEXT, BadCall, Call, Door, Reply
from fermata.server.metering import run_in_threadpool

FLAVOR = (b"metadata-flavor", b"Google")
NONE = "NONE"
REASONS = {
    RequestKind.DEPLOYMENT: "PLANNED_UPDATE",
    RequestKind.REPAIR: "FAILURE_INFRA",
    RequestKind.HARDWARE: "MAINTENANCE_REASON_UNKNOWN",
    RequestKind.DECOMMISSION: "MAINTENANCE_REASON_UNKNOWN",
    RequestKind.MOVE: "INFRASTRUCTURE_RELOCATION",
}  # in Google's words; it has none for regular work on hardware, nor for a node's end
WAIT_SECONDS_MAX = 300.0
LOOK_SECONDS = 1.0


async def get_upcoming(call: Call) -> Reply:
    """What comes next; an empty object when nothing does."""
    return await _wait(call, _upcoming_text, JSON)


async def get_event(call: Call) -> Reply:
    """NONE, or what is done to the node now."""
    return await _wait(call, _event_text, TEXT)


async def get_name(call: Call) -> Reply:
    """The node's name."""
    _require_flavor(call)
    return Reply(body=call.node.encode(), media_type=TEXT, headers=(FLAVOR,))


def upcoming(events: tuple[ScheduledEvent, ...]) -> dict[str, Any]:
    """The next event in Google's words, with booleans; empty without one."""
    if not events:
        return {}
    first = next((event for event in events if event.status is EventStatus.STARTED), events[0])
    told: dict[str, Any] = {
        "can_reschedule": first.status is EventStatus.SCHEDULED,
        "maintenance_reasons": [REASONS[first.kind]],
        "maintenance_status": "ONGOING" if first.status is EventStatus.STARTED else "PENDING",
        "type": "SCHEDULED" if len(events) == 1 else "MULTIPLE",
        "window_start_time": arm.iso(first.not_before),
    }
    if first.status is EventStatus.SCHEDULED:
        told["latest_window_start_time"] = arm.iso(first.not_before)
    if first.ends_at is not None:
        told["window_end_time"] = arm.iso(first.ends_at)
    return told


def _upcoming_text(events: tuple[ScheduledEvent, ...]) -> bytes:
    told: Mapping[str, Any] = upcoming(events)
    as_text = {name: str(value).lower() if isinstance(value, bool) else value for name, value in told.items()}
    return orjson.dumps(as_text)


def _event_text(events: tuple[ScheduledEvent, ...]) -> bytes:
    started = [event for event in events if event.status is EventStatus.STARTED]
    if not started:
        return NONE.encode()
    reboots = any(event.type is EventType.REBOOT for event in started)
    return b"TERMINATE_ON_HOST_MAINTENANCE" if reboots else b"MIGRATE_ON_HOST_MAINTENANCE"


async def _wait(call: Call, write: Any, media_type: bytes) -> Reply:
    """What `write` makes of the node's events; with wait_for_change, once it is no longer what the client has."""
    _require_flavor(call)
    options = call.options()
    known = options.get("last_etag", "")
    waits = options.get("wait_for_change", "").lower() == "true"
    left = _seconds(options.get("timeout_sec", "")) if waits else 0.0
    body = write(call.document().events)
    if waits and not known:
        known = _etag(body)
    while _etag(body) == known and left > 0:
        await asyncio.sleep(min(LOOK_SECONDS, left))
        left -= LOOK_SECONDS
        desk, now = call.given.maintenance, call.given.now()
        picture = await run_in_threadpool(desk.look)
        if call.node not in picture.fleet.nodes:
            break
        body = write(desk.document(picture, call.node, now).events)
    return Reply(body=body, media_type=media_type, headers=(FLAVOR, (b"etag", _etag(body).encode())))


def _etag(body: bytes) -> str:
    return sha256(body).hexdigest()[:16]


def _seconds(text: str) -> float:
    if not text:
        return WAIT_SECONDS_MAX
    if not text.isdecimal():
        raise BadCall("timeout_sec must be a whole number of seconds.")
    return min(float(text), WAIT_SECONDS_MAX)


def _require_flavor(call: Call) -> None:
    if call.header(b"metadata-flavor") != "Google":
        raise BadCall("Missing Metadata-Flavor:Google header.", status=HTTPStatus.FORBIDDEN)


_INSTANCE = "/computemetadata/v1/instance"
DOORS = (
    Door(path=f"{_INSTANCE}/upcoming-maintenance", methods={"GET": get_upcoming}),
    Door(path=f"{_INSTANCE}/maintenance-event", methods={"GET": get_event}),
    Door(path=f"{_INSTANCE}/name", methods={"GET": get_name}),
)
