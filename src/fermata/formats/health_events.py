"""Notices as Azure's health events: from when to when a node is not there for workloads, and why. Two for each end.

Only what begins or ends an impact on nodes is told; what is to come is told by scheduled events. Modelled on a preview.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import uuid5

from fermata.domain import arm
from fermata.domain.ids import NodeId
from fermata.domain.notices import Notice, NoticeKind
from fermata.formats.event_envelopes import Event

AVAILABILITY_TYPE = "Microsoft.ResourceNotifications.HealthResources.AvailabilityStatusChanged"
ANNOTATION_TYPE = "Microsoft.ResourceNotifications.HealthResources.ResourceAnnotated"
TARGET_TYPE = "Microsoft.Compute/virtualMachines"
AVAILABILITY, ANNOTATION = "availabilityStatuses", "resourceAnnotations"
VERSIONS = {AVAILABILITY: "2023-12-01", ANNOTATION: "2022-08-01"}
AVAILABLE, UNAVAILABLE = "Available", "Unavailable"


class Annotation(StrEnum):
    """What is said of a node. The last one is ours: that world has no word for the end of a planned reboot."""

    REBOOTS = "VirtualMachineRebootInitiatedForPlannedMaintenance"
    FREEZES = "VirtualMachinePlannedFreezeStarted"
    FROZE = "VirtualMachinePlannedFreezeSucceeded"
    REBOOTED = "VirtualMachinePlannedRebootSucceeded"


REASONS: Mapping[Annotation, str] = {
    Annotation.REBOOTS: "Planned maintenance with a reboot began",
    Annotation.FREEZES: "Planned maintenance began",
    Annotation.FROZE: "Planned maintenance is done",
    Annotation.REBOOTED: "Planned maintenance with a reboot is done",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """What became of some nodes at once. `state` None: they are as available as before; `annotation` None: nothing is
    to be said but that.
    """

    nodes: Sequence[str]
    state: str | None
    annotation: Annotation | None


def health_events(notice: Notice) -> Iterator[Event]:
    """Of each node that the notice tells the beginning or the end of an impact of: first why, then the change. A window
    says so of all of its nodes when it opens.
    """
    change = _change(notice)
    if change is None:
        return
    for node in change.nodes:
        if change.annotation is not None:
            said = REASONS[change.annotation]
            properties = {
                "annotationName": change.annotation.value,
                "reason": said,
                "summary": f"{said}: window {notice.facts['window']} of {notice.facts['cluster']}.",
                "context": "Platform Initiated",
                "category": "Planned",
            }
            yield _event(notice, node, ANNOTATION, properties)
        if change.state is not None:
            before = UNAVAILABLE if change.state == AVAILABLE else AVAILABLE
            properties = {"previousAvailabilityState": before, "availabilityState": change.state}
            yield _event(notice, node, AVAILABILITY, properties)


def _change(notice: Notice) -> _Change | None:
    facts = notice.facts
    reboots = bool(facts.get("reboots_per_node"))
    done = Annotation.REBOOTED if reboots else Annotation.FROZE
    match notice.kind:
        case NoticeKind.WINDOW_OPENED:
            left = {name for group in facts.get("left_out", ()) for name in group["nodes"]}
            taken = [name for name in facts["nodes"] if name not in left]
            begun = Annotation.REBOOTS if reboots else Annotation.FREEZES
            return _Change(nodes=taken, state=UNAVAILABLE, annotation=begun)
        case NoticeKind.NODES_RETURNED:
            return _Change(nodes=facts["nodes"], state=AVAILABLE, annotation=done)
        case NoticeKind.NODES_KEPT_OUT:  # they were out of service before, and are still
            return _Change(nodes=facts["nodes"], state=None, annotation=done)
        case NoticeKind.NODES_LEFT_OUT:  # their window had them, and let them go untouched
            return _Change(nodes=facts["nodes"], state=AVAILABLE, annotation=None)
        case _:
            return None


def _event(notice: Notice, node: str, kind: str, properties: Mapping[str, str]) -> Event:
    target = arm.node_id(arm.group_id(notice.customer, notice.supercomputer), NodeId(node))
    name = str(uuid5(arm.NAMESPACE, f"{notice.id}:{node}:{kind}"))
    at = arm.iso(notice.at)
    about: dict[str, Any] = {"targetResourceId": target, "targetResourceType": TARGET_TYPE, "occurredTime": at}
    return Event(
        id=name,
        source=f"/subscriptions/{arm.subscription_id(notice.customer)}",
        subject=target,
        type=AVAILABILITY_TYPE if kind == AVAILABILITY else ANNOTATION_TYPE,
        at=notice.at,
        data={
            "resourceInfo": {
                "id": f"{target}/providers/Microsoft.ResourceHealth/{kind}/{name}",
                "name": name,
                "type": f"Microsoft.ResourceHealth/{kind}",
                "properties": {**about, **properties},
            },
            "operationalInfo": {"resourceEventTime": at},
            "apiVersion": VERSIONS[kind],
        },
        sequence=notice.seq,
    )
