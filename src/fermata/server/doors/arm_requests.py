"""Maintenance requests of a supercomputer in the shape of Microsoft.SupercomputerInfrastructure: one for its updates
and one for each kind of work order, approved for the whole, for a cluster or for a node; and beside them those that
clients put. Modelled on a preview.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fermata.domain import arm
from fermata.domain.maintenance_words import UpdateStatus
from fermata.domain.request_kinds import KIND_WORDS, RequestKind
from fermata.domain.scheduled_events import COMING
from fermata.server.doors.arm_front import ArmCall, ArmError, ArmReply, Kind, bad_request, listed, not_found
from fermata.server.doors.arm_own_requests import (
    APPROVED,
    STATES,
    WAITING,
    delete_own,
    get_own,
    list_own,
    patch_own,
    put_own,
)
from fermata.server.doors.arm_supercomputers import ROOT, resource
from fermata.server.doors.hearing import hearing_of
from fermata.services.event_approvals import Subject, approve_work
from fermata.services.maintenance import Picture
from fermata.services.place_work import PlaceState, list_updates, state_of
from fermata.services.places import Place


def list_requests(call: ArmCall) -> ArmReply:
    """Of updates and of each kind of work order that stands there, one for the whole, and one for each cluster where
    something is to be done or under way; then what clients put.
    """
    place, found = call.place, []
    parts = [
        below
        for name in sorted({node.cluster for node in place.nodes})
        if (below := call.find_place(call.path.provider, (*call.path.pairs, ("clusters", name)))) is not None
    ]
    for kind in RequestKind:
        if kind is RequestKind.DEPLOYMENT or _is_there(call, place, kind):
            found.append(_request(call, kind, place))
            found += [_request(call, kind, below) for below in parts if _is_there(call, below, kind)]
    return listed(found + list_own(call))


def get_request(call: ArmCall) -> ArmReply:
    """One request."""
    if _kind_of(call.path.name) is None:
        return get_own(call)
    return ArmReply(body=_request(call, *_asked(call)))


def patch_request(call: ArmCall) -> ArmReply:
    """Approves it: no other state may be set."""
    if _kind_of(call.path.name) is None:
        return patch_own(call)
    kind, place = _asked(call)
    properties = call.json().get("properties")
    wanted = properties.get("state") if isinstance(properties, dict) else None
    if wanted != APPROVED:
        raise bad_request(f"properties.state may be set to {APPROVED} and to nothing else.")
    state = STATES[state_of(call.picture, place, {kind}).status]
    name = _name(call, kind, place)
    if state == APPROVED:
        return ArmReply(body=_request(call, kind, place))
    if state != WAITING or place.scope is None:
        sentence = f"Request {name} is {state}: only one that is {WAITING} can be approved."
        raise ArmError(HTTPStatus.CONFLICT, "InvalidStateTransition", sentence)
    subject = Subject(
        scope=place.scope,
        nodes=place.names,
        updates=kind is RequestKind.DEPLOYMENT,
        orders=lambda work: work.kind is kind,
    )
    approve_work(hearing_of(call.given, f"maintenance request {name} was approved"), subject)
    return ArmReply(body=_request_of(call.given.maintenance.look(), call, kind, place))


def put_request(call: ArmCall) -> ArmReply:
    """A repair that a client asks for; under the name of one that is made from what is pending, a change of that."""
    name, whole = call.path.name, call.place
    if _kind_of(name) is None:
        return put_own(call)
    sentence = (
        f"{name} is a name of requests that are made from what is pending on {whole.name}: choose another for yours."
    )
    reserved = ArmError(HTTPStatus.CONFLICT, "MaintenanceRequestNameReserved", sentence)
    properties = call.json().get("properties")
    if isinstance(properties, dict) and "impactCategory" in properties:
        raise reserved  # which those lack: taken as a change, it would approve more than what was meant
    try:
        return patch_request(call)
    except ArmError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        raise reserved from error


def delete_request(call: ArmCall) -> ArmReply:
    """What a client put. Others end with the work that they ask for."""
    if _kind_of(call.path.name) is None:
        return delete_own(call)
    sentence = f"Request {call.path.name} is made from what is pending: it ends when that is done."
    raise ArmError(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", sentence)


def _kind_of(name: str) -> RequestKind | None:
    """Of a request that is made from what is pending; None of those that clients put."""
    head, _, _ = name.partition("-")
    return next((kind for kind in RequestKind if kind == head.lower()), None)


def _asked(call: ArmCall) -> tuple[RequestKind, Place]:
    """Of which kind it is, and about what. Raises ArmError, for one that nothing was ever asked of too."""
    whole, name = call.place, call.path.name
    _, _, tail = name.partition("-")
    kind = _kind_of(name)
    assert kind is not None, "what clients put is asked for elsewhere"
    place = whole if not tail else _part(call, tail)
    if place is None:
        raise not_found(f"maintenance request {name}: {tail} is no cluster and no node of {whole.name}")
    if kind is not RequestKind.DEPLOYMENT and not _is_there(call, place, kind):
        raise not_found(f"maintenance request {name}: no work order of that kind concerns {place.name}")
    return kind, place


def _part(call: ArmCall, name: str) -> Place | None:
    pairs = call.path.pairs
    parts = (call.find_place(call.path.provider, (*pairs, (kind, name))) for kind in ("clusters", "nodes"))
    return next((found for found in parts if found is not None), None)


def _is_there(call: ArmCall, place: Place, kind: RequestKind) -> bool:
    return state_of(call.picture, place, {kind}).status is not UpdateStatus.NOTHING


def _name(call: ArmCall, kind: RequestKind, place: Place) -> str:
    """One kind for the whole; with a dash and a name, of a cluster or a node."""
    return kind.value if place.id == call.place.id else f"{kind}-{place.name}"


def _request(call: ArmCall, kind: RequestKind, place: Place) -> dict[str, Any]:
    return _request_of(call.picture, call, kind, place)


def _request_of(picture: Picture, call: ArmCall, kind: RequestKind, place: Place) -> dict[str, Any]:
    whole = arm.supercomputer_id(place.group.id, place.group.supercomputer)
    state = state_of(picture, place, {kind})
    properties = {
        "description": _describe(picture, kind, place, state),
        "maintenanceRequestType": "Unhealthy" if kind is RequestKind.REPAIR else "Planned",
        "state": STATES[state.status],
        "unhealthyResources": sorted(_nodes_asked(picture, place)) if kind is RequestKind.REPAIR else [],
        "impactedResources": [place.id],
        "nodesAsked": state.asked,
        "nodesHeld": state.held,
        "workOrders": [order.order for order in state.orders],
        "provisioningState": "Succeeded",
    }
    name = _name(call, kind, place)
    return resource(f"{whole}/maintenanceRequests", name, f"{ROOT}/maintenanceRequests", properties)


def _describe(picture: Picture, kind: RequestKind, place: Place, state: PlaceState) -> str:
    if kind is RequestKind.DEPLOYMENT:
        found = [f"{each.update.id} on {each.nodes} nodes" for each in list_updates(picture, place)]
        return f"Pending on {place.name}: {', '.join(found) or 'nothing'}"
    told = [f"{order.target}, order {order.order}: {order.cause}" for order in state.orders]
    return f"{KIND_WORDS[kind].capitalize()} on {place.name}: {'; '.join(told) or 'nothing'}"


def _nodes_asked(picture: Picture, place: Place) -> Iterator[str]:
    """The nodes of the place that a repair concerns, whoever stands behind what is to be repaired."""
    whole = arm.supercomputer_id(place.group.id, place.group.supercomputer)
    for name in place.names:
        ordered = picture.outlook(name).ordered
        if any(work.kind is RequestKind.REPAIR and work.status in COMING for work in ordered):
            yield f"{whole}/nodes/{name}"


REQUESTS = Kind(
    all={"GET": list_requests},
    one={"GET": get_request, "PATCH": patch_request, "PUT": put_request, "DELETE": delete_request},
)
