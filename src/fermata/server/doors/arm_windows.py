"""Maintenance configurations and their assignments: a customer's recurring windows, and what may be done in them.

Times are wall times of a zone, by its name in Windows; IANA's names are understood too.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tzlocal.windows_tz import tz_win, win_tz

from fermata.domain.ids import CustomerId
from fermata.domain.policy import Customer
from fermata.domain.recurrence import BadRecurrence, RecurringWindow, parse_recurrence, say_recurrence
from fermata.server.doors.arm_front import ArmCall, ArmReply, Kind, bad_request, listed, not_found
from fermata.services.places import Group, Place
from fermata.services.policy_windows import (
    Assignment,
    find_window,
    list_assignments,
    put_assignment,
    put_window,
    remove_assignment,
    remove_window,
)

LEAST, MOST = timedelta(hours=2), timedelta(days=7)
FOR_EVER = datetime(9999, 12, 31)  # noqa: DTZ001 - a wall time
YEARS = range(2000, 2101)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_DURATION = re.compile(r"(\d{1,3}):([0-5]\d)")
_WALL_FORMATS = ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")
Text = Annotated[str, Field(max_length=200)]
Parsed = TypeVar("Parsed", bound=BaseModel)


class WindowBody(BaseModel):
    """When work is allowed."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    start: Annotated[Text, Field(alias="startDateTime")]
    expires: Annotated[Text | None, Field(alias="expirationDateTime")] = None
    duration: Text
    zone: Annotated[Text, Field(alias="timeZone")]
    recur_every: Annotated[Text | None, Field(alias="recurEvery")] = None


class PropertiesBody(BaseModel):
    """What we keep of a configuration; the rest of what clients send is passed over."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    scope: Annotated[Literal["Host"], Field(alias="maintenanceScope")] = "Host"
    visibility: Literal["Custom"] = "Custom"
    window: Annotated[WindowBody, Field(alias="maintenanceWindow")]


class ConfigurationBody(BaseModel):
    """A configuration."""

    model_config = ConfigDict(extra="ignore")

    properties: PropertiesBody


class AssignedBody(BaseModel):
    """Which configuration."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    configuration: Annotated[str, Field(alias="maintenanceConfigurationId", max_length=1000)]


class AssignmentBody(BaseModel):
    """An assignment."""

    model_config = ConfigDict(extra="ignore")

    properties: AssignedBody


def list_configurations(call: ArmCall) -> ArmReply:
    """Every window of the customer, in each of its groups."""
    return listed([_configuration(group, window) for group in call.groups for window in _windows(call, group)])


def get_configuration(call: ArmCall) -> ArmReply:
    """One window."""
    group, window = _find(call)
    return ArmReply(body=_configuration(group, window))


def put_configuration(call: ArmCall) -> ArmReply:
    """Adds a window, or changes it."""
    group = call.groups[0]
    known = find_window(_windows(call, group), call.path.name)
    return _put(call, group, known.id if known else _new_name(call), call.json())


def patch_configuration(call: ArmCall) -> ArmReply:
    """Changes what is sent of a window."""
    group, window = _find(call)
    return _put(call, group, window.id, _merge(_configuration(group, window), call.json()))


def delete_configuration(call: ArmCall) -> ArmReply:
    """Takes a window away."""
    group = call.groups[0]
    known = find_window(_windows(call, group), call.path.name)
    if known is None or not remove_window(call.given.db, group.customer, known.id, now=call.given.now()):
        return ArmReply(body=None, status=HTTPStatus.NO_CONTENT)
    call.given.maintenance.look(again=True)
    return ArmReply(body=_configuration(group, known))


def list_place_assignments(call: ArmCall) -> ArmReply:
    """Of one resource, or of all in a group or a subscription."""
    if call.path.pairs:
        place = call.place
        return listed([_assignment(place.group, place.id, each) for each in _assigned(call, place)])
    found = []
    for group in call.groups:
        for each in list_assignments(_customer(call, group.customer)):
            place_id = _place_id(call, group, each)
            if place_id is not None:
                found.append(_assignment(group, place_id, each))
    return listed(found)


def get_assignment(call: ArmCall) -> ArmReply:
    """One assignment of a resource."""
    place = call.place
    return ArmReply(body=_assignment(place.group, place.id, _find_assigned(call, place)))


def put_assignment_of(call: ArmCall) -> ArmReply:
    """Lets work on the resource through in a window."""
    place = call.place
    call.refuse_node("assign configurations")
    if place.scope is None:
        raise bad_request(f"Nothing is assigned to {place.id}: name a node, a rack, a cluster or the supercomputer.")
    wanted = _parse(AssignmentBody, call.json()).properties.configuration.rstrip("/").rpartition("/")[2]
    window = find_window(_windows(call, place.group), wanted)
    if window is None:
        raise bad_request(f"There is no maintenance configuration {wanted} in this subscription.")
    assignment = Assignment(name=_new_name(call), window=window.id, scope=place.scope)
    is_new = put_assignment(call.given.db, place.group.customer, assignment, now=call.given.now())
    call.given.maintenance.look(again=True)
    status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
    return ArmReply(body=_assignment(place.group, place.id, assignment), status=status)


def delete_assignment(call: ArmCall) -> ArmReply:
    """Work on the resource is asked for again."""
    place, name = call.place, call.path.name
    call.refuse_node("delete assignments")
    known = next((each for each in _assigned(call, place) if each.name.lower() == name.lower()), None)
    customer, now = place.group.customer, call.given.now()
    if known is None or not remove_assignment(call.given.db, customer, known.name, known.scope, now=now):
        return ArmReply(body=None, status=HTTPStatus.NO_CONTENT)
    call.given.maintenance.look(again=True)
    return ArmReply(body=_assignment(place.group, place.id, known))


def _put(call: ArmCall, group: Group, name: str, body: Mapping[str, Any]) -> ArmReply:
    window = _read_window(name, _parse(ConfigurationBody, body).properties.window)
    is_new = put_window(call.given.db, group.customer, window, now=call.given.now())
    call.given.maintenance.look(again=True)
    return ArmReply(body=_configuration(group, window), status=HTTPStatus.CREATED if is_new else HTTPStatus.OK)


def _customer(call: ArmCall, name: CustomerId) -> Customer:
    policy = call.picture.settled.policy
    found = None if policy is None else policy.customers.get(name)
    if found is None:
        raise not_found(f"policy of {name} yet")
    return found


def _windows(call: ArmCall, group: Group) -> tuple[RecurringWindow, ...]:
    return _customer(call, group.customer).windows


def _find(call: ArmCall) -> tuple[Group, RecurringWindow]:
    group = call.groups[0]
    window = find_window(_windows(call, group), call.path.name)
    if window is None:
        raise not_found(f"maintenance configuration {call.path.name}")
    return group, window


def _assigned(call: ArmCall, place: Place) -> list[Assignment]:
    found = list_assignments(_customer(call, place.group.customer))
    return [each for each in found if each.scope == place.scope]


def _find_assigned(call: ArmCall, place: Place) -> Assignment:
    for each in _assigned(call, place):
        if each.name.lower() == call.path.name.lower():
            return each
    raise not_found(f"configuration assignment {call.path.name} of {place.id}")


def _place_id(call: ArmCall, group: Group, assignment: Assignment) -> str | None:
    kind = {"supercomputer": "supercomputers", "cluster": "clusters", "rack": "racks", "node": "nodes"}
    pairs: list[tuple[str, str]] = [("supercomputers", group.supercomputer)]
    if assignment.scope.level not in kind:
        return None
    if assignment.scope.level != "supercomputer":
        pairs.append((kind[assignment.scope.level], assignment.scope.name))
    elif assignment.scope.name != group.supercomputer:
        return None
    place = call.places.find(group, "Microsoft.SupercomputerInfrastructure", pairs)
    return None if place is None else place.id


def _configuration(group: Group, window: RecurringWindow) -> dict[str, Any]:
    hours, minutes = divmod(int(window.duration.total_seconds()) // 60, 60)
    return {
        "id": _configuration_id(group, window.id),
        "name": window.id,
        "type": "Microsoft.Maintenance/maintenanceConfigurations",
        "location": group.location,
        "properties": {
            "namespace": "Microsoft.Maintenance",
            "visibility": "Custom",
            "maintenanceScope": "Host",
            "extensionProperties": {},
            "maintenanceWindow": {
                "startDateTime": f"{window.start:%Y-%m-%d %H:%M}",
                "expirationDateTime": f"{window.expires or FOR_EVER:%Y-%m-%d %H:%M:%S}",
                "duration": f"{hours:02d}:{minutes:02d}",
                "timeZone": tz_win.get(window.zone, window.zone),
                "recurEvery": say_recurrence(window.recurrence) if window.recurrence else None,
            },
        },
    }


def _configuration_id(group: Group, name: str) -> str:
    return f"{group.id}/providers/Microsoft.Maintenance/maintenanceConfigurations/{name}"


def _assignment(group: Group, place_id: str, assignment: Assignment) -> dict[str, Any]:
    return {
        "id": f"{place_id}/providers/Microsoft.Maintenance/configurationAssignments/{assignment.name}",
        "name": assignment.name,
        "type": "Microsoft.Maintenance/configurationAssignments",
        "location": group.location,
        "properties": {
            "maintenanceConfigurationId": _configuration_id(group, assignment.window),
            "resourceId": place_id,
        },
    }


def _read_window(name: str, body: WindowBody) -> RecurringWindow:
    start = _wall("startDateTime", body.start)
    expires = None if body.expires is None else _wall("expirationDateTime", body.expires)
    if start.year not in YEARS:
        raise bad_request(f"startDateTime must lie in {YEARS[0]} to {YEARS[-1]}.")
    if expires is not None and expires <= start:
        raise bad_request("expirationDateTime must be after startDateTime.")
    try:
        recurrence = parse_recurrence(body.recur_every) if body.recur_every else None
    except BadRecurrence as bad:
        raise bad_request(f"recurEvery: {bad}.") from bad
    return RecurringWindow(
        id=name,
        start=start,
        duration=_duration(body.duration),
        zone=_zone(body.zone),
        recurrence=recurrence,
        expires=None if expires is None or expires.date() == FOR_EVER.date() else expires,
    )


def _wall(what: str, text: str) -> datetime:
    for form in _WALL_FORMATS:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - a wall time of the window's zone
        except ValueError:
            continue
    raise bad_request(f"{what} must be a wall time such as 2026-01-03 22:00, without a zone.")


def _duration(text: str) -> timedelta:
    found = _DURATION.fullmatch(text)
    length = timedelta(hours=int(found[1]), minutes=int(found[2])) if found else timedelta(0)
    if not LEAST <= length <= MOST:
        raise bad_request("duration must be hours and minutes such as 05:00, from 02:00 to 168:00.")
    return length


def _zone(name: str) -> str:
    zone: str = win_tz.get(name, name)
    if zone not in available_timezones():
        raise bad_request(f"timeZone {name} is no zone of Windows or IANA, such as Pacific Standard Time.")
    return zone


def _new_name(call: ArmCall) -> str:
    if not NAME.fullmatch(call.path.name):
        raise bad_request("A name has letters, digits, dots, dashes and underscores, at most 80.")
    return call.path.name


def _parse(kind: type[Parsed], body: Mapping[str, Any]) -> Parsed:
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        fault = error.errors()[0]
        raise bad_request(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}.") from error


def _merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for name, value in new.items():
        before = merged.get(name)
        merged[name] = _merge(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return merged


CONFIGURATIONS = Kind(
    all={"GET": list_configurations},
    one={
        "GET": get_configuration,
        "PUT": put_configuration,
        "PATCH": patch_configuration,
        "DELETE": delete_configuration,
    },
)
ASSIGNMENTS = Kind(
    all={"GET": list_place_assignments},
    one={"GET": get_assignment, "PUT": put_assignment_of, "DELETE": delete_assignment},
)
