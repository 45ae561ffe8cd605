"""A supercomputer's tree in the shape of Microsoft.SupercomputerInfrastructure, down to its nodes. Modelled on a
preview of that interface, which may change.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fermata.domain import arm
from fermata.domain.fleet import Node
from fermata.server.doors.arm_front import ArmCall, ArmReply, Kind, listed, not_found
from fermata.services.places import Group, Place

PROVIDER = "Microsoft.SupercomputerInfrastructure"
ROOT = f"{PROVIDER}/supercomputers"


def list_supercomputers(call: ArmCall) -> ArmReply:
    """Of a group or a subscription."""
    return listed([_supercomputer(group) for group in call.groups])


def get_supercomputer(call: ArmCall) -> ArmReply:
    """One of them."""
    group = call.groups[0]
    if call.path.name.lower() != group.supercomputer.lower():
        raise not_found(f"supercomputer {call.path.name} in this group")
    return ArmReply(body=_supercomputer(group))


def list_clusters(call: ArmCall) -> ArmReply:
    """Of a supercomputer."""
    return listed([_cluster(call, name) for name in sorted({node.cluster for node in call.place.nodes})])


def list_racks(call: ArmCall) -> ArmReply:
    """Of a supercomputer or a cluster."""
    return listed([_rack(call, name) for name in sorted({node.rack for node in call.place.nodes})])


def list_nodes(call: ArmCall) -> ArmReply:
    """Of a supercomputer, a cluster or a rack."""
    place = call.place
    return listed([_node(call, f"{place.id}/nodes", node) for node in sorted(place.nodes, key=lambda n: n.name)])


def get_cluster(call: ArmCall) -> ArmReply:
    """One cluster."""
    return ArmReply(body=_cluster(call, _below(call).name))


def get_rack(call: ArmCall) -> ArmReply:
    """One rack."""
    return ArmReply(body=_rack(call, _below(call).name))


def get_node(call: ArmCall) -> ArmReply:
    """One node."""
    return ArmReply(body=_node(call, f"{call.place.id}/nodes", _below(call).nodes[0]))


def _below(call: ArmCall) -> Place:
    """What the path names below its place."""
    place = call.place
    found = call.find_place(call.path.provider, (*call.path.pairs, (call.path.kind, call.path.name)))
    if found is None:
        raise not_found(f"{call.path.kind}/{call.path.name} in {place.name}")
    return found


def _supercomputer(group: Group) -> dict[str, Any]:
    properties = {
        "siteId": group.clusters[0].datacenter,
        "customer": group.customer,
        "clusters": len(group.clusters),
        "provisioningState": "Succeeded",
    }
    made = resource(f"{group.id}/providers/{ROOT}", group.supercomputer, ROOT, properties)
    return {**made, "location": group.location, "tags": {}}


def _cluster(call: ArmCall, name: str) -> dict[str, Any]:
    cluster = next(c for c in call.groups[0].clusters if c.name == name)
    properties = {"hardwareSku": cluster.sku, "location": cluster.region, "provisioningState": "Succeeded"}
    return resource(f"{whole_id(call)}/clusters", name, f"{ROOT}/clusters", properties)


def _rack(call: ArmCall, name: str) -> dict[str, Any]:
    nodes = [node for node in _nodes(call.groups[0], call) if node.rack == name]
    clusters = sorted({node.cluster for node in nodes})
    properties = {
        "clusterId": f"{whole_id(call)}/clusters/{clusters[0]}",
        "nodes": len(nodes),
        "provisioningState": "Succeeded",
    }
    return resource(f"{whole_id(call)}/racks", name, f"{ROOT}/racks", properties)


def _node(call: ArmCall, parent: str, node: Node) -> dict[str, Any]:
    cluster = call.picture.fleet.clusters[node.cluster]
    properties = {
        "hostname": node.name,
        "nodeId": node.name,
        "assetId": node.name,
        "hardwareSku": cluster.sku,
        "rack": node.rack,
        "clusterId": f"{whole_id(call)}/clusters/{node.cluster}",
        "state": str(node.state),
        "provisioningState": "Succeeded",
    }
    return resource(parent, node.name, f"{ROOT}/nodes", properties)


def whole_id(call: ArmCall) -> str:
    """The id of the supercomputer that the path is about."""
    group = call.groups[0]
    return arm.supercomputer_id(group.id, group.supercomputer)


def _nodes(group: Group, call: ArmCall) -> Iterator[Node]:
    return (node for cluster in group.clusters for node in call.picture.fleet.nodes_by_cluster[cluster.name])


def resource(parent: str, name: str, type_: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """One part of the tree."""
    return {"id": f"{parent}/{name}", "name": name, "type": type_, "properties": dict(properties)}


SUPERCOMPUTERS = Kind(all={"GET": list_supercomputers}, one={"GET": get_supercomputer})
CLUSTERS = Kind(all={"GET": list_clusters}, one={"GET": get_cluster})
RACKS = Kind(all={"GET": list_racks}, one={"GET": get_rack})
NODES = Kind(all={"GET": list_nodes}, one={"GET": get_node})
