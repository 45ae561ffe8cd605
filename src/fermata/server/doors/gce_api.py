"""Google Compute's API, as far as maintenance goes: what is upcoming on an instance, and its start, which approves.

A customer is a project, a datacenter a zone, a node an instance; a supercomputer is a reservation, its clusters are
the blocks of it and its racks the sub-blocks.
"""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any
from uuid import uuid5

import orjson
from fastapi import Request, Response

from fermata.domain import arm
from fermata.domain.policy import Scope
from fermata.domain.reasons import Code
from fermata.domain.scheduled_events import AT_ONCE, tell
from fermata.server.context import Context, context_of
from fermata.server.doors.gce_metadata import upcoming
from fermata.server.doors.hearing import hearing_of
from fermata.server.doors.routing import AnyCaseRoute
from fermata.server.metering import run_in_threadpool
from fermata.services.errors import Refusal
from fermata.services.event_approvals import Subject, approve_work, sentences
from fermata.services.maintenance import Picture
from fermata.services.places import Place, Places

TREE = "Microsoft.SupercomputerInfrastructure"
REASONS = {404: "notFound", 400: "failedPrecondition", 409: "conflict"}
ZONE = "/compute/v1/projects/{project}/zones/{zone}"


class _Refused(Exception):
    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


async def get_instance(request: Request) -> Response:
    """A node."""
    return await _answered(request, _instance)


async def post_perform(request: Request) -> Response:
    """Approves all that is asked there."""
    return await _answered(request, _perform)


async def get_operation(request: Request) -> Response:
    """An operation is over when its answer comes."""
    return await _answered(request, _operation_again)


async def _answered(request: Request, work: Callable[[Context, Request], dict[str, Any]]) -> Response:
    try:
        body = await run_in_threadpool(work, context_of(request), request)
    except _Refused as refused:
        return _error(refused.status, str(refused))
    except Refusal as refusal:
        return _error(HTTPStatus.CONFLICT, sentences(refusal.reasons))
    return Response(orjson.dumps(body), media_type="application/json", headers={"Cache-Control": "no-store"})


def _instance(given: Context, request: Request) -> dict[str, Any]:
    picture = given.maintenance.look()
    place = _find(picture, request, _pairs(request))
    node = place.nodes[0]
    events = tell(picture.outlook(node.name), given.now(), AT_ONCE).events
    told: dict[str, Any] = {
        "kind": "compute#instance",
        "id": _number(f"node:{node.name}"),
        "name": node.name,
        "status": "RUNNING",
        "zone": _link(request, ""),
        "machineType": _link(request, f"/machineTypes/{picture.fleet.clusters[node.cluster].sku}"),
        "selfLink": _link(request, f"/instances/{node.name}"),
    }
    if events:
        told["resourceStatus"] = {"upcomingMaintenance": {_camel(name): v for name, v in upcoming(events).items()}}
    return told


def _perform(given: Context, request: Request) -> dict[str, Any]:
    place = _find(given.maintenance.look(), request, _pairs(request))
    assert isinstance(place.scope, Scope), "every level that is named here has consent of its own"
    hearing = hearing_of(given, f"performMaintenance was called for {place.scope}")
    try:
        approve_work(hearing, Subject(scope=place.scope, nodes=place.names))
    except Refusal as refusal:
        if refusal.reason.code is not Code.NOTHING_PENDING:
            raise
        raise _Refused(HTTPStatus.BAD_REQUEST, refusal.reason.sentence) from refusal
    return _operation(given, request, f"operation-{uuid5(arm.NAMESPACE, given.new_id('op'))}")


def _operation_again(given: Context, request: Request) -> dict[str, Any]:
    return _operation(given, request, request.path_params["operation"])


def _operation(given: Context, request: Request, name: str) -> dict[str, Any]:
    now = arm.iso(given.now())
    return {
        "kind": "compute#operation",
        "id": _number(f"operation:{name}"),
        "name": name,
        "operationType": "performMaintenance",
        "status": "DONE",
        "progress": 100,
        "insertTime": now,
        "startTime": now,
        "endTime": now,
        "zone": _link(request, ""),
        "selfLink": _link(request, f"/operations/{name}"),
    }


def _pairs(request: Request) -> list[tuple[str, str]]:
    """Below the reservation that an instance stands in nothing is named: the node alone finds it."""
    kinds = (("reservation", "supercomputers"), ("block", "clusters"), ("subblock", "racks"), ("instance", "nodes"))
    given = request.path_params
    return [(kind, given[name]) for name, kind in kinds if name in given]


def _find(picture: Picture, request: Request, pairs: Sequence[tuple[str, str]]) -> Place:
    places = Places(fleet=picture.fleet)
    project, zone = request.path_params["project"].lower(), request.path_params["zone"].lower()
    for group in places.groups.values():
        if group.customer.lower() != project or all(c.datacenter.lower() != zone for c in group.clusters):
            continue
        whole = [] if pairs[0][0] == "supercomputers" else [("supercomputers", str(group.supercomputer))]
        found = places.find(group, TREE, [*whole, *pairs])
        if found is not None and any(
            picture.fleet.clusters[node.cluster].datacenter.lower() == zone for node in found.nodes
        ):
            return found
    last = "/".join(name for _, name in pairs)
    raise _Refused(HTTPStatus.NOT_FOUND, f"The resource {last} was not found in zone {zone} of project {project}.")


def _link(request: Request, tail: str) -> str:
    given = request.path_params
    return f"{request.base_url}compute/v1/projects/{given['project']}/zones/{given['zone']}{tail}"


def _number(name: str) -> str:
    return str(uuid5(arm.NAMESPACE, name).int >> 66)  # 62 bits, as text


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _error(status: int, sentence: str) -> Response:
    errors = [{"message": sentence, "domain": "global", "reason": REASONS[status]}]
    body = {"error": {"code": int(status), "message": sentence, "errors": errors}}
    return Response(orjson.dumps(body), status_code=status, media_type="application/json")


_RESERVATION = f"{ZONE}/reservations/{{reservation}}"
_BLOCK = f"{_RESERVATION}/reservationBlocks/{{block}}"
_PERFORM = (f"{ZONE}/instances/{{instance}}", _RESERVATION, _BLOCK, f"{_BLOCK}/reservationSubBlocks/{{subblock}}")
ROUTES = (
    AnyCaseRoute(f"{ZONE}/instances/{{instance}}", get_instance, method="GET"),
    *(AnyCaseRoute(f"{path}/performMaintenance", post_perform, method="POST") for path in _PERFORM),
    AnyCaseRoute(f"{ZONE}/operations/{{operation}}", get_operation, method="GET"),
    AnyCaseRoute(f"{ZONE}/operations/{{operation}}/wait", get_operation, method="POST"),
)
