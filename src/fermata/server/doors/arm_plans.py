"""Plans in force as maintenance plans of a resource, in the words of a coming part of Azure's maintenance interface.
They are read only: plans are made by the planner. Experimental, as that interface is.
"""

from typing import Any

from fermata.domain import arm
from fermata.server.doors.arm_front import ArmCall, ArmReply, Kind, listed, not_found
from fermata.services.maintenance import PlannedStay
from fermata.services.place_work import windows_of
from fermata.services.places import Place

TYPE = "Microsoft.Maintenance/maintenancePlans"


def list_plans(call: ArmCall) -> ArmReply:
    """Those that still have something to come; with includeInactive all that a run followed."""
    place, now = call.place, call.given.now()
    wants_all = call.options.get("includeinactive", "").lower() == "true"
    found = _plans(call, place)
    return listed(
        [
            _plan(place, name, windows)
            for name, windows in found.items()
            if wants_all or max(planned.window.end for planned in windows) >= now
        ]
    )


def get_plan(call: ArmCall) -> ArmReply:
    """One plan, as far as it takes nodes of the resource."""
    place = call.place
    for name, windows in _plans(call, place).items():
        if name.lower() == call.path.name.lower():
            return ArmReply(body=_plan(place, name, windows))
    raise not_found(f"maintenance plan {call.path.name} of {place.id}")


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
        "updateScope": "Custom",
        "versionToUpdate": "",
    }
    return {"id": plan_id(place, name), "name": name, "type": TYPE, "properties": properties}


def plan_id(place: Place, name: str) -> str:
    """Of a plan, as far as it is about the place."""
    return f"{place.id}/providers/Microsoft.Maintenance/maintenancePlans/{name}"


PLANS = Kind(all={"GET": list_plans}, one={"GET": get_plan})
