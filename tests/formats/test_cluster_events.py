"""A window as an event of its cluster, in the shape of Azure's container services."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent, SystemEventNames
from tests.conformance.notice import NOTICE, parcel, subscription

from fermata.domain import arm
from fermata.domain.ids import ClusterId, SupercomputerId, WindowId
from fermata.domain.notices import Notice, NoticeKind
from fermata.domain.subscriptions import ChannelKind, EventShape
from fermata.formats.cluster_events import CLUSTER_EVENT_TYPE, NO_TIME
from fermata.formats.notice_events import events_of

CLUSTER = arm.managed_cluster_id(arm.group_id(NOTICE.customer, SupercomputerId("sc1")), ClusterId("alpha"))
EVENT = arm.window_event_id(WindowId("w1"))
OPENED = replace(NOTICE, kind=NoticeKind.WINDOW_OPENED, subject="window:w1", facts=NOTICE.facts["windows"][0])
START = "2026-01-09T19:00:00Z"


def told(notice: Notice) -> dict[str, Any]:
    (event,) = events_of(notice, EventShape.CLUSTER_EVENTS)
    found: dict[str, Any] = event.data["resourceInfo"]["properties"]
    return found


@pytest.mark.parametrize(
    ("kind", "status", "start"),
    [
        (NoticeKind.WINDOW_OPENED, "Started", START),
        (NoticeKind.WINDOW_CLOSED, "Completed", START),
        (NoticeKind.WINDOW_MISSED, "Cancelled", NO_TIME),
        (NoticeKind.WINDOW_SKIPPED, "Cancelled", NO_TIME),
        (NoticeKind.WINDOW_CANCELLED, "Cancelled", NO_TIME),
    ],
)
def test_a_cluster_hears_where_its_window_stands(kind: NoticeKind, status: str, start: str) -> None:
    notice = replace(OPENED, kind=kind)
    assert subscription(ChannelKind.EVENT_GRID, shape=EventShape.CLUSTER_EVENTS).hears(notice)
    found = told(notice)
    assert (found["eventId"], found["eventStatus"], found["startTime"]) == (EVENT, status, start)
    assert (found["scheduledTime"], found["resources"], found["resourceType"]) == (START, [CLUSTER], "ManagedCluster")


def test_a_plan_schedules_its_windows_and_cancels_those_it_drops() -> None:
    line = NOTICE.facts["windows"][0]
    assert (told(NOTICE)["eventStatus"], told(NOTICE)["startTime"]) == ("Scheduled", NO_TIME)
    dropped = replace(NOTICE, facts={**NOTICE.facts, "windows": [{**line, "change": "dropped"}]})
    assert told(dropped)["eventStatus"] == "Cancelled"


@pytest.mark.parametrize("kind", [NoticeKind.NODES_RETURNED, NoticeKind.WINDOW_LATE, NoticeKind.REQUEST_OPENED])
def test_of_single_nodes_and_requests_a_cluster_hears_nothing(kind: NoticeKind) -> None:
    notice = replace(OPENED, kind=kind)
    assert not subscription(ChannelKind.EVENT_GRID, shape=EventShape.CLUSTER_EVENTS).hears(notice)
    assert events_of(notice, EventShape.CLUSTER_EVENTS) == ()


def test_clients_know_the_event_in_either_envelope() -> None:
    assert CLUSTER_EVENT_TYPE in {str(name.value) for name in SystemEventNames}
    subject = f"{CLUSTER}/scheduledEvents/{EVENT}"
    (body,) = parcel(subscription(ChannelKind.EVENT_GRID, shape=EventShape.CLUSTER_EVENTS), notice=OPENED).posts
    event = EventGridEvent.from_json(orjson.dumps(orjson.loads(body)[0]).decode())
    assert (event.event_type, event.subject) == (CLUSTER_EVENT_TYPE, subject)
    (body,) = parcel(subscription(ChannelKind.CLOUD_EVENTS, shape=EventShape.CLUSTER_EVENTS), notice=OPENED).posts
    found = orjson.loads(body)
    cloud = CloudEvent.from_dict(found[0] if isinstance(found, list) else found)
    assert (cloud.type, cloud.subject) == (CLUSTER_EVENT_TYPE, subject)
