"""What a GET answers: the Redfish resources of one controller (DSP2046), each with the methods it allows."""

from collections.abc import Callable, Mapping, Sequence

from fermata.bmc import access_resources
from fermata.bmc.controller import RESETS, Firmware
from fermata.bmc.fleet import Activation
from fermata.bmc.tasks import Task, TaskState
from fermata.bmc.views import GET, OK_STATUS, Json, Resource, View, collection, stamp, uuid_of

APPLY_TIMES = ("Immediate", "OnReset")


def find(view: View, parts: Sequence[str]) -> Resource | None:
    """The resource at `parts` below the service root; None: there is none."""
    if not parts:
        return _service_root(view)
    section = _SECTIONS.get(parts[0])
    return section(view, tuple(parts[1:])) if section else None


def _service_root(view: View) -> Resource:
    sections = ("Systems", "Managers", "Chassis", "UpdateService", "SessionService", "AccountService")
    return Resource(
        body={
            "@odata.id": view.root + "/",
            "@odata.type": "#ServiceRoot.v1_16_0.ServiceRoot",
            "Id": "RootService",
            "Name": "Root Service",
            "RedfishVersion": "1.18.0",
            "UUID": uuid_of(view, "service"),
            "Vendor": view.controller.profile.manufacturer,
            "Product": f"Emulated controller of a {view.controller.profile.model}",
            "ProtocolFeaturesSupported": {
                "ExpandQuery": {"ExpandAll": False, "Levels": True, "Links": False, "MaxLevels": 1, "NoLinks": True},
                "ExcerptQuery": False,
                "FilterQuery": False,
                "OnlyMemberQuery": False,
                "SelectQuery": False,
            },
            **{name: view.link(name) for name in sections},
            "Tasks": view.link("TaskService"),
            "Links": {"Sessions": view.link("SessionService", "Sessions")},
        }
    )


def _systems(view: View, parts: tuple[str, ...]) -> Resource | None:
    name = view.controller.name
    match parts:
        case ():
            return Resource(body=collection(view, "ComputerSystem", "Systems", ("Systems",), [name]))
        case (found,) if found == name:
            return Resource(body=_system(view))
        case _:
            return None


def _system(view: View) -> Json:
    controller, name = view.controller, view.controller.name
    body: Json = {
        "@odata.id": view.path("Systems", name),
        "@odata.type": "#ComputerSystem.v1_20_0.ComputerSystem",
        "Id": name,
        "Name": name,
        "HostName": name,
        "SystemType": "Physical",
        "Manufacturer": controller.profile.manufacturer,
        "Model": controller.profile.model,
        "SerialNumber": f"SN-{name}",
        "UUID": uuid_of(view, "system"),
        "PowerState": controller.power,
        "Status": OK_STATUS if controller.power == "On" else {"State": "Disabled", "Health": "OK"},
        "Links": {"Chassis": [view.link("Chassis", name)], "ManagedBy": [view.link("Managers", "bmc")]},
        "Actions": {"#ComputerSystem.Reset": _action(view, RESETS, "Systems", name, "Actions", "ComputerSystem.Reset")},
    }
    if (bios := controller.firmware.get("BIOS")) is not None:
        body["BiosVersion"] = controller.version(bios.spec.id, view.now)
    if controller.profile.boot_progress:
        body["BootProgress"] = {"LastState": controller.boot_progress(view.now)}
    if controller.profile.last_reset_time:
        body["LastResetTime"] = stamp(controller.last_reset_at)
    return body


def _action(view: View, kinds: Sequence[str], *parts: str) -> Json:
    return {"target": view.path(*parts), "ResetType@Redfish.AllowableValues": list(kinds)}


def _managers(view: View, parts: tuple[str, ...]) -> Resource | None:
    match parts:
        case ():
            return Resource(body=collection(view, "Manager", "Managers", ("Managers",), ["bmc"]))
        case ("bmc",):
            return Resource(body=_manager(view))
        case ("bmc", "NetworkProtocol"):
            return Resource(body=access_resources.network_protocol(view), allow=(*GET, "PATCH"))
        case _:
            return None


def _manager(view: View) -> Json:
    controller, name = view.controller, view.controller.name
    body: Json = {
        "@odata.id": view.path("Managers", "bmc"),
        "@odata.type": "#Manager.v1_19_0.Manager",
        "Id": "bmc",
        "Name": "Management controller",
        "ManagerType": "BMC",
        "UUID": uuid_of(view, "manager"),
        "Model": "Emulated controller",
        "DateTime": stamp(view.now),
        "DateTimeLocalOffset": "+00:00",
        "LastResetTime": stamp(controller.booted_at),
        "ServiceEntryPointUUID": uuid_of(view, "service"),
        "PowerState": "On",
        "Status": OK_STATUS,
        "NetworkProtocol": view.link("Managers", "bmc", "NetworkProtocol"),
        "Links": {
            "ManagerForServers": [view.link("Systems", name)],
            "ManagerForChassis": [view.link("Chassis", name)],
            "ManagerInChassis": view.link("Chassis", name),
        },
        "Actions": {
            "#Manager.Reset": _action(view, ("GracefulRestart", "ForceRestart"), *_MANAGER_RESET),
        },
    }
    own = [part for part in controller.firmware.values() if part.spec.activates is Activation.BMC_RESET]
    if own:
        body["FirmwareVersion"] = controller.version(own[0].spec.id, view.now)
    return body


def _chassis(view: View, parts: tuple[str, ...]) -> Resource | None:
    name = view.controller.name
    match parts:
        case ():
            return Resource(body=collection(view, "Chassis", "Chassis", ("Chassis",), [name]))
        case (found,) if found == name:
            body = {
                "@odata.id": view.path("Chassis", name),
                "@odata.type": "#Chassis.v1_25_0.Chassis",
                "Id": name,
                "Name": name,
                "ChassisType": "RackMount",
                "Manufacturer": view.controller.profile.manufacturer,
                "Model": view.controller.profile.model,
                "SerialNumber": f"SN-{name}",
                "PowerState": view.controller.power,
                "Status": OK_STATUS,
                "Links": {
                    "ComputerSystems": [view.link("Systems", name)],
                    "ManagedBy": [view.link("Managers", "bmc")],
                    "ManagersInChassis": [view.link("Managers", "bmc")],
                },
            }
            return Resource(body=body)
        case _:
            return None


def _update_service(view: View, parts: tuple[str, ...]) -> Resource | None:
    at = ("UpdateService", "FirmwareInventory")
    match parts:
        case ():
            return Resource(body=_updates(view))
        case ("FirmwareInventory",):
            names = view.controller.firmware
            return Resource(body=collection(view, "SoftwareInventory", "Firmware inventory", at, names))
        case ("FirmwareInventory", name) if name in view.controller.firmware:
            return Resource(body=_firmware(view, view.controller.firmware[name]))
        case _:
            return None


def _updates(view: View) -> Json:
    profile = view.controller.profile
    body: Json = {
        "@odata.id": view.path("UpdateService"),
        "@odata.type": "#UpdateService.v1_13_0.UpdateService",
        "Id": "UpdateService",
        "Name": "Update service",
        "ServiceEnabled": True,
        "Status": OK_STATUS,
        "MaxImageSizeBytes": 1 << 30,
        "FirmwareInventory": view.link("UpdateService", "FirmwareInventory"),
        "Actions": {},
    }
    apply_times = list(APPLY_TIMES if profile.staged else APPLY_TIMES[:1])
    support = {"@odata.type": "#Settings.v1_3_5.OperationApplyTimeSupport", "SupportedValues": apply_times}
    if profile.pull:
        body["Actions"]["#UpdateService.SimpleUpdate"] = {
            "target": view.path(*SIMPLE_UPDATE),
            "TransferProtocol@Redfish.AllowableValues": ["HTTP", "HTTPS"],
            "@Redfish.OperationApplyTimeSupport": support,
        }
    if profile.push:
        body["MultipartHttpPushUri"] = view.path(*PUSH)
        body["MultipartHttpPushUri@Redfish.OperationApplyTimeSupport"] = support
    return body


def _firmware(view: View, part: Firmware) -> Json:
    return {
        "@odata.id": view.path("UpdateService", "FirmwareInventory", part.spec.id),
        "@odata.type": "#SoftwareInventory.v1_10_0.SoftwareInventory",
        "Id": part.spec.id,
        "Name": part.spec.name or part.spec.id,
        "SoftwareId": part.spec.image or part.spec.id,
        "Manufacturer": view.controller.profile.manufacturer,
        "Version": view.controller.version(part.spec.id, view.now),
        "Updateable": part.spec.updateable,
        "Status": OK_STATUS,
    }


def _task_service(view: View, parts: tuple[str, ...]) -> Resource | None:
    tasks = view.controller.tasks
    match parts:
        case ():
            return Resource(
                body={
                    "@odata.id": view.path("TaskService"),
                    "@odata.type": "#TaskService.v1_2_0.TaskService",
                    "Id": "TaskService",
                    "Name": "Task service",
                    "ServiceEnabled": True,
                    "DateTime": stamp(view.now),
                    "CompletedTaskOverWritePolicy": "Oldest",
                    "LifeCycleEventOnTaskStateChange": False,
                    "Status": OK_STATUS,
                    "Tasks": view.link("TaskService", "Tasks"),
                }
            )
        case ("Tasks",):
            return Resource(body=collection(view, "Task", "Tasks", ("TaskService", "Tasks"), tasks))
        case ("Tasks", name) if name in tasks:
            return Resource(body=task_body(view, tasks[name]))
        case ("TaskMonitors", name) if name in tasks:
            return Resource(body=task_body(view, tasks[name]), task=tasks[name])
        case _:
            return None


def task_body(view: View, task: Task) -> Json:
    """The Task resource."""
    body: Json = {
        "@odata.id": view.path("TaskService", "Tasks", task.id),
        "@odata.type": "#Task.v1_7_4.Task",
        "Id": task.id,
        "Name": f"Update {task.image}",
        "TaskState": task.state.value,
        "TaskStatus": "Critical" if task.state is TaskState.EXCEPTION else "OK",
        "StartTime": stamp(task.started_at),
        "PercentComplete": task.percent_at(view.now),
        "Messages": list(task.messages),
        "Payload": task.payload,
    }
    if task.ended_at is not None:
        body["EndTime"] = stamp(task.ended_at)
    else:
        body["TaskMonitor"] = view.path("TaskService", "TaskMonitors", task.id)
    return body


SIMPLE_UPDATE = ("UpdateService", "Actions", "UpdateService.SimpleUpdate")
PUSH = ("UpdateService", "update-multipart")
_MANAGER_RESET = ("Managers", "bmc", "Actions", "Manager.Reset")
_SECTIONS: Mapping[str, Callable[[View, tuple[str, ...]], Resource | None]] = {
    "Systems": _systems,
    "Managers": _managers,
    "Chassis": _chassis,
    "UpdateService": _update_service,
    "TaskService": _task_service,
    "SessionService": access_resources.sessions,
    "AccountService": access_resources.accounts,
}
