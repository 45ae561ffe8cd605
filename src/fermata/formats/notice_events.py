"""Notices as events, ours, Azure's scheduled events and its health events."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid5

from fermata.domain import arm
from fermata.domain.ids import ClusterId, NodeId, WindowId
from fermata.domain.notices import Notice, NoticeKind
from fermata.domain.subscriptions import EventShape
from fermata.formats.cluster_events import cluster_events
from fermata.formats.event_envelopes import Event
from fermata.formats.health_events import health_events
from fermata.formats.notice_words import say_notice

TYPE_PREFIX = "fermata."
SCHEDULED_EVENT_TYPE = "Microsoft.ResourceNotifications.MaintenanceResources.ScheduledEventEmitted"
IMDS_VERSION, DATA_VERSION = "2020-07-01", "3.0"
RESOURCE_VERSION = "2024-07-01"
NEVER_CAME = frozenset(
    {
        NoticeKind.WINDOW_MISSED,
        NoticeKind.WINDOW_SKIPPED,
        NoticeKind.WINDOW_CANCELLED,
        NoticeKind.NODES_LEFT_OUT,
    }
)


def events_of(notice: Notice, shape: EventShape) -> tuple[Event, ...]:
    """Its events in that shape; none when the shape has no word for it."""
    match shape:
        case EventShape.NOTICES:
            return (_own_event(notice),)
        case EventShape.SCHEDULED_EVENTS:
            return tuple(_scheduled_events(notice))
        case EventShape.HEALTH_RESOURCES:
            return tuple(health_events(notice))
        case EventShape.CLUSTER_EVENTS:
            return tuple(cluster_events(notice))


def _own_event(notice: Notice) -> Event:
    return Event(
        id=notice.id,
        source=f"/subscriptions/{arm.subscription_id(notice.customer)}",
        subject=f"{notice.supercomputer}/{notice.subject.replace(':', '/', 1)}",
        type=TYPE_PREFIX + notice.kind,
        at=notice.at,
        data={
            "notice": notice.id,
            "customer": notice.customer,
            "supercomputer": notice.supercomputer,
            "thread": notice.thread,
            "actor": notice.actor,
            "why": notice.why,
            "sentence": say_notice(notice).title,
            **notice.facts,
        },
        sequence=notice.seq,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    """Where one node stands in one window."""

    window: str
    cluster: str
    node: str
    status: str
    start: datetime
    end: datetime
    reboots: bool


def _scheduled_events(notice: Notice) -> Iterator[Event]:
    for each in _nodes(notice):
        event = arm.event_id(WindowId(each.window), NodeId(each.node))
        group = arm.group_id(notice.customer, notice.supercomputer)
        subject = f"{arm.cluster_id(group, ClusterId(each.cluster))}/{arm.MAINTENANCE}/scheduledevents/{event}"
        kind = arm.MaintenanceType.SCHEDULED_EVENTS.value
        resource = {"id": subject, "name": event, "type": kind, "location": "global", "properties": _properties(each)}
        yield Event(
            id=str(uuid5(arm.NAMESPACE, f"{notice.id}:{event}:{each.status}")),
            source=f"/subscriptions/{arm.subscription_id(notice.customer)}",
            subject=subject,
            type=SCHEDULED_EVENT_TYPE,
            at=notice.at,
            data={
                "resourceInfo": resource,
                "operationalInfo": {"resourceEventTime": arm.iso(notice.at)},
                "apiVersion": RESOURCE_VERSION,
            },
            sequence=notice.seq,
            data_version=DATA_VERSION,
        )


def _properties(node: _Node) -> dict[str, Any]:
    return {
        "EventId": arm.event_id(WindowId(node.window), NodeId(node.node)),
        "EventType": "Reboot" if node.reboots else "Freeze",
        "ResourceType": "VirtualMachine",
        "Resources": [node.node],
        "EventStatus": node.status,
        "NotBefore": arm.rfc1123(node.start) if node.status == "Scheduled" else "",
        "Description": f"Planned maintenance, window {node.window} of {node.cluster}",
        "EventSource": "Platform",
        "DurationInSeconds": int((node.end - node.start) / timedelta(seconds=1)),
        "ScheduledEventApiVersion": IMDS_VERSION,
    }


def _nodes(notice: Notice) -> Iterator[_Node]:
    """Every node concerned, with what is said of it now."""
    if notice.kind is NoticeKind.PLAN_PUBLISHED:
        for line in notice.facts["windows"]:
            stands = "Canceled" if line["change"] == "dropped" else "Scheduled"
            yield from _of_window(line, line["nodes"], stands)
            yield from _of_window(line, line["left"], "Canceled")
        return
    facts = notice.facts
    match notice.kind:
        case NoticeKind.WINDOW_OPENED:
            left = {name for group in facts.get("left_out", ()) for name in group["nodes"]}
            yield from _of_window(facts, [name for name in facts["nodes"] if name not in left], "Started")
            yield from _of_window(facts, sorted(left), "Canceled")
        case NoticeKind.NODES_RETURNED | NoticeKind.NODES_KEPT_OUT:
            yield from _of_window(facts, facts["nodes"], "Completed")
        case kind if kind in NEVER_CAME:
            yield from _of_window(facts, facts["nodes"], "Canceled")
        case _:
            pass


def _of_window(facts: Any, nodes: Sequence[str], status: str) -> Iterator[_Node]:
    for node in nodes:
        yield _Node(
            window=facts["window"],
            cluster=facts["cluster"],
            node=node,
            status=status,
            start=datetime.fromisoformat(facts["start"]),
            end=datetime.fromisoformat(facts["end"]),
            reboots=bool(facts["reboots_per_node"]),
        )
