"""Scheduled events acknowledged from outside the node: one by its id, or many, with an outcome for each."""

from collections.abc import Collection, Mapping
from http import HTTPStatus

from fermata.domain.ids import NodeId
from fermata.server.doors.arm_front import ArmCall, ArmError, ArmReply, Kind, bad_request
from fermata.server.doors.hearing import hearing_of
from fermata.services.errors import Refusal
from fermata.services.event_approvals import Acknowledged, acknowledge_events
from fermata.services.maintenance import Picture
from fermata.services.places import Places

EVENTS_MAX = 20_000
APPROVED = {"value": "Successfully Approved"}


def acknowledge_one(call: ArmCall) -> ArmReply:
    """Approves the work behind one event."""
    told = _acknowledge(call, [call.path.name])[call.path.name]
    if told.refused is not None:
        raise Refusal(told.refused)
    if not told.is_known:
        raise ArmError(HTTPStatus.NOT_FOUND, "NotFound", f"{call.place.name} has no scheduled event {call.path.name}.")
    return ArmReply(body=APPROVED)


def acknowledge_list(call: ArmCall) -> ArmReply:
    """Approves the work behind many, each by itself; 207 when some of them are not there, or were refused."""
    ids = call.json().get("value")
    if not isinstance(ids, list) or not ids or not all(isinstance(each, str) and each for each in ids):
        raise bad_request("value must be a list of ids of scheduled events.")
    if len(ids) > EVENTS_MAX:
        raise bad_request(f"At most {EVENTS_MAX:,} events are acknowledged in one call.")
    found = _acknowledge(call, ids)
    details = [_detail(call, name, told) for name, told in found.items()]
    well = sum(detail["code"] == "OK" for detail in details)
    if well == len(details):
        return ArmReply(body=APPROVED)
    message = f"{well} of {len(found)} events were approved."
    error = {"code": "MultiStatusResponse", "message": message, "details": details}
    return ArmReply(body={"error": error}, status=HTTPStatus.MULTI_STATUS)


def _detail(call: ArmCall, name: str, told: Acknowledged) -> dict[str, str]:
    if told.refused is not None:
        return {"target": name, "code": "Conflict", "message": told.refused.sentence}
    if told.is_known:
        return {"target": name, "code": "OK", "message": APPROVED["value"]}
    return {"target": name, "code": "NotFound", "message": f"{call.place.name} has no such scheduled event."}


def _acknowledge(call: ArmCall, ids: Collection[str]) -> Mapping[str, Acknowledged]:
    place = call.place

    def among(picture: Picture) -> Collection[NodeId]:
        found = Places(fleet=picture.fleet).find(place.group, call.path.provider, call.path.pairs)
        return found.names if found is not None else ()

    hearing = hearing_of(
        call.given, f"acknowledged scheduled events of {place.name} through the resource manager's door"
    )
    return acknowledge_events(hearing, ids, among, is_agent=call.caller is not None)  # of a node, by its token


KIND = Kind(all={"POST": acknowledge_list}, actions={"acknowledge": {"POST": acknowledge_one}})
