"""Plans in force as maintenance plans of a resource, and those that clients put: an approval for one time. In the words
of a coming part of Azure's maintenance interface, and experimental as that is.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from fermata.domain import arm
from fermata.domain.ids import UpdateId
from fermata.server.doors.arm_front import ArmCall, ArmError, ArmReply, Kind, bad_request, listed, not_found
from fermata.server.doors.hearing import hearing_of
from fermata.services.maintenance import PlannedStay
from fermata.services.maintenance_plans import RACK_FLIGHT, PutPlan, UpdateScope, covers, list_put_plans, put_plan
from fermata.services.place_work import list_flights, list_updates, windows_of
from fermata.services.places import Place

TYPE = "Microsoft.Maintenance/maintenancePlans"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
TEXT_MAX = 2_000


def list_plans(call: ArmCall) -> ArmReply:
    """Those that still have something to come; with includeInactive all that a run followed, or a client put."""
    place, now = call.place, call.given.now()
    wants_all = call.options.get("includeinactive", "").lower() == "true"
    found = [
        _plan(place, name, windows)
        for name, windows in _plans(call, place).items()
        if wants_all or max(planned.window.end for planned in windows) >= now
    ]
    put = list_put_plans(call.given.db, plan_id(place, ""))
    return listed(found + [_put(place, plan) for plan in put if wants_all or plan.end >= now])


def get_plan(call: ArmCall) -> ArmReply:
    """One plan, as far as it takes nodes of the resource."""
    place, name = call.place, call.path.name.lower()
    for known, windows in _plans(call, place).items():
        if known.lower() == name:
            return ArmReply(body=_plan(place, known, windows))
    for plan in list_put_plans(call.given.db, plan_id(place, "")):
        if plan.name.lower() == name:
            return ArmReply(body=_put(place, plan))
    raise not_found(f"maintenance plan {call.path.name} of {place.id}")


def put_maintenance_plan(call: ArmCall) -> ArmReply:
    """Approves what the plan's scope of updates names on the resource, for the plan's time and no other."""
    place, name = call.place, call.path.name
    call.refuse_node("make a maintenance plan")
    if place.scope is None:
        raise bad_request(f"Nothing is approved for {place.id}: name a node, a rack, a cluster or the supercomputer.")
    if NAME.fullmatch(name) is None:
        raise bad_request("A maintenance plan's name has at most 64 letters, digits, dots, dashes and underscores.")
    if any(known.lower() == name.lower() for known in _plans(call, place)):
        raise ArmError(HTTPStatus.CONFLICT, "Conflict", f"{name} is a plan of the planner: give yours another name.")
    asked = _read_plan(call, place)
    updates = _find_meant(call, place, asked)
    plan = PutPlan(
        path=plan_id(place, name),
        name=name,
        start=asked.start,
        end=asked.end,
        scope=asked.scope,
        description=asked.description,
        version=asked.version,
        updates=updates,
    )
    is_new = put_plan(hearing_of(call.given, f"maintenance plan {name} was put for {place.scope}"), place.scope, plan)
    return ArmReply(body=_put(place, plan), status=HTTPStatus.CREATED if is_new else HTTPStatus.OK)


def _find_meant(call: ArmCall, place: Place, asked: PutPlan) -> tuple[UpdateId, ...]:
    """The updates that the plan names there; of flights one. Raises ArmError."""
    is_flight = asked.scope.is_flight
    there = list_flights(call.picture, place) if is_flight else [u.update for u in list_updates(call.picture, place)]
    found = tuple(update.id for update in there if covers(asked, update))
    if not found:
        what = "is offered as a flight" if is_flight else "is pending"
        sentence = f"No update that {asked.scope} names {what} on {place.name}: there is nothing to agree to."
        raise ArmError(HTTPStatus.CONFLICT, "NoUpdatesPending", sentence)
    if is_flight and len(found) > 1:
        sentence = (
            f"{', '.join(found)} are offered as flights on {place.name}, and one is tried at a time: say in "
            "versionToUpdate which version is meant, or approve one by its name."
        )
        raise ArmError(HTTPStatus.CONFLICT, "FlightAmbiguous", sentence)
    return found


def _read_plan(call: ArmCall, place: Place) -> PutPlan:
    """What the body asks for, its updates not looked up yet. Raises ArmError."""
    properties = call.json().get("properties")
    if not isinstance(properties, dict):
        raise bad_request("properties must be an object.")
    start, end = _time(properties, "startTimeUTC"), _time(properties, "endTimeUTC")
    if end <= start or end <= call.given.now():
        raise bad_request("endTimeUTC must come after startTimeUTC, and be ahead.")
    scope = next((scope for scope in UpdateScope if scope == properties.get("updateScope")), None)
    if properties.get("updateScope") == RACK_FLIGHT:
        raise bad_request(
            f"No plan is made for {RACK_FLIGHT}: a flight of a shared device flies with all nodes behind it or not at "
            "all, and a plan speaks for its resource alone. Approve the flight by its name on all of those nodes."
        )
    if scope is None:
        raise bad_request(f"updateScope must be one of {', '.join(UpdateScope)}.")
    return PutPlan(
        path=place.id,
        name=call.path.name,
        start=start,
        end=end,
        scope=scope,
        description=_text(properties, "description"),
        version=_text(properties, "versionToUpdate"),
    )


def _time(properties: Mapping[str, Any], key: str) -> datetime:
    try:
        found = datetime.fromisoformat(_text(properties, key))
        if found.tzinfo is None:
            raise bad_request(f"properties.{key} has no zone: write it with a Z.")
        return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise bad_request(f"properties.{key} must be a time such as 2026-01-25T12:30:00Z.") from error


def _text(properties: Mapping[str, Any], key: str) -> str:
    found = properties.get(key, "")
    if not isinstance(found, str) or len(found) > TEXT_MAX:
        raise bad_request(f"properties.{key} must be a text of at most {TEXT_MAX:,} characters.")
    return found


def _plans(call: ArmCall, place: Place) -> dict[str, list[PlannedStay]]:
    found: dict[str, list[PlannedStay]] = {}
    for planned in windows_of(call.picture, place):
        found.setdefault(planned.plan, []).append(planned)
    return found


def _plan(place: Place, name: str, windows: list[PlannedStay]) -> dict[str, Any]:
    updates = sorted({update for planned in windows for update in planned.window.updates})
    properties = {
        "state": "Succeeded",
        "resourceId": place.id,
        "description": f"{len(windows)} windows: {', '.join(updates)}",
        "startTimeUTC": arm.iso(min(planned.window.start for planned in windows)),
        "endTimeUTC": arm.iso(max(planned.window.end for planned in windows)),
        "updateScope": UpdateScope.CUSTOM,
        "versionToUpdate": "",
    }
    return {"id": plan_id(place, name), "name": name, "type": TYPE, "properties": properties}


def _put(place: Place, plan: PutPlan) -> dict[str, Any]:
    properties = {
        "state": "Succeeded",
        "resourceId": place.id,
        "description": plan.description,
        "startTimeUTC": arm.iso(plan.start),
        "endTimeUTC": arm.iso(plan.end),
        "updateScope": plan.scope,
        "versionToUpdate": plan.version,
        "updates": list(plan.updates),
    }
    return {"id": plan.path, "name": plan.name, "type": TYPE, "properties": properties}


def plan_id(place: Place, name: str) -> str:
    """Of a plan, as far as it is about the place."""
    return f"{place.id}/providers/Microsoft.Maintenance/maintenancePlans/{name}"


PLANS = Kind(all={"GET": list_plans}, one={"GET": get_plan, "PUT": put_maintenance_plan})
