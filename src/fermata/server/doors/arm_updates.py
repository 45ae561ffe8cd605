"""Pending updates of a resource, and their start: applying them is to approve all that is asked there."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

from fermata.domain import arm
from fermata.domain.maintenance_words import IMPACT_TYPES, UpdateStatus, impact_seconds, maintenance_scope
from fermata.domain.policy import Scope
from fermata.domain.reasons import Code
from fermata.server.doors.arm_front import ArmCall, ArmReply, Kind, bad_request, listed, not_found
from fermata.server.doors.arm_plans import plan_id
from fermata.server.doors.hearing import hearing_of
from fermata.services.errors import Refusal
from fermata.services.event_approvals import approve_scope, withdraw_scope
from fermata.services.place_work import PlaceState, list_updates, state_of
from fermata.services.places import Place

TYPE = "Microsoft.Maintenance/applyUpdates"
DEFAULT = "default"
CANCEL = "cancel"
DETAILS = {
    UpdateStatus.RETRY_LATER: "An approval is missing: {asked} nodes are asked, {held} are held back.",
    UpdateStatus.PENDING: "Approved: it is done in a window of a plan.",
}


def get_updates(call: ArmCall) -> ArmReply:
    """What is pending on the resource."""
    place = call.place
    return listed(
        [
            {
                "maintenanceScope": maintenance_scope(found.update),
                "impactType": IMPACT_TYPES[found.update.impact],
                "status": found.status,
                "impactDurationInSec": impact_seconds(found.update),
                "notBefore": arm.iso(found.due_at),
                "properties": {
                    "resourceId": place.id,
                    "updateId": found.update.id,
                    "title": found.update.title,
                    "component": found.update.component,
                    "toVersion": found.update.to_version,
                    "criticality": found.update.criticality,
                    "notificationId": found.request,
                    "nodes": found.nodes,
                },
            }
            for found in list_updates(call.picture, place)
        ]
    )


def get_apply_update(call: ArmCall) -> ArmReply:
    """How far all work on the resource came."""
    place = call.place
    state = state_of(call.picture, place)
    _check_name(call)
    return ArmReply(body=_apply_update(place, state, call.given.now()))


def put_apply_update(call: ArmCall) -> ArmReply:
    """Approves all that is asked on the resource; with the status Cancel it takes the approval back."""
    place = call.place
    if place.scope is None:
        raise bad_request(f"Nothing is approved for {place.id}: name a node, a rack, a cluster or the supercomputer.")
    _check_name(call)
    asked = call.json().get("properties", {}) if call.body else {}
    status = asked.get("status", "") if isinstance(asked, dict) else ""
    if not isinstance(status, str) or status.lower() not in {"", CANCEL}:
        raise bad_request("properties.status may be Cancel, nothing else.")
    is_cancel = bool(status)
    if is_cancel or any(call.picture.outlook(name).is_held for name in place.names):
        call.refuse_node("take an approval back, or overrule who did")
    _say(call, place.scope, is_cancel=is_cancel)
    state = state_of(call.given.maintenance.look(), place)
    told = _apply_update(place, state, call.given.now())
    if is_cancel:
        told["properties"]["status"] = UpdateStatus.CANCELLED
    return ArmReply(body=told, status=HTTPStatus.OK if is_cancel else HTTPStatus.CREATED)


def list_apply_updates(call: ArmCall) -> ArmReply:
    """Of every cluster of a group or a subscription, as far as anything is to be done or under way there."""
    now, told = call.given.now(), []
    for group in call.groups:
        for cluster in group.clusters:
            pairs = (("supercomputers", group.supercomputer), ("clusters", cluster.name))
            place = call.places.find(group, "Microsoft.SupercomputerInfrastructure", pairs)
            if place is None:
                continue
            state = state_of(call.picture, place)
            if state.status is not UpdateStatus.NOTHING:
                told.append(_apply_update(place, state, now))
    return listed(told)


def _say(call: ArmCall, scope: Scope, *, is_cancel: bool) -> None:
    if is_cancel:
        withdraw_scope(hearing_of(call.given, f"applyUpdates was cancelled for {scope}"), scope)
        return
    try:
        approve_scope(hearing_of(call.given, f"applyUpdates was put for {scope}"), scope)
    except Refusal as refusal:
        if refusal.reason.code is not Code.NOTHING_PENDING:  # that is an answer, not a fault
            raise


def _check_name(call: ArmCall) -> None:
    if call.path.name.lower() != DEFAULT:
        raise not_found(f"apply update {call.path.name}: there is one for each resource, {DEFAULT}")


def _apply_update(place: Place, state: PlaceState, now: datetime) -> dict[str, Any]:
    details = DETAILS.get(state.status, "").format(asked=state.asked, held=state.held)
    properties: Mapping[str, Any] = {
        "status": state.status,
        "resourceId": place.id,
        "lastUpdateTime": arm.iso(state.changed_at or now),
        "updates": list(state.updates),
        "maintenancePlanId": plan_id(place, state.plan) if state.plan else None,
        "statusDetails": {"details": details, "code": "None", "recoveryAction": ""},
    }
    return {
        "id": f"{place.id}/providers/Microsoft.Maintenance/applyUpdates/{DEFAULT}",
        "name": DEFAULT,
        "type": TYPE,
        "properties": dict(properties),
    }


UPDATES = Kind(all={"GET": get_updates})
APPLY_UPDATES = Kind(all={"GET": list_apply_updates}, one={"GET": get_apply_update, "PUT": put_apply_update})
