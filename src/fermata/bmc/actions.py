"""What POST, PATCH and DELETE do to one controller. Wrong requests raise the Complaint that answers them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from fermata.bmc.access import Account, Caller, check_password, check_role
from fermata.bmc.access_resources import account_body, network_protocol, session_body
from fermata.bmc.controller import ON, RESETS
from fermata.bmc.messages import Complaint, base
from fermata.bmc.resources import PUSH, SIMPLE_UPDATE, task_body
from fermata.bmc.tasks import Task
from fermata.bmc.views import Json, View

STAGED = "OnReset"
APPLY_TIME = "@Redfish.OperationApplyTime"
BMC_RESETS = ("GracefulRestart", "ForceRestart")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`body` of the request; `image`: the name of the file in a multipart one."""

    view: View
    body: Json
    caller: Caller | None
    image: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is answered; `task` under way makes it 202."""

    status: int
    body: Json | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    task: Task | None = None


def post(parts: Sequence[str], call: Call) -> Outcome:
    """Carries a POST out."""
    path = tuple(parts)
    if path in (("SessionService", "Sessions"), ("SessionService", "Sessions", "Members")):
        return _open_session(call)
    act = _POSTS.get(path) or _named_post(call.view.controller.name, path)
    if act is None:
        raise Complaint("OperationNotAllowed")
    privilege, do = act
    require(call.caller, privilege)
    return do(call)


def takes_post(controller: str, parts: Sequence[str]) -> bool:
    """True of actions and of collections that grow."""
    path = tuple(parts)
    return path in _POSTS or _named_post(controller, path) is not None or path[:2] == ("SessionService", "Sessions")


def require(caller: Caller | None, privilege: str) -> None:
    """Raises Complaint."""
    if caller is None or not caller.may(privilege):
        raise Complaint("InsufficientPrivilege")


def _open_session(call: Call) -> Outcome:
    user, password = _word(call.body, "UserName"), _word(call.body, "Password")
    access = call.view.controller.access
    session = access.open_session(call.view.now, user, password)
    body = session_body(call.view, session)
    account = access.sign_in(user, password)
    if account.must_change_password:
        at = call.view.path("AccountService", "Accounts", account.id)
        body["@Message.ExtendedInfo"] = [base("PasswordChangeRequired", at)]
    return Outcome(status=201, body=body, headers={"Location": body["@odata.id"], "X-Auth-Token": session.token})


def _add_account(call: Call) -> Outcome:
    user = _word(call.body, "UserName")
    account = call.view.controller.access.add_account(user, _word(call.body, "Password"), _word(call.body, "RoleId"))
    account.is_enabled = bool(call.body.get("Enabled", True))
    account.must_change_password = bool(call.body.get("PasswordChangeRequired", False))
    body = account_body(call.view, account)
    return Outcome(status=201, body=body, headers={"Location": body["@odata.id"]})


def _reset_host(call: Call) -> Outcome:
    kind = _reset_kind(call.body, RESETS, "ComputerSystem.Reset", "ForceRestart")
    controller = call.view.controller
    if controller.power == "Off" and kind not in ON and kind != "PowerCycle":
        raise Complaint("ActionParameterValueNotInList", kind, "ResetType", "ComputerSystem.Reset")
    controller.reset(call.view.now, kind)
    return Outcome(status=204)


def _reset_bmc(call: Call) -> Outcome:
    _reset_kind(call.body, BMC_RESETS, "Manager.Reset", "GracefulRestart")
    call.view.controller.reset_bmc(call.view.now)
    return Outcome(status=204)


def _reset_kind(body: Json, kinds: Sequence[str], action: str, default: str) -> str:
    kind = body.get("ResetType", default)
    if kind not in kinds:
        raise Complaint("ActionParameterValueNotInList", str(kind), "ResetType", action)
    return str(kind)


def _simple_update(call: Call) -> Outcome:
    action = "UpdateService.SimpleUpdate"
    if not call.view.controller.profile.pull:
        raise Complaint("OperationNotAllowed")
    image = call.body.get("ImageURI")
    if not isinstance(image, str) or not image:
        raise Complaint("ActionParameterMissing", action, "ImageURI")
    protocol = call.body.get("TransferProtocol", "HTTP")
    if protocol not in ("HTTP", "HTTPS"):
        raise Complaint("ActionParameterValueNotInList", str(protocol), "TransferProtocol", action)
    return _update(call, image, SIMPLE_UPDATE)


def _push(call: Call) -> Outcome:
    if not call.view.controller.profile.push:
        raise Complaint("OperationNotAllowed")
    if call.image is None:
        raise Complaint("PropertyMissing", "UpdateFile")
    return _update(call, call.image, PUSH)


def _update(call: Call, image: str, target: Sequence[str]) -> Outcome:
    controller = call.view.controller
    apply_time = call.body.get(APPLY_TIME, "Immediate")
    if apply_time not in (("Immediate", STAGED) if controller.profile.staged else ("Immediate",)):
        raise Complaint("PropertyValueNotInList", str(apply_time), APPLY_TIME)
    payload = {
        "TargetUri": call.view.path(*target),
        "HttpOperation": "POST",
        "HttpHeaders": ["Content-Type: application/json"],
        "JsonBody": _json({name: value for name, value in call.body.items() if name not in ("Username", "Password")}),
    }
    targets = _targets(call)
    task = controller.update(call.view.now, image, targets, staged=apply_time == STAGED, payload=payload)
    return Outcome(status=202, body=task_body(call.view, task), task=task)


def _targets(call: Call) -> tuple[str, ...]:
    targets = call.body.get("Targets", [])
    if not isinstance(targets, list):
        raise Complaint("PropertyValueTypeError", str(targets), "Targets")
    start = call.view.path("UpdateService", "FirmwareInventory", "")
    known = call.view.controller.firmware
    for target in targets:
        if not isinstance(target, str) or not target.startswith(start) or target.removeprefix(start) not in known:
            raise Complaint("PropertyValueNotInList", str(target), "Targets")
    return tuple(target.removeprefix(start) for target in targets)


def delete(parts: Sequence[str], call: Call) -> Outcome:
    """Carries a DELETE out; the resource is there."""
    access = call.view.controller.access
    match tuple(parts):
        case ("SessionService", "Sessions", name):
            session = access.sessions[name]
            if call.caller is None or call.caller.account.user != session.user:
                require(call.caller, "ConfigureManager")
            access.end_session(session)
        case ("AccountService", "Accounts", name) if name != "1":
            require(call.caller, "ConfigureUsers")
            del access.accounts[name]
        case _:
            raise Complaint("OperationNotAllowed")
    return Outcome(status=204)


def patch(parts: Sequence[str], call: Call) -> Outcome:
    """Carries a PATCH out; the resource is there, and its ETag fits."""
    wanted = {name: value for name, value in call.body.items() if "@odata." not in name}
    if not wanted:
        raise Complaint("NoOperation")
    match tuple(parts):
        case ("AccountService", "Accounts", name):
            return _patch_account(call, name, wanted)
        case ("Managers", "bmc", "NetworkProtocol"):
            require(call.caller, "ConfigureManager")
            return _patch_network(call, wanted)
        case _:
            raise Complaint("OperationNotAllowed")


def _patch_account(call: Call, name: str, wanted: Json) -> Outcome:
    account = call.view.controller.access.accounts[name]
    is_own_password = call.caller is not None and call.caller.account is account and set(wanted) == {"Password"}
    require(call.caller, "ConfigureSelf" if is_own_password else "ConfigureUsers")
    unknown = [word for word in wanted if word not in _ACCOUNT]
    if len(unknown) == len(wanted):
        raise Complaint("PropertyUnknown", unknown[0])
    for word, value in wanted.items():
        if word in _ACCOUNT:
            _ACCOUNT[word](account, value)
    account.revision += 1
    body = account_body(call.view, account)
    if unknown:
        body["@Message.ExtendedInfo"] = [base("PropertyUnknown", word) for word in unknown]
    return Outcome(status=200, body=body)


def _set_password(account: Account, value: object) -> None:
    account.password = check_password(value)
    account.must_change_password = False


def _set_user(account: Account, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise Complaint("PropertyValueTypeError", str(value), "UserName")
    account.user = value


def _set_enabled(account: Account, value: object) -> None:
    account.is_enabled = value is True


def _set_must_change(account: Account, value: object) -> None:
    account.must_change_password = value is True


def _set_role(account: Account, value: object) -> None:
    account.role = check_role(value)


def _patch_network(call: Call, wanted: Json) -> Outcome:
    ntp = wanted.get("NTP")
    if set(wanted) != {"NTP"} or not isinstance(ntp, dict) or set(ntp) != {"NTPServers"}:
        raise Complaint("PropertyUnknown", next(iter(wanted)))
    servers = ntp["NTPServers"]
    if not isinstance(servers, list):
        raise Complaint("PropertyValueTypeError", str(servers), "NTPServers")
    old = call.view.controller.settings["ntp"]
    kept = [old[place] if server == {} and place < len(old) else server for place, server in enumerate(servers)]
    call.view.controller.settings["ntp"] = [server for server in kept if isinstance(server, str)]
    return Outcome(status=200, body=network_protocol(call.view))


def _word(body: Json, name: str) -> str:
    value = body.get(name)
    if value is None:
        raise Complaint("PropertyMissing", name)
    if not isinstance(value, str) or not value:
        raise Complaint("PropertyValueTypeError", "***", name)
    return value


def _json(body: Json) -> str:
    return orjson.dumps(body).decode()


def _named_post(controller: str, path: tuple[str, ...]) -> tuple[str, Callable[[Call], Outcome]] | None:
    if path == ("Systems", controller, "Actions", "ComputerSystem.Reset"):
        return "ConfigureComponents", _reset_host
    return None


_POSTS: Mapping[tuple[str, ...], tuple[str, Callable[[Call], Outcome]]] = {
    ("AccountService", "Accounts"): ("ConfigureUsers", _add_account),
    ("Managers", "bmc", "Actions", "Manager.Reset"): ("ConfigureManager", _reset_bmc),
    SIMPLE_UPDATE: ("ConfigureComponents", _simple_update),
    PUSH: ("ConfigureComponents", _push),
}
_ACCOUNT: Mapping[str, Callable[[Account, object], None]] = {
    "Password": _set_password,
    "UserName": _set_user,
    "Enabled": _set_enabled,
    "PasswordChangeRequired": _set_must_change,
    "RoleId": _set_role,
}
