"""Our nouns as Azure Resource Manager names: the one mapping behind every compatible door and the query store.

A customer is a subscription, a supercomputer a resource group, a cluster a scale set, a node a virtual machine. What
has no counterpart there stands below the supercomputer. Names are pure functions of ours, so they are the same
everywhere and after every restart; spelling follows ours, and comparing is without case, as there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID, uuid5

from fermata.domain.ids import (
    ClusterId,
    CustomerId,
    DeviceId,
    NodeId,
    OrderId,
    RackId,
    RequestId,
    SupercomputerId,
    UpdateId,
    WindowId,
)

NAMESPACE = UUID("b0a6f4a2-5f0e-5d44-9a35-0c6f7f6d2f4b")  # ours for ever: every id that we ever gave out depends on it
COMPUTE = "providers/Microsoft.Compute"
INFRASTRUCTURE = "providers/Microsoft.SupercomputerInfrastructure/supercomputers"
MAINTENANCE = "providers/microsoft.maintenance"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")  # RFC 1123 is English, whatever the locale
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class MaintenanceType(StrEnum):
    """Kinds of rows about maintenance. The last one is ours: that world has no word for a request."""

    UPDATES = "microsoft.maintenance/updates"
    SCHEDULED_EVENTS = "microsoft.maintenance/scheduledevents"
    APPLY_UPDATES = "microsoft.maintenance/applyupdates"
    CONFIGURATIONS = "microsoft.maintenance/maintenanceconfigurations"
    ASSIGNMENTS = "microsoft.maintenance/configurationassignments"
    REQUESTS = "fermata/requests"


class ResourceType(StrEnum):
    """Kinds of rows about inventory: ours, since a supercomputer has parts that no Azure type names."""

    SUPERCOMPUTERS = "fermata/supercomputers"
    CLUSTERS = "fermata/clusters"
    RACKS = "fermata/racks"
    SCALABLE_UNITS = "fermata/scalableunits"
    NODES = "fermata/nodes"
    DEVICES = "fermata/devices"


TENANT_ID = str(uuid5(NAMESPACE, "tenant"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceId:
    """The id of one resource in its parts, as they were written: its types and names from the outermost inwards."""

    subscription: str
    group: str
    provider: str
    pairs: tuple[tuple[str, str], ...]


def read_id(text: str) -> ResourceId | None:
    """The parts of an id, None when it is none of a resource in a group."""
    parts = text.strip("/").split("/")
    words = [part.lower() for part in parts[:6:2]]
    if words[:3] != ["subscriptions", "resourcegroups", "providers"] or len(parts) < 8 or len(parts) % 2:
        return None
    if not text.startswith("/") or not all(parts):
        return None
    pairs = tuple(zip(parts[6::2], parts[7::2], strict=True))
    return ResourceId(subscription=parts[1], group=parts[3], provider=parts[5], pairs=pairs)


def subscription_id(customer: CustomerId) -> str:
    """The customer's GUID."""
    return str(uuid5(NAMESPACE, f"customer:{customer}"))


def group_id(customer: CustomerId, supercomputer: SupercomputerId) -> str:
    """The resource group. A supercomputer that several customers share is a group in each one's subscription."""
    return f"/subscriptions/{subscription_id(customer)}/resourceGroups/{supercomputer}"


def supercomputer_id(group: str, supercomputer: SupercomputerId) -> str:
    """The supercomputer itself, inside its group."""
    return f"{group}/{INFRASTRUCTURE}/{supercomputer}"


def cluster_id(group: str, cluster: ClusterId) -> str:
    """A scale set."""
    return f"{group}/{COMPUTE}/virtualMachineScaleSets/{cluster}"


def nodes_prefix(group: str) -> str:
    """What a node's name is put behind."""
    return f"{group}/{COMPUTE}/virtualMachines/"


def node_id(group: str, node: NodeId) -> str:
    """A virtual machine."""
    return nodes_prefix(group) + node


def devices_prefix(group: str, supercomputer: SupercomputerId) -> str:
    """What a shared device's name is put behind."""
    return f"{supercomputer_id(group, supercomputer)}/devices/"


def device_id(group: str, supercomputer: SupercomputerId, device: DeviceId) -> str:
    """A shared device of the supercomputer."""
    return devices_prefix(group, supercomputer) + device


def rack_id(group: str, supercomputer: SupercomputerId, cluster: ClusterId, rack: RackId) -> str:
    """A rack, or the part of one that stands in this cluster."""
    return f"{supercomputer_id(group, supercomputer)}/clusters/{cluster}/racks/{rack}"


def scalable_unit_id(group: str, supercomputer: SupercomputerId, cluster: ClusterId, unit: str) -> str:
    """A scalable unit of a cluster."""
    return f"{supercomputer_id(group, supercomputer)}/clusters/{cluster}/scalableUnits/{unit}"


def event_id(window: WindowId, node: NodeId) -> str:
    """The GUID of a node's scheduled event: one per window and node, whatever plan the window stands in."""
    return str(uuid5(NAMESPACE, f"event:{window}:{node}"))


def window_event_id(window: WindowId) -> str:
    """The GUID of a window's event as one of its cluster."""
    return str(uuid5(NAMESPACE, f"window:{window}"))


def managed_cluster_id(group: str, cluster: ClusterId) -> str:
    """A cluster as one that a container service manages."""
    return f"{group}/providers/Microsoft.ContainerService/managedClusters/{cluster}"


def question_id(request: RequestId, node: NodeId, updates: Iterable[UpdateId]) -> str:
    """The GUID of the question whether those updates, all that is pending on the node, may be done."""
    return str(uuid5(NAMESPACE, f"question:{request}:{node}:{','.join(sorted(updates))}"))


def order_event_id(order: OrderId, node: NodeId) -> str:
    """The GUID of a node's event of a work order, from the question whether it may be done to its end."""
    return str(uuid5(NAMESPACE, f"order:{order}:{node}"))


def rfc1123(instant: datetime) -> str:
    """As NotBefore is written: Mon, 19 Sep 2016 18:29:47 GMT."""
    at = instant.astimezone(UTC)
    return f"{_DAYS[at.weekday()]}, {at.day:02d} {_MONTHS[at.month - 1]} {at:%Y %H:%M:%S} GMT"


def iso(instant: datetime) -> str:
    """As every other time is written: 2016-09-19T18:29:47Z."""
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
