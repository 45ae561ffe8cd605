"""Maintenance requests that clients put themselves, in the shape of Microsoft.SupercomputerInfrastructure: a repair of
what they name, under the name that they choose. Modelled on a preview. What they ask for is done at once, so that an
operation that a client is told to look at is over when it looks.
"""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fermata.domain import arm
from fermata.domain.maintenance_words import UpdateStatus
from fermata.domain.policy import Scope, ScopeLevel
from fermata.server.doors.arm_front import ArmCall, ArmError, ArmReply, Kind, bad_request, not_found
from fermata.server.doors.arm_supercomputers import PROVIDER, ROOT, resource, whole_id
from fermata.server.doors.hearing import hearing_of
from fermata.services.event_approvals import Subject, approve_work
from fermata.services.maintenance_requests import (
    KeptRequest,
    NameTaken,
    PutRequest,
    RequestView,
    delete_request,
    find_operation,
    find_request,
    list_requests,
    put_request,
)
from fermata.services.unhealthy import Fault, UnknownResources

INVESTIGATING, WAITING, APPROVED = "Investigating", "WaitingOnApproval", "Approved"
STATES: Mapping[UpdateStatus, str] = {
    UpdateStatus.IN_PROGRESS: "InProgress",
    UpdateStatus.RETRY_LATER: WAITING,
    UpdateStatus.PENDING: APPROVED,
    UpdateStatus.COMPLETED: "Complete",
    UpdateStatus.NOTHING: "Complete",
    UpdateStatus.CANCELLED: "Cancelled",
}
TYPES = ("Investigative", "Unhealthy")
NAME = re.compile(r"[a-zA-Z0-9-]{3,64}")
CATEGORY = re.compile(r"[a-zA-Z0-9]{1,64}")  # the interface leaves the list of its words open
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # which a database may refuse, and nobody reads
OPERATION = re.compile(r"mr_[a-zA-Z0-9]+")
RESOURCES_MAX = 500  # each is a work order, and all are opened by one transaction
TEXT_MAX = 2_000
ID_MAX = 1_000
AT_ONCE = "1"  # seconds until a client looks; without a number it waits for half a minute
FAULTS: Mapping[Fault, tuple[str, str]] = {
    Fault.UNREADABLE: (
        "LinkedInvalidPropertyId",
        "{id} is no id of a resource: write it from /subscriptions/ on, with its group, provider, types and names.",
    ),
    Fault.ELSEWHERE: (
        "LinkedAuthorizationFailed",
        "{id} lies outside of this subscription: name resources of your own.",
    ),
    Fault.UNKNOWN: (
        "InvalidResourceReference",
        "{id} is no cluster, rack, node, switch, link or card of {name} in this subscription: take ids from its lists.",
    ),
}


def list_own(call: ArmCall) -> list[dict[str, Any]]:
    """All that clients put for the supercomputer."""
    found = list_requests(call.given.db, call.picture, call.place.group)
    return [_request(call, view) for view in found]


def get_own(call: ArmCall) -> ArmReply:
    """One of them."""
    return ArmReply(body=_request(call, _view(call)))


def put_own(call: ArmCall) -> ArmReply:
    """Opens repairs of what the body names. The same body again changes nothing, another one is refused."""
    group, name = call.place.group, call.path.name
    call.refuse_node("ask for maintenance")
    if NAME.fullmatch(name) is None:
        raise bad_request("A maintenance request's name has 3 to 64 letters, digits and dashes.")
    asked = _read(call)
    hearing = hearing_of(call.given, f"maintenance request {name} was put")
    try:
        kept, is_new = put_request(hearing, group, asked, is_approved=asked.state == APPROVED)
    except NameTaken as taken:
        sentence = (
            f"Maintenance request {name} is there with other content ({', '.join(taken.differs)}): choose another name,"
            f" or delete that one first. To approve one that is {WAITING}, PATCH its state."
        )
        raise ArmError(HTTPStatus.CONFLICT, "MaintenanceRequestExists", sentence) from taken
    except UnknownResources as unknown:
        raise _say_unknown(call, unknown) from unknown
    body = _request(call, _view(call))
    if not is_new:
        return ArmReply(body=body)
    told = {"Azure-AsyncOperation": _operation(call, "operationStatuses", kept), "Retry-After": AT_ONCE}
    return ArmReply(body=body, status=HTTPStatus.CREATED, headers=told)


def patch_own(call: ArmCall) -> ArmReply:
    """Approves it: no other state may be set, and nothing else changed."""
    view = _view(call)
    call.refuse_node("approve maintenance of a supercomputer")
    properties = call.json().get("properties")
    if not isinstance(properties, dict) or properties.get("state") != APPROVED:
        raise bad_request(f"properties.state may be set to {APPROVED} and to nothing else.")
    asked = _properties(view.kept.asked)
    others = sorted(key for key in asked.keys() & properties.keys() - {"state"} if properties[key] != asked[key])
    if others:
        raise bad_request(f"properties.{others[0]} stays as it was put: only the state may be set.")
    state = STATES[view.status]
    if state == APPROVED:
        return ArmReply(body=_request(call, view))
    name = view.kept.asked.name
    if state != WAITING:
        sentence = f"Request {name} is {state}: only one that is {WAITING} can be approved."
        raise ArmError(HTTPStatus.CONFLICT, "InvalidStateTransition", sentence)
    scope = Scope(level=ScopeLevel.SUPERCOMPUTER, name=call.place.group.supercomputer)
    mine = frozenset(view.orders)
    subject = Subject(scope=scope, nodes=view.nodes, updates=False, orders=lambda work: work.order in mine)
    approve_work(hearing_of(call.given, f"maintenance request {name} was approved"), subject)
    return ArmReply(body=_request(call, _view(call)))


def delete_own(call: ArmCall) -> ArmReply:
    """Cancels what has not begun, and forgets the name."""
    group, name = call.place.group, call.path.name
    call.refuse_node("cancel maintenance")
    hearing = hearing_of(call.given, f"maintenance request {name} was deleted")
    kept = delete_request(hearing, group, name) if NAME.fullmatch(name) else None
    if kept is None:
        return ArmReply(body=None, status=HTTPStatus.NO_CONTENT)
    told = {"Location": _operation(call, "operationResults", kept), "Retry-After": AT_ONCE}
    return ArmReply(body=None, status=HTTPStatus.ACCEPTED, headers=told)


def get_status(call: ArmCall) -> ArmReply:
    """Of an operation that made a request: it is over, since nobody is told of it before."""
    kept = _find_operation(call)
    at = arm.iso(kept.made_at)
    path = _operation_path(call, "operationStatuses", kept, call.path.pairs[0][1])
    return ArmReply(body={"id": path, "name": kept.id, "status": "Succeeded", "startTime": at, "endTime": at})


def get_result(call: ArmCall) -> ArmReply:
    """Of an operation that deleted a request: nothing is left to show."""
    kept = _find_operation(call)
    if kept.deleted_at is None:
        raise not_found(f"operation {call.path.name}: nothing deleted that request")
    return ArmReply(body=None, status=HTTPStatus.NO_CONTENT)


def _find_operation(call: ArmCall) -> KeptRequest:
    call.refuse_node("look at what others asked for")
    name = call.path.name
    kept = find_operation(call.given.db, call.groups, name) if OPERATION.fullmatch(name) else None
    if kept is None:
        raise not_found(f"operation {name} in this subscription")
    return kept


def _operation(call: ArmCall, kind: str, kept: KeptRequest) -> str:
    """Where a client looks how it went."""
    path = _operation_path(call, kind, kept, call.place.group.location)
    return f"{call.base}{path}?api-version={call.options['api-version']}"


def _operation_path(call: ArmCall, kind: str, kept: KeptRequest, location: str) -> str:
    return f"/subscriptions/{call.path.subscription}/providers/{PROVIDER}/locations/{location}/{kind}/{kept.id}"


def _view(call: ArmCall) -> RequestView:
    """The one that the path names, as it stands now. Raises ArmError."""
    group, name = call.place.group, call.path.name
    look = call.given.maintenance.look
    found = find_request(call.given.db, look(), group, name) if NAME.fullmatch(name) else None
    if found is None:
        raise not_found(f"maintenance request {name} of {group.supercomputer}: no client put one, and none is pending")
    return found


def _read(call: ArmCall) -> PutRequest:
    """What the body asks for. Raises ArmError."""
    properties = call.json().get("properties")
    if not isinstance(properties, dict):
        raise bad_request("properties must be an object.")
    category = properties.get("impactCategory")
    if not isinstance(category, str) or CATEGORY.fullmatch(category) is None:
        raise bad_request("properties.impactCategory must be one word, such as EthLinkFlap.")
    return PutRequest(
        name=call.path.name,
        description=_text(properties),
        type=_word(properties, "maintenanceRequestType", TYPES),
        state=_word(properties, "state", (INVESTIGATING, APPROVED)),
        resources=_resources(properties),
        category=category,
    )


def _text(properties: Mapping[str, Any]) -> str:
    found = properties.get("description")
    if not isinstance(found, str) or not found.strip() or len(found) > TEXT_MAX or CONTROL.search(found):
        raise bad_request(
            f"properties.description must say what is wrong, in at most {TEXT_MAX:,} readable characters."
        )
    return found


def _word(properties: Mapping[str, Any], key: str, words: Sequence[str]) -> str:
    found = properties.get(key)
    if found not in words:
        raise bad_request(f"properties.{key} must be {' or '.join(words)}.")
    return str(found)


def _resources(properties: Mapping[str, Any]) -> tuple[str, ...]:
    found = properties.get("unhealthyResources")
    texts = [text for text in found if isinstance(text, str) and len(text) <= ID_MAX] if isinstance(found, list) else []
    if not isinstance(found, list) or len(texts) < len(found) or not 0 < len(texts) <= RESOURCES_MAX:
        raise bad_request(f"properties.unhealthyResources must be a list of 1 to {RESOURCES_MAX} ids of resources.")
    once: dict[str, str] = {}
    for text in texts:
        once.setdefault(text.lower(), text)
    return tuple(once.values())


def _say_unknown(call: ArmCall, unknown: UnknownResources) -> ArmError:
    """What is elsewhere is told of alone: it is another answer than 400, and there are not two."""
    by_fault = {fault: [each for each in unknown.wrong if each.fault is fault] for fault in Fault}
    fault = next(fault for fault in (Fault.ELSEWHERE, Fault.UNKNOWN, Fault.UNREADABLE) if by_fault[fault])
    told = by_fault[fault] if fault is Fault.ELSEWHERE else unknown.wrong
    details = [
        {
            "code": FAULTS[each.fault][0],
            "target": "properties.unhealthyResources",
            "message": FAULTS[each.fault][1].format(id=each.id, name=call.place.name),
        }
        for each in told
    ]
    status = HTTPStatus.FORBIDDEN if fault is Fault.ELSEWHERE else HTTPStatus.BAD_REQUEST
    sentence = FAULTS[fault][1].format(id=by_fault[fault][0].id, name=call.place.name)
    return ArmError(status, FAULTS[fault][0], sentence, details=details)


def _properties(asked: PutRequest) -> dict[str, Any]:
    return {
        "description": asked.description,
        "maintenanceRequestType": asked.type,
        "state": asked.state,
        "unhealthyResources": list(asked.resources),
        "impactCategory": asked.category,
    }


def _request(call: ArmCall, view: RequestView) -> dict[str, Any]:
    whole, kept = whole_id(call), view.kept
    clusters = sorted(
        {call.picture.fleet.nodes[name].cluster for name in view.nodes if name in call.picture.fleet.nodes}
    )
    properties = {
        **_properties(kept.asked),
        "state": STATES[view.status],
        "impactedResources": [f"{whole}/nodes/{name}" for name in view.nodes],
        "repairedResources": list(view.repaired),
        "clusterId": f"{whole}/clusters/{clusters[0]}" if len(clusters) == 1 else None,
        "nodesAsked": view.asked,
        "workOrders": list(view.orders),
        "provisioningState": "Succeeded",
    }
    at = arm.iso(kept.made_at)
    made = resource(f"{whole}/maintenanceRequests", kept.asked.name, f"{ROOT}/maintenanceRequests", properties)
    return {**made, "systemData": {"createdBy": kept.actor, "createdByType": "User", "createdAt": at}}


STATUSES = Kind(one={"GET": get_status})
RESULTS = Kind(one={"GET": get_result})
