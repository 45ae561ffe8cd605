"""Pending updates of a resource, and the start of work there: applying is to approve what is asked, updates and work
orders. `default` is all of it; a work order is applied by itself under its id.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any

from fermata.domain import arm
from fermata.domain.maintenance_words import IMPACT_TYPES, UpdateStatus, impact_seconds, maintenance_scope
from fermata.domain.policy import Scope
from fermata.domain.reasons import Code
from fermata.domain.scheduled_events import COMING, Answer, Outlook
from fermata.server.doors.arm_front import ArmCall, ArmReply, Kind, bad_request, listed, not_found
from fermata.server.doors.arm_plans import plan_id
from fermata.server.doors.hearing import hearing_of
from fermata.services.errors import Refusal
from fermata.services.event_approvals import Subject, approve_work, withdraw_work
from fermata.services.place_work import PlaceOrder, PlaceState, list_updates, state_of
from fermata.services.places import Place

TYPE = "Microsoft.Maintenance/applyUpdates"
DEFAULT = "default"
CANCEL = "cancel"
DETAILS = {
    UpdateStatus.RETRY_LATER: "An approval is missing: {asked} nodes are asked, {held} are held back.",
    UpdateStatus.PENDING: "Approved: it is done in a window of a plan, work orders when their people begin.",
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
    """How far all work on the resource came, or one work order there."""
    place = call.place
    state = state_of(call.picture, place)
    return ArmReply(body=_told(call, place, state))


def put_apply_update(call: ArmCall) -> ArmReply:
    """Approves all that is asked on the resource, or one work order there; with the status Cancel it takes the approval
    back.
    """
    place = call.place
    if place.scope is None:
        raise bad_request(f"Nothing is approved for {place.id}: name a node, a rack, a cluster or the supercomputer.")
    order = _asked_order(call, state_of(call.picture, place))
    asked = call.json().get("properties", {}) if call.body else {}
    status = asked.get("status", "") if isinstance(asked, dict) else ""
    if not isinstance(status, str) or status.lower() not in {"", CANCEL}:
        raise bad_request("properties.status may be Cancel, nothing else.")
    is_cancel = bool(status)
    if is_cancel or any(_is_held(call.picture.outlook(name), order) for name in place.names):
        call.refuse_node("take an approval back, or overrule who did")
    _say(call, place, place.scope, order, is_cancel=is_cancel)
    state = state_of(call.given.maintenance.look(), place)
    told = _told(call, place, state)
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
            told += [_apply_order(place, order, now) for order in state.orders]
    return listed(told)


def _is_held(outlook: Outlook, order: PlaceOrder | None) -> bool:
    held = {work.order for work in outlook.ordered if work.answer is Answer.HELD and work.status in COMING}
    return order.order in held if order is not None else outlook.is_held or bool(held)


def _say(call: ArmCall, place: Place, scope: Scope, order: PlaceOrder | None, *, is_cancel: bool) -> None:
    what = f"applyUpdates/{call.path.name} for {scope}"
    hearing = hearing_of(call.given, f"{what} was cancelled" if is_cancel else f"{what} was put")
    subject = Subject(scope=scope, nodes=place.names)
    if order is not None:
        subject = replace(subject, updates=False, orders=lambda work: work.order == order.order)
    if is_cancel:
        withdraw_work(hearing, subject)
        return
    try:
        approve_work(hearing, subject)
    except Refusal as refusal:
        if refusal.reason.code is not Code.NOTHING_PENDING:  # that is an answer, not a fault
            raise


def _asked_order(call: ArmCall, state: PlaceState) -> PlaceOrder | None:
    """The work order that the path names, None for all work. Raises ArmError for one that is over, or is not there."""
    name = call.path.name.lower()
    if name == DEFAULT:
        return None
    found = next((order for order in state.orders if order.order.lower() == name), None)
    if found is None:
        raise not_found(
            f"apply update {call.path.name}: there is {DEFAULT}, and one for each work order of the resource"
        )
    return found


def _told(call: ArmCall, place: Place, state: PlaceState) -> dict[str, Any]:
    order, now = _asked_order(call, state), call.given.now()
    return _apply_update(place, state, now) if order is None else _apply_order(place, order, now)


def _apply_order(place: Place, order: PlaceOrder, now: datetime) -> dict[str, Any]:
    missing = order.status is UpdateStatus.RETRY_LATER
    properties: Mapping[str, Any] = {
        "status": order.status,
        "resourceId": place.id,
        "lastUpdateTime": arm.iso(now),
        "workOrders": [_order(order)],
        "maintenancePlanId": None,
        "statusDetails": {
            "details": "An approval is missing." if missing else "",
            "code": "None",
            "recoveryAction": "",
        },
    }
    return _resource(place, order.order, properties)


def _order(order: PlaceOrder) -> dict[str, Any]:
    return {
        "id": order.order,
        "kind": order.kind,
        "target": order.target,
        "cause": order.cause,
        "notBefore": arm.iso(order.due_at),
        "nodes": order.nodes,
        "status": order.status,
        "notificationId": order.request,
    }


def _apply_update(place: Place, state: PlaceState, now: datetime) -> dict[str, Any]:
    details = DETAILS.get(state.status, "").format(asked=state.asked, held=state.held)
    properties: Mapping[str, Any] = {
        "status": state.status,
        "resourceId": place.id,
        "lastUpdateTime": arm.iso(state.changed_at or now),
        "updates": list(state.updates),
        "workOrders": [_order(order) for order in state.orders],
        "maintenancePlanId": plan_id(place, state.plan) if state.plan else None,
        "statusDetails": {"details": details, "code": "None", "recoveryAction": ""},
    }
    return _resource(place, DEFAULT, properties)


def _resource(place: Place, name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    path = f"{place.id}/providers/Microsoft.Maintenance/applyUpdates/{name}"
    return {"id": path, "name": name, "type": TYPE, "properties": dict(properties)}


UPDATES = Kind(all={"GET": get_updates})
APPLY_UPDATES = Kind(all={"GET": list_apply_updates}, one={"GET": get_apply_update, "PUT": put_apply_update})
