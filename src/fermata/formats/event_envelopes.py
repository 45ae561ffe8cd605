"""Events on the wire: in Event Grid's schema and in CloudEvents, cut into posts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from fermata.domain import arm

BODY_BYTES_MAX = 1024 * 1024  # of one post, as Event Grid's


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What both envelopes carry. The same notice gives the same ids, so that who hears twice can tell."""

    id: str
    source: str
    subject: str
    type: str
    at: datetime
    data: dict[str, Any]
    sequence: int
    data_version: str = "1"


def event_grid_bodies(events: Iterable[Event], events_max: int) -> tuple[bytes, ...]:
    """Arrays in Event Grid's schema, each of at most so many events and BODY_BYTES_MAX."""
    return tuple(_array(part) for part in _cut([orjson.dumps(event_grid_event(event)) for event in events], events_max))


def cloud_event_bodies(events: Iterable[Event], events_max: int) -> tuple[bytes, ...]:
    """CloudEvents in structured mode: one a body, or arrays of at most so many."""
    texts = [orjson.dumps(cloud_event(event)) for event in events]
    return tuple(texts) if events_max == 1 else tuple(_array(part) for part in _cut(texts, events_max))


def event_grid_event(event: Event) -> dict[str, Any]:
    """One event in Event Grid's schema."""
    return {
        "id": event.id,
        "topic": event.source,
        "subject": event.subject,
        "eventType": event.type,
        "eventTime": arm.iso(event.at),
        "dataVersion": event.data_version,
        "metadataVersion": "1",
        "data": event.data,
    }


def cloud_event(event: Event) -> dict[str, Any]:
    """One event as CloudEvents 1.0 has it in JSON."""
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "subject": event.subject,
        "type": event.type,
        "time": arm.iso(event.at),
        "datacontenttype": "application/json",
        "sequence": f"{event.sequence:020}",
        "data": event.data,
    }


def _cut(texts: Sequence[bytes], events_max: int) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    size = 0
    for text in texts:
        if part and (len(part) == events_max or size + len(text) > BODY_BYTES_MAX):
            yield part
            part, size = [], 0
        part.append(text)
        size += len(text) + 1
    if part:
        yield part


def _array(texts: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(texts) + b"]"
