"""What a controller tells: where its services are, which versions its machine runs, how far a boot is, what goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from fermata.adapters.controller_http import Rejected
from fermata.adapters.redfish.link import Controller, Link
from fermata.adapters.redfish.settings import Component, Unit

UP = frozenset({"OSRunning"})
OVER = frozenset({"Completed", "Exception", "Killed", "Cancelled"})
TASKS_READ_MAX = 32  # the newest: a controller that keeps more keeps old ones
EXPAND = "?$expand=.($levels=1)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Addresses, as the controller gives them; None where it has no such service."""

    systems: str | None
    managers: str | None
    tasks: str | None
    inventory: str | None
    simple_update: str | None
    push: str | None
    apply_times: frozenset[str] | None
    expands: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is reset. `is_up` None: the controller does not tell; `reset_at`: the word of the controller, or None."""

    path: str
    reset: str | None
    kinds: frozenset[str]
    power: str | None
    is_up: bool | None
    reset_at: str | None


async def services(link: Link, controller: Controller) -> Services:
    """Read once for each controller. Raises as Link.get."""
    if "services" in controller.known:
        found: Services = controller.known["services"]
        return found
    root = (await link.get(controller, controller.path(""))).body
    updates = await _body(link, controller, _id(root.get("UpdateService")))
    task_service = await _body(link, controller, _id(root.get("Tasks")))
    action = _mapping(_mapping(updates.get("Actions")).get("#UpdateService.SimpleUpdate"))
    support = action.get("@Redfish.OperationApplyTimeSupport")
    support = support or updates.get("MultipartHttpPushUri@Redfish.OperationApplyTimeSupport")
    values = _mapping(support).get("SupportedValues")
    expand = _mapping(_mapping(root.get("ProtocolFeaturesSupported")).get("ExpandQuery"))
    found = Services(
        systems=_id(root.get("Systems")),
        managers=_id(root.get("Managers")),
        tasks=_id(task_service.get("Tasks")),
        inventory=_id(updates.get("FirmwareInventory")),
        simple_update=_text(action.get("target")),
        push=_text(updates.get("MultipartHttpPushUri")),
        apply_times=frozenset(map(str, values)) if isinstance(values, list) else None,
        expands=expand.get("NoLinks") is True and expand.get("Levels") is True,
    )
    controller.known["services"] = found
    return found


async def read_versions(link: Link, controller: Controller, ids: Sequence[str]) -> Mapping[str, str]:
    """What FirmwareInventory says of these ids; those that it does not know, or without a version, are absent."""
    found = await services(link, controller)
    if found.inventory is None:
        raise Rejected(404, f"{controller.address} has no FirmwareInventory")
    if found.expands and len(ids) > 1:
        listed = (await link.get(controller, found.inventory + EXPAND)).body.get("Members")
        members = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        told = {str(one.get("Id")): one.get("Version") for one in members}
    else:
        told = {}
        for name in ids:
            try:
                told[name] = (await link.get(controller, f"{found.inventory}/{name}")).body.get("Version")
            except Rejected as rejected:
                if rejected.status != 404:
                    raise
    return {name: version for name in ids if isinstance(version := told.get(name), str) and version}


def agreed(component: Component, versions: Mapping[str, str]) -> str | None:
    """The one version that all of a component runs; None: they differ, or one of them is not told."""
    found = {versions.get(name) for name in component.inventory}
    return found.pop() if len(found) == 1 else None


async def read_machine(link: Link, controller: Controller, unit: Unit, resets: str) -> Machine:
    """The system, or the manager where that is what resets act on. Raises as Link.get."""
    if resets == "manager":
        path = await _member(link, controller, (await services(link, controller)).managers, None)
        body = (await link.get(controller, path)).body
        return _machine(path, body, "#Manager.Reset", is_up=True)
    path = await _member(link, controller, (await services(link, controller)).systems, unit.system)
    body = (await link.get(controller, path)).body
    progress = _text(_mapping(body.get("BootProgress")).get("LastState"))
    is_up = progress in UP if progress is not None else None
    if body.get("PowerState") not in ("On", None):
        is_up = False
    return _machine(path, body, "#ComputerSystem.Reset", is_up=is_up)


def _machine(path: str, body: Mapping[str, Any], action: str, *, is_up: bool | None) -> Machine:
    reset = _mapping(_mapping(body.get("Actions")).get(action))
    kinds = reset.get("ResetType@Redfish.AllowableValues")
    return Machine(
        path=path,
        reset=_text(reset.get("target")),
        kinds=frozenset(map(str, kinds)) if isinstance(kinds, list) else frozenset(),
        power=_text(body.get("PowerState")),
        is_up=is_up,
        reset_at=_text(body.get("LastResetTime")),
    )


async def find_task(link: Link, controller: Controller, image: str, targets: Sequence[str]) -> str | None:
    """A task that has not ended and writes this image there, or one that does not say what it does."""
    found = await services(link, controller)
    if found.tasks is None:
        return None
    body = (await link.get(controller, found.tasks + (EXPAND if found.expands else ""))).body
    members = body.get("Members")
    for member in reversed(members[-TASKS_READ_MAX:] if isinstance(members, list) else []):
        task = member
        path = _id(member)
        if path is None:
            continue
        if not found.expands:
            task = await _body(link, controller, path)
        if task.get("TaskState") not in OVER and _writes(task, image, targets):
            return path
    return None


def _writes(task: Mapping[str, Any], image: str, targets: Sequence[str]) -> bool:
    said = _mapping(task.get("Payload")).get("JsonBody")
    if not isinstance(said, str):
        return False
    try:
        body = _mapping(orjson.loads(said))
    except orjson.JSONDecodeError:
        return False
    named = body.get("Targets")
    same_targets = not targets or (isinstance(named, list) and set(map(str, named)) == set(targets))
    return same_targets and body.get("ImageURI", image) == image


async def _member(link: Link, controller: Controller, collection: str | None, name: str | None) -> str:
    if collection is None:
        raise Rejected(404, f"{controller.address} has no machine")
    if name is not None:
        return f"{collection}/{name}"
    if collection not in controller.known:
        members = (await link.get(controller, collection)).body.get("Members")
        paths = [path for one in members if (path := _id(one))] if isinstance(members, list) else []
        if len(paths) != 1:
            raise Rejected(0, f"{controller.address} has {len(paths)} members of {collection}: say which, with system")
        controller.known[collection] = paths[0]
    return str(controller.known[collection])


async def _body(link: Link, controller: Controller, path: str | None) -> Mapping[str, Any]:
    return {} if path is None else (await link.get(controller, path)).body


def _id(link: Any) -> str | None:
    path = link.get("@odata.id") if isinstance(link, Mapping) else None
    if not isinstance(path, str) or not path:
        return None
    try:
        return urlsplit(path).path.rstrip("/")
    except ValueError:  # brackets around what is no address
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
