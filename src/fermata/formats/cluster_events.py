"""Notices as Azure's events of container services: one a cluster and window, for who runs the cluster as a whole.

Modelled on a preview: Microsoft Learn, "Azure Resource Notifications - ContainerService events in Azure Event Grid".
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import uuid5

from fermata.domain import arm
from fermata.domain.ids import ClusterId, WindowId
from fermata.domain.notices import Notice, NoticeKind
from fermata.formats.event_envelopes import Event

CLUSTER_EVENT_TYPE = "Microsoft.ResourceNotifications.ContainerServiceEventResources.ScheduledEventEmitted"
KIND = "Microsoft.ContainerService/managedClusters/scheduledEvents"
API_VERSION = "2023-11-02-preview"
NO_TIME = "0001-01-01T00:00:00Z"  # as over there: it has not started


class ClusterStatus(StrEnum):
    """Where a cluster's window stands, in that world's words; `Failed` is not told: a window that is late goes on."""

    SCHEDULED = "Scheduled"
    STARTED = "Started"
    COMPLETED = "Completed"
    CANCELLED = "Cancelled"


STATUS: Mapping[NoticeKind, ClusterStatus] = {
    NoticeKind.WINDOW_OPENED: ClusterStatus.STARTED,
    NoticeKind.WINDOW_CLOSED: ClusterStatus.COMPLETED,
    NoticeKind.WINDOW_MISSED: ClusterStatus.CANCELLED,
    NoticeKind.WINDOW_SKIPPED: ClusterStatus.CANCELLED,
    NoticeKind.WINDOW_CANCELLED: ClusterStatus.CANCELLED,
}


def cluster_events(notice: Notice) -> Iterator[Event]:
    """Of each window that the notice tells of; none of other notices."""
    if notice.kind is NoticeKind.PLAN_PUBLISHED:
        for line in notice.facts["windows"]:
            dropped = line["change"] == "dropped"
            yield _event(notice, line, ClusterStatus.CANCELLED if dropped else ClusterStatus.SCHEDULED)
    elif notice.kind in STATUS:
        yield _event(notice, notice.facts, STATUS[notice.kind])


def _event(notice: Notice, facts: Mapping[str, Any], status: ClusterStatus) -> Event:
    event = arm.window_event_id(WindowId(facts["window"]))
    group = arm.group_id(notice.customer, notice.supercomputer)
    cluster = arm.managed_cluster_id(group, ClusterId(facts["cluster"]))
    subject = f"{cluster}/scheduledEvents/{event}"
    has_begun = status in (ClusterStatus.STARTED, ClusterStatus.COMPLETED)
    start = arm.iso(datetime.fromisoformat(facts["start"]))
    properties = {
        "description": f"Planned maintenance of {facts['cluster']}",
        "eventId": event,
        "eventSource": "Fermata",
        "eventStatus": status,
        "eventDetails": f"Window {facts['window']} until {arm.iso(datetime.fromisoformat(facts['end']))}",
        "scheduledTime": start,
        "startTime": start if has_begun else NO_TIME,
        "lastUpdateTime": arm.iso(notice.at),
        "resources": [cluster],
        "resourceType": "ManagedCluster",
    }
    return Event(
        id=str(uuid5(arm.NAMESPACE, f"{notice.id}:{event}:{status}")),
        source=f"/subscriptions/{arm.subscription_id(notice.customer)}",
        subject=subject,
        type=CLUSTER_EVENT_TYPE,
        at=notice.at,
        data={
            "resourceInfo": {
                "id": subject,
                "name": event,
                "type": KIND,
                "location": "global",
                "properties": properties,
            },
            "operationalInfo": {"resourceEventTime": arm.iso(notice.at)},
            "apiVersion": API_VERSION,
        },
        sequence=notice.seq,
        data_version="1",
    )
