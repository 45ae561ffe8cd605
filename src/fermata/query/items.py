"""Rows that are few and differ from each other: parts of the fleet above nodes, requests, policies, freezes. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fermata.domain import arm
from fermata.domain.arm import MaintenanceType, ResourceType
from fermata.domain.fleet import Cluster
from fermata.domain.ids import CustomerId, NodeId, OrderId, RackId, SupercomputerId
from fermata.domain.policy import Customer, Freeze, ScopeLevel
from fermata.domain.recurrence import RecurringWindow, say_recurrence
from fermata.domain.requests import Request
from fermata.domain.scheduled_events import Answer
from fermata.query.facts import Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One row of either table. `kind` is the type of that other world which the id is one of, "" when it is ours."""

    id: str
    name: str
    type: str
    kind: str
    location: str
    group: str
    customer: CustomerId
    properties: Mapping[str, Any]


def list_resources(facts: Facts) -> Iterator[Item]:
    """Supercomputers, clusters, racks and scalable units; nodes and devices are too many to be made one by one."""
    columns = facts.nodes.columns
    nodes = Counter(columns["cluster"])
    racks = Counter(zip(columns["cluster"], columns["rack"], strict=True))
    units = Counter(zip(columns["cluster"], columns["scalable_unit"], strict=True))
    yield from _supercomputers(facts, nodes)
    for cluster in _sorted(facts.clusters.values()):
        yield _cluster_item(cluster, nodes[cluster.name])
    for (name, rack), count in sorted(racks.items()):
        yield _part(facts.clusters[name], ResourceType.RACKS, rack, count)
    for (name, unit), count in sorted(units.items()):
        yield _part(facts.clusters[name], ResourceType.SCALABLE_UNITS, unit, count)


def list_maintenance(facts: Facts) -> Iterator[Item]:
    """Requests, and what policies and freezes say, as configurations assigned to what they are about."""
    for request in facts.requests:
        yield from _request_items(facts, request)
    if facts.policy is None:
        return
    for customer in facts.policy.customers.values():
        yield from _policy_items(facts, customer)
    for freeze in facts.policy.freezes:
        yield from _freeze_items(facts, freeze)


def group_of(cluster: Cluster) -> str:
    """The id of the resource group of a cluster."""
    return arm.group_id(cluster.customer, cluster.supercomputer)


def _sorted(clusters: Iterable[Cluster]) -> list[Cluster]:
    return sorted(clusters, key=lambda cluster: cluster.name)


def _supercomputers(facts: Facts, nodes: Mapping[str, int]) -> Iterator[Item]:
    groups: dict[tuple[str, str], list[Cluster]] = {}
    for cluster in _sorted(facts.clusters.values()):
        groups.setdefault((cluster.customer, cluster.supercomputer), []).append(cluster)
    for _, clusters in sorted(groups.items()):
        first = clusters[0]
        yield _item(
            first,
            ResourceType.SUPERCOMPUTERS,
            arm.supercomputer_id(group_of(first), first.supercomputer),
            first.supercomputer,
            {
                "customer": first.customer,
                "clusters": [cluster.name for cluster in clusters],
                "nodes": sum(nodes.get(cluster.name, 0) for cluster in clusters),
            },
            kind="microsoft.supercomputerinfrastructure/supercomputers",
        )


def _cluster_item(cluster: Cluster, nodes: int) -> Item:
    properties = {
        "supercomputer": cluster.supercomputer,
        "customer": cluster.customer,
        "geo": cluster.geo,
        "timezone": cluster.timezone,
        "datacenter": cluster.datacenter,
        "sku": cluster.sku,
        "division": cluster.division,
        "rollingAllowed": cluster.rolling_allowed,
        "singlePlacementGroup": cluster.single_placement_group,
        "nodes": nodes,
    }
    id_ = arm.cluster_id(group_of(cluster), cluster.name)
    kind = "microsoft.compute/virtualmachinescalesets"
    return _item(cluster, ResourceType.CLUSTERS, id_, cluster.name, properties, kind=kind)


def _part(cluster: Cluster, type_: ResourceType, name: str, nodes: int) -> Item:
    group = group_of(cluster)
    if type_ is ResourceType.RACKS:
        id_ = arm.rack_id(group, cluster.supercomputer, cluster.name, RackId(name))
    else:
        id_ = arm.scalable_unit_id(group, cluster.supercomputer, cluster.name, name)
    properties = {
        "supercomputer": cluster.supercomputer,
        "cluster": cluster.name,
        "clusterId": arm.cluster_id(group, cluster.name),
        "nodes": nodes,
    }
    return _item(cluster, type_, id_, name, properties)


def _request_items(facts: Facts, request: Request) -> Iterator[Item]:
    """One for each customer that it asks, who learns nothing of the others from it."""
    state, since = facts.states.get(request.id, (None, None))
    answers = _answers(facts, request)
    for cluster in _one_per_customer(facts, request.supercomputer):
        if cluster.customer not in request.customers:
            continue
        target = arm.supercomputer_id(group_of(cluster), cluster.supercomputer)
        properties = {
            "requestType": request.kind,
            "status": "Pending" if request.is_open else "Completed",
            "state": state,
            "stateSince": arm.iso(since) if since else None,
            "incarnation": request.incarnation,
            "notBefore": arm.iso(request.due_at) if request.due_at else None,
            "impact": request.impact,
            "nodes": request.nodes,
            "devices": request.shared_devices,
            "resourceId": target,
            "items": [
                {
                    "updateId": item.update,
                    "title": item.title,
                    "impact": item.impact,
                    "notBefore": arm.iso(item.due_at),
                    "nodes": item.nodes,
                    "devices": item.devices,
                }
                for item in request.items
            ],
            "workOrders": [
                {
                    "id": order.id,
                    "target": order.target.level,
                    "targetName": order.target.name,
                    "cause": order.cause,
                    "impact": order.impact,
                    "notBefore": arm.iso(order.due_at),
                    "nodes": len(order.nodes),
                    **answers.get((order.id, cluster.customer), {}),
                }
                for order in request.orders
            ],
            "superseded": [{"updateId": older.update, "by": older.by} for older in request.superseded],
        }
        yield _item(cluster, MaintenanceType.REQUESTS, f"{target}/requests/{request.id}", request.id, properties)


def _answers(facts: Facts, request: Request) -> Mapping[tuple[OrderId, CustomerId], Mapping[str, int]]:
    """Of each work order and customer, on how many of its nodes a word is asked for, was refused, or is given."""
    names = {Answer.ASKED: "nodesAsked", Answer.HELD: "nodesHeld", Answer.GIVEN: "nodesGiven"}
    found: dict[tuple[OrderId, CustomerId], dict[str, int]] = {}
    for ordered in facts.ordered:
        if ordered.work.request == request.id:
            key = (ordered.work.order, facts.clusters[ordered.cluster].customer)
            found.setdefault(key, dict.fromkeys(names.values(), 0))[names[ordered.work.answer]] += 1
    return found


def _policy_items(facts: Facts, customer: Customer) -> Iterator[Item]:
    name = f"policy-{customer.id}"
    properties = {
        "namespace": "Fermata",
        "visibility": "Custom",
        "maintenanceScope": "Host",
        "extensionProperties": {
            "rule": "policy",
            "deployments": customer.deployments,
            "repairs": customer.repairs,
            "exceptCriticality": ",".join(sorted(customer.except_criticality)),
            "approvers": ",".join(customer.approvers),
        },
    }
    groups = {group_of(c): c for c in _sorted(facts.clusters.values()) if c.customer == customer.id}
    for group, cluster in sorted(groups.items()):
        configuration = f"{group}/{arm.MAINTENANCE}/maintenanceConfigurations/{name}"
        yield _item(cluster, MaintenanceType.CONFIGURATIONS, configuration, name, properties)
        target = arm.supercomputer_id(group, cluster.supercomputer)
        yield _assignment(cluster, name, configuration, target)
        for window in customer.windows:
            configuration = f"{group}/{arm.MAINTENANCE}/maintenanceConfigurations/{window.id}"
            yield _item(cluster, MaintenanceType.CONFIGURATIONS, configuration, window.id, _window_properties(window))


def _window_properties(window: RecurringWindow) -> dict[str, Any]:
    hours, minutes = divmod(int(window.duration.total_seconds()) // 60, 60)
    return {
        "namespace": "Fermata",
        "visibility": "Custom",
        "maintenanceScope": "Host",
        "maintenanceWindow": {
            "startDateTime": f"{window.start:%Y-%m-%d %H:%M}",
            "expirationDateTime": f"{window.expires:%Y-%m-%d %H:%M}" if window.expires else None,
            "duration": f"{hours:02d}:{minutes:02d}",
            "timeZone": window.zone,
            "recurEvery": say_recurrence(window.recurrence) if window.recurrence else None,
        },
        "extensionProperties": {"rule": "window"},
    }


def _freeze_items(facts: Facts, freeze: Freeze) -> Iterator[Item]:
    name, told = f"freeze-{freeze.id}", set()
    for cluster, target in _frozen(facts, freeze):
        configuration = f"{group_of(cluster)}/{arm.MAINTENANCE}/maintenanceConfigurations/{name}"
        properties = {
            "namespace": "Fermata",
            "visibility": "Custom",
            "maintenanceScope": "Host",
            "maintenanceWindow": {
                "startDateTime": f"{freeze.start:%Y-%m-%d %H:%M}",
                "expirationDateTime": f"{freeze.end:%Y-%m-%d %H:%M}",
                "timeZone": "UTC",
            },
            "extensionProperties": {"rule": "freeze", "scope": str(freeze.scope), "reason": freeze.reason},
        }
        if configuration not in told:
            told.add(configuration)
            yield _item(cluster, MaintenanceType.CONFIGURATIONS, configuration, name, properties)
        yield _assignment(cluster, name, configuration, target)


def _frozen(facts: Facts, freeze: Freeze) -> Iterator[tuple[Cluster, str]]:
    """What a freeze is about, its cluster and the id of the frozen part. A scope that the
    customer has nothing of is left out, as a rack's name may stand in many places.
    """
    name, level = freeze.scope.name, freeze.scope.level
    mine = {c.name: c for c in _sorted(facts.clusters.values()) if c.customer == freeze.customer}
    if level is ScopeLevel.SUPERCOMPUTER:
        first = next((c for c in mine.values() if c.supercomputer == name), None)
        found = [] if first is None else [first]
    elif level is ScopeLevel.CLUSTER:
        found = [c for c in mine.values() if c.name == name]
    else:
        columns = facts.nodes.columns
        of_part = columns["rack" if level is ScopeLevel.RACK else "name"]
        inside = {cluster for part, cluster in zip(of_part, columns["cluster"], strict=True) if part == name}
        found = [c for c in mine.values() if c.name in inside]
    for cluster in found:
        yield cluster, _frozen_id(cluster, level, name)


def _frozen_id(cluster: Cluster, level: ScopeLevel, name: str) -> str:
    group = group_of(cluster)
    match level:
        case ScopeLevel.SUPERCOMPUTER:
            return arm.supercomputer_id(group, cluster.supercomputer)
        case ScopeLevel.CLUSTER:
            return arm.cluster_id(group, cluster.name)
        case ScopeLevel.GROUP:
            raise AssertionError("no freeze is for a group")
        case ScopeLevel.RACK:
            return arm.rack_id(group, cluster.supercomputer, cluster.name, RackId(name))
        case ScopeLevel.NODE:
            return arm.node_id(group, NodeId(name))


def _one_per_customer(facts: Facts, supercomputer: SupercomputerId) -> Iterator[Cluster]:
    seen = set()
    for cluster in _sorted(facts.clusters.values()):
        if cluster.supercomputer == supercomputer and cluster.customer not in seen:
            seen.add(cluster.customer)
            yield cluster


def _assignment(cluster: Cluster, name: str, configuration: str, target: str) -> Item:
    properties = {
        "maintenanceConfigurationId": configuration,
        "resourceId": target,
        "filter": {"locations": [], "resourceGroups": [], "resourceTypes": [], "osTypes": []},
    }
    id_ = f"{target}/{arm.MAINTENANCE}/configurationAssignments/{name}"
    return _item(cluster, MaintenanceType.ASSIGNMENTS, id_, name, properties)


def _item(
    cluster: Cluster,
    type_: MaintenanceType | ResourceType,
    id_: str,
    name: str,
    properties: Mapping[str, Any],
    *,
    kind: str = "",
) -> Item:
    return Item(
        id=id_,
        name=name,
        type=type_.value,
        kind=kind,
        location=cluster.region,
        group=cluster.supercomputer,
        customer=cluster.customer,
        properties=properties,
    )
