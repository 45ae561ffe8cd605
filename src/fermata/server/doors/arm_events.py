"""Scheduled events acknowledged from outside the node: one by its id, or many, with an outcome for each."""

from collections.abc import Collection, Mapping
from http import HTTPStatus

from fermata.domain.ids import NodeId
from fermata.server.doors.arm_front import ArmCall, ArmError, ArmReply, Kind, bad_request
from fermata.server.doors.hearing import hearing_of
from fermata.services.event_approvals import acknowledge_events
from fermata.services.maintenance import Picture
from fermata.services.places import Places

EVENTS_MAX = 20_000
APPROVED = {"value": "Successfully Approved"}


def acknowledge_one(call: ArmCall) -> ArmReply:
    """Approves the work behind one event."""
    if not _acknowledge(call, [call.path.name])[call.path.name]:
        raise ArmError(HTTPStatus.NOT_FOUND, "NotFound", f"{call.place.name} has no scheduled event {call.path.name}.")
    return ArmReply(body=APPROVED)


def acknowledge_list(call: ArmCall) -> ArmReply:
    """Approves the work behind many; 207 when some of them are not there."""
    ids = call.json().get("value")
    if not isinstance(ids, list) or not ids or not all(isinstance(each, str) and each for each in ids):
        raise bad_request("value must be a list of ids of scheduled events.")
    if len(ids) > EVENTS_MAX:
        raise bad_request(f"At most {EVENTS_MAX:,} events are acknowledged in one call.")
    found = _acknowledge(call, ids)
    if all(found.values()):
        return ArmReply(body=APPROVED)
    details = [
        {
            "target": name,
            "code": "OK" if there else "NotFound",
            "message": "Successfully Approved" if there else f"{call.place.name} has no such scheduled event.",
        }
        for name, there in found.items()
    ]
    message = f"{sum(found.values())} of {len(found)} events were approved."
    error = {"code": "MultiStatusResponse", "message": message, "details": details}
    return ArmReply(body={"error": error}, status=HTTPStatus.MULTI_STATUS)


def _acknowledge(call: ArmCall, ids: Collection[str]) -> Mapping[str, bool]:
    place = call.place

    def among(picture: Picture) -> Collection[NodeId]:
        found = Places(fleet=picture.fleet).find(place.group, call.path.provider, call.path.pairs)
        names = found.names if found is not None else ()
        # With the token of a node speaks an agent, which overrules nobody.
        return names if call.caller is None else [name for name in names if not picture.outlook(name).is_held]

    hearing = hearing_of(
        call.given, f"acknowledged scheduled events of {place.name} through the resource manager's door"
    )
    return acknowledge_events(hearing, ids, among)


KIND = Kind(all={"POST": acknowledge_list}, actions={"acknowledge": {"POST": acknowledge_one}})
