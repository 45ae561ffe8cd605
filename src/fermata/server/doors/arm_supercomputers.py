"""A supercomputer's tree in the shape of Microsoft.SupercomputerInfrastructure, down to its nodes, with requests that
are approved for the whole, for a cluster or for a node. Modelled on a preview of that interface, which may change.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fermata.domain import arm
from fermata.domain.fleet import Node
from fermata.domain.maintenance_words import UpdateStatus
from fermata.server.doors.arm_front import ArmCall, ArmError, ArmReply, Kind, bad_request, listed, not_found
from fermata.server.doors.hearing import hearing_of
from fermata.services.event_approvals import approve_scope
from fermata.services.place_work import PlaceState, list_updates, state_of
from fermata.services.places import Group, Place

PROVIDER = "Microsoft.SupercomputerInfrastructure"
ROOT = f"{PROVIDER}/supercomputers"
REQUEST = "deployment"  # one for the whole; with a dash and a name, of a cluster or a node
STATES = {
    UpdateStatus.IN_PROGRESS: "InProgress",
    UpdateStatus.RETRY_LATER: "WaitingOnApproval",
    UpdateStatus.PENDING: "Approved",
    UpdateStatus.COMPLETED: "Complete",
    UpdateStatus.NOTHING: "Complete",
}
WAITING, APPROVED = "WaitingOnApproval", "Approved"


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


def list_requests(call: ArmCall) -> ArmReply:
    """The one for the whole, and one for each cluster where something is to be done or under way."""
    place = call.place
    found = [_request(call, REQUEST, place)]
    for name in sorted({node.cluster for node in place.nodes}):
        below = call.find_place(call.path.provider, (*call.path.pairs, ("clusters", name)))
        if below is not None and state_of(call.picture, below).status is not UpdateStatus.NOTHING:
            found.append(_request(call, f"{REQUEST}-{below.name}", below))
    return listed(found)


def get_request(call: ArmCall) -> ArmReply:
    """One request."""
    name, place = _asked(call)
    return ArmReply(body=_request(call, name, place))


def patch_request(call: ArmCall) -> ArmReply:
    """Approves it: no other state may be set."""
    name, place = _asked(call)
    properties = call.json().get("properties")
    wanted = properties.get("state") if isinstance(properties, dict) else None
    if wanted != APPROVED:
        raise bad_request(f"properties.state may be set to {APPROVED} and to nothing else.")
    state = STATES[state_of(call.picture, place).status]
    if state == APPROVED:
        return ArmReply(body=_request(call, name, place))
    if state != WAITING or place.scope is None:
        sentence = f"Request {name} is {state}: only one that is {WAITING} can be approved."
        raise ArmError(HTTPStatus.CONFLICT, "InvalidStateTransition", sentence)
    approve_scope(hearing_of(call.given, f"maintenance request {name} was approved"), place.scope)
    picture = call.given.maintenance.look()
    return ArmReply(body=_request_of(name, place, state_of(picture, place), call))


def put_request(call: ArmCall) -> ArmReply:
    """As a change of one that is there; a new one is made from what is pending, not by clients."""
    return patch_request(call)


def _asked(call: ArmCall) -> tuple[str, Place]:
    """The name as we spell it, and what it is about. Raises ArmError."""
    whole, name = call.place, call.path.name
    head, _, tail = name.partition("-")
    if head.lower() != REQUEST:
        raise not_found(f"maintenance request {name}: they are made from what is pending, and called {REQUEST}")
    if not tail:
        return REQUEST, whole
    for kind in ("clusters", "nodes"):
        below = call.find_place(call.path.provider, (*call.path.pairs, (kind, tail)))
        if below is not None:
            return f"{REQUEST}-{below.name}", below
    raise not_found(f"maintenance request {name}: {tail} is no cluster and no node of {whole.name}")


def _below(call: ArmCall) -> Place:
    """What the path names below its place."""
    place = call.place
    found = call.find_place(call.path.provider, (*call.path.pairs, (call.path.kind, call.path.name)))
    if found is None:
        raise not_found(f"{call.path.kind}/{call.path.name} in {place.name}")
    return found


def _request(call: ArmCall, name: str, place: Place) -> dict[str, Any]:
    return _request_of(name, place, state_of(call.picture, place), call)


def _request_of(name: str, place: Place, state: PlaceState, call: ArmCall) -> dict[str, Any]:
    whole = arm.supercomputer_id(place.group.id, place.group.supercomputer)
    updates = ", ".join(f"{each.update.id} on {each.nodes} nodes" for each in list_updates(call.picture, place))
    properties = {
        "description": f"Pending on {place.name}: {updates or 'nothing'}",
        "maintenanceRequestType": "Planned",
        "state": STATES[state.status],
        "unhealthyResources": [],
        "impactedResources": [place.id],
        "nodesAsked": state.asked,
        "nodesHeld": state.held,
        "provisioningState": "Succeeded",
    }
    return _resource(f"{whole}/maintenanceRequests", name, f"{ROOT}/maintenanceRequests", properties)


def _supercomputer(group: Group) -> dict[str, Any]:
    properties = {
        "siteId": group.clusters[0].datacenter,
        "customer": group.customer,
        "clusters": len(group.clusters),
        "provisioningState": "Succeeded",
    }
    made = _resource(f"{group.id}/providers/{ROOT}", group.supercomputer, ROOT, properties)
    return {**made, "location": group.location, "tags": {}}


def _cluster(call: ArmCall, name: str) -> dict[str, Any]:
    cluster = next(c for c in call.groups[0].clusters if c.name == name)
    properties = {"hardwareSku": cluster.sku, "location": cluster.region, "provisioningState": "Succeeded"}
    return _resource(f"{_whole(call)}/clusters", name, f"{ROOT}/clusters", properties)


def _rack(call: ArmCall, name: str) -> dict[str, Any]:
    nodes = [node for node in _nodes(call.groups[0], call) if node.rack == name]
    clusters = sorted({node.cluster for node in nodes})
    properties = {
        "clusterId": f"{_whole(call)}/clusters/{clusters[0]}",
        "nodes": len(nodes),
        "provisioningState": "Succeeded",
    }
    return _resource(f"{_whole(call)}/racks", name, f"{ROOT}/racks", properties)


def _node(call: ArmCall, parent: str, node: Node) -> dict[str, Any]:
    cluster = call.picture.fleet.clusters[node.cluster]
    properties = {
        "hostname": node.name,
        "nodeId": node.name,
        "assetId": node.name,
        "hardwareSku": cluster.sku,
        "rack": node.rack,
        "clusterId": f"{_whole(call)}/clusters/{node.cluster}",
        "state": str(node.state),
        "provisioningState": "Succeeded",
    }
    return _resource(parent, node.name, f"{ROOT}/nodes", properties)


def _whole(call: ArmCall) -> str:
    group = call.groups[0]
    return arm.supercomputer_id(group.id, group.supercomputer)


def _nodes(group: Group, call: ArmCall) -> Iterator[Node]:
    return (node for cluster in group.clusters for node in call.picture.fleet.nodes_by_cluster[cluster.name])


def _resource(parent: str, name: str, type_: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": f"{parent}/{name}", "name": name, "type": type_, "properties": dict(properties)}


SUPERCOMPUTERS = Kind(all={"GET": list_supercomputers}, one={"GET": get_supercomputer})
CLUSTERS = Kind(all={"GET": list_clusters}, one={"GET": get_cluster})
RACKS = Kind(all={"GET": list_racks}, one={"GET": get_rack})
NODES = Kind(all={"GET": list_nodes}, one={"GET": get_node})
REQUESTS = Kind(all={"GET": list_requests}, one={"GET": get_request, "PATCH": patch_request, "PUT": put_request})
