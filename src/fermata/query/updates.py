"""What is pending on each kind of unit, as rows and as the JSON array that stands in `properties.value`. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from fermata.domain import arm
from fermata.domain.fleet import Cluster, Device, Fleet, Node, NodeState, Role
from fermata.domain.ids import ClusterId, DeviceId, NodeId, RackId
from fermata.domain.maintenance_words import IMPACT_TYPES, impact_seconds, maintenance_scope
from fermata.domain.pending import NOTHING, UnitPending, find_pending
from fermata.domain.policy import Policy
from fermata.domain.requests import request_id
from fermata.domain.updates import Catalogue, Update
from fermata.query.facts import Facts

PENDING = "Pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingUpdate:
    """One update pending on a kind of unit. `standing` is due or unknown: an unknown version blocks, and is shown."""

    update: Update
    from_version: str
    standing: str
    due_at: datetime | None
    request: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Units of one cluster that report the same. `versions` and `updates` are JSON; `updates` None: nothing pending."""

    number: int
    versions: str
    updates: str | None
    pending: tuple[PendingUpdate, ...]


def node_kinds(facts: Facts) -> tuple[Kind, ...]:
    """The kinds of `facts.nodes`, in their order; those of clusters that are left out have nothing pending."""
    nodes = {
        NodeId(f"{number:09d}"): _stand_in(number, cluster, versions)
        for number, (cluster, versions) in enumerate(facts.nodes.versions)
        if cluster in facts.clusters
    }
    found = _pending_of(facts, nodes=nodes, devices={})
    kinds = []
    for number, (cluster, versions) in enumerate(facts.nodes.versions):
        node = nodes.get(NodeId(f"{number:09d}"))
        unit = NOTHING if node is None else found.get(node.name, NOTHING)
        kinds.append(_kind(number, dict(sorted(versions.items())), unit, facts, cluster))
    return tuple(kinds)


def device_kinds(facts: Facts, *, first: int) -> tuple[tuple[Kind, ...], tuple[int, ...]]:
    """Kinds of devices, numbered from `first`, and the kind of each device of `facts`."""
    numbers: dict[tuple[str, str, str, str], int] = {}
    stand_ins: dict[DeviceId, Device] = {}
    of_device = []
    for device in facts.devices:
        alike = (device.cluster, device.kind, device.component, device.version)
        if alike not in numbers:
            name = DeviceId(f"{len(numbers):09d}")
            numbers[alike] = len(numbers)
            stand_ins[name] = replace(device, name=name)
        of_device.append(first + numbers[alike])
    found = _pending_of(facts, nodes={}, devices=stand_ins)
    kinds = tuple(
        _kind(first + number, {d.component: d.version}, found.get(d.name, NOTHING), facts, d.cluster)
        for number, d in enumerate(stand_ins.values())
    )
    return kinds, tuple(of_device)


def _stand_in(number: int, cluster: str, versions: Mapping[str, str]) -> Node:
    return Node(
        name=NodeId(f"{number:09d}"),
        cluster=ClusterId(cluster),
        rack=RackId(""),
        fault_domain="",
        scalable_unit="",
        role=Role.PROD,
        workload="",
        state=NodeState.IN_SERVICE,
        versions=versions,
    )


def _pending_of(
    facts: Facts, *, nodes: Mapping[NodeId, Node], devices: Mapping[DeviceId, Device]
) -> Mapping[str, UnitPending]:
    if facts.catalogue is None:
        return {}
    clusters: dict[ClusterId, Cluster] = {ClusterId(name): cluster for name, cluster in facts.clusters.items()}
    found = find_pending(Fleet(clusters=clusters, nodes=nodes, devices=devices), facts.catalogue)
    of_nodes: Mapping[Any, UnitPending] = found.nodes
    return {**of_nodes, **found.devices}


def _kind(number: int, versions: Mapping[str, str], unit: UnitPending, facts: Facts, cluster: str) -> Kind:
    pending: tuple[PendingUpdate, ...] = ()
    if unit is not NOTHING and facts.catalogue is not None:
        request = request_id(facts.clusters[cluster].supercomputer)
        pending = tuple(_list_pending(unit, facts.catalogue, facts.policy, request))
    return Kind(
        number=number,
        versions=orjson.dumps(versions).decode(),
        updates=_array(pending) if pending else None,
        pending=pending,
    )


def _list_pending(
    unit: UnitPending, catalogue: Catalogue, policy: Policy | None, request: str
) -> Iterator[PendingUpdate]:
    for item in unit.due:
        due_at = policy.due_at(item.update) if policy else None
        yield PendingUpdate(
            update=item.update, from_version=item.from_version, standing="due", due_at=due_at, request=request
        )
    for blind in unit.unknown:
        for name in blind.updates:
            update = catalogue.updates[name]
            due_at = policy.due_at(update) if policy else None
            yield PendingUpdate(update=update, from_version="", standing="unknown", due_at=due_at, request=request)


def _array(pending: Sequence[PendingUpdate]) -> str:
    return orjson.dumps({"value": [_element(item) for item in pending]}).decode()


def _element(item: PendingUpdate) -> dict[str, object]:
    update = item.update
    return {
        "maintenanceScope": maintenance_scope(update),
        "impactType": IMPACT_TYPES[update.impact],
        "status": PENDING,
        "impactDurationInSec": impact_seconds(update),
        "notBefore": arm.iso(item.due_at) if item.due_at else None,
        "notificationId": item.request,
        "updateId": update.id,
        "component": update.component,
        "fromVersion": item.from_version,
        "toVersion": update.to_version,
        "criticality": update.criticality,
        "standing": item.standing,
    }
