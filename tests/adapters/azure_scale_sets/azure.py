"""A double of Azure Resource Manager: a scale set with flexible orchestration as the public documentation says, with
long-running operations, ETags, protection, a placement group that takes all or nothing, and faults on demand. It counts
by itself what was done to instances. Nobody has compared it with Azure.
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/hpc"
COMPUTE = f"{GROUP}/providers/Microsoft.Compute"
OPERATIONS = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/locations/eastus/operations"
PAGE_SIZE = 100
NO_ROOM = (
    "Allocation failed. If you are trying to add a new VM to a Virtual Machine Scale Set with a single placement group,"
    " please note that such allocation is scoped to a single cluster, and it is possible that the cluster is out of"
    " capacity."
)
Reply = tuple[int, Any, dict[str, str]]


@dataclass(kw_only=True)
class Fault:
    """What befalls calls whose path matches. `is_done`: the call is carried out all the same. `body` text: as a proxy
    in between answers.
    """

    method: str
    path: str
    status: int
    code: str = "InternalError"
    said: str = "not now"
    body: str | None = None
    retry_after: int | None = None
    is_done: bool = False
    times: int = 1000


@dataclass
class Instance:
    """`shown`: power, provisioning state and failure as the instance view has them; `lag`: for so many looks more."""

    name: str
    scale_set: str
    power: str = "running"
    provisioning: str = "Succeeded"
    failure: tuple[str, str] = ("", "")
    tags: dict[str, str] = field(default_factory=dict)
    protection: dict[str, bool] = field(default_factory=dict)
    versions: list[int] = field(default_factory=lambda: [1, 1])
    shown: tuple[str, str, tuple[str, str]] = ("running", "Succeeded", ("", ""))
    lag: int = 0
    agent: str = "ProvisioningState/succeeded"


@dataclass
class Operation:
    """`looks`: how many it lasts. `error`: how it fails; None: it succeeds."""

    kind: str
    vms: list[str]
    looks: int
    error: tuple[str, str] | None = None
    status: str = "InProgress"


@dataclass
class Azure:
    """`room`: how many instances the cluster still takes; a start of more fails whole. `bad`: instances that no host
    takes, with which a start fails whole. `looks`: how long operations last. `is_at_once`: starts are refused at once,
    not later. `merges`: a PATCH adds to tags and replaces none. `counts`: what was done, by operation and instance.
    """

    mode: str = "Flexible"
    room: int = 10_000
    bad: set[str] = field(default_factory=set)
    looks: int = 1
    lag: int = 0
    is_at_once: bool = False
    merges: bool = False
    has_etags: bool = True
    shows_starting: bool = True
    code: str = "AllocationFailed"
    instances: dict[str, Instance] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    starts: list[list[str]] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add(self, *names: str, scale_set: str = "gpu") -> None:
        for name in names:
            self.instances[name] = Instance(name, scale_set)

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any, headers: dict[str, str]) -> Reply:
        with self.lock:
            self.calls.append((method, path))
            if not headers.get("authorization", "").startswith("Bearer "):
                return failed(401, "AuthenticationFailed", "no token")
            if path.startswith(OPERATIONS):
                return self._tell_operation(path.rsplit("/", 1)[-1])
            rest = path.removeprefix(COMPUTE).strip("/").split("/")
            base = headers["host"]
            match (method, *rest):
                case ("GET", "virtualMachines"):
                    return self._list(query, base)
                case ("GET", "virtualMachineScaleSets", name):
                    return self._tell_set(name)
                case ("POST", "virtualMachineScaleSets", name, "start"):
                    return self._start(name, (body or {}).get("instanceIds"), base)
                case _:
                    pass
            one = next((self.instances[part] for part in rest if part in self.instances), None)
            if one is None:
                return failed(404, "ResourceNotFound", f"The Resource '{path}' was not found.")
            return self._answer_of(one, rest, method, query, body, headers)

    def _answer_of(
        self, one: Instance, rest: list[str], method: str, query: dict[str, list[str]], body: Any, headers: Any
    ) -> Reply:
        if rest[-1] == "deallocate":
            return self._deallocate(one, headers["host"])
        if rest[-1] == "start":
            return self._start_these([one], headers["host"])
        if rest[0] == "virtualMachineScaleSets":
            return self._member(method, one, body, headers)
        return self._machine(method, one, query, body, headers)

    def _tell_set(self, name: str) -> Reply:
        members = [one for one in self.instances.values() if one.scale_set == name]
        if not members:
            return failed(404, "ResourceNotFound", f"no scale set {name}")
        properties = {"orchestrationMode": self.mode, "singlePlacementGroup": True, "provisioningState": "Succeeded"}
        found = {"id": f"{COMPUTE}/virtualMachineScaleSets/{name}", "name": name, "location": "eastus"}
        return 200, found | {"sku": {"name": "Standard_ND", "capacity": len(members)}, "properties": properties}, {}

    def _list(self, query: dict[str, list[str]], base: str) -> Reply:
        said = query.get("$filter", [""])[0]
        asked = re.fullmatch(r"'virtualMachineScaleSet/id' eq '(.*/virtualMachineScaleSets/([^/']+))'", said)
        if asked is None:
            return failed(400, "InvalidParameter", f"$filter '{said}' is not allowed")
        self._pass()
        members = [one for one in self.instances.values() if one.scale_set == asked[2]]
        start = int(query.get("$skiptoken", ["0"])[0])
        page = [self._show(one, has_etag=False) for one in members[start : start + PAGE_SIZE]]
        found: dict[str, Any] = {"value": page}
        if start + PAGE_SIZE < len(members):
            more = f"$filter={quote(said)}&$expand=instanceView&$skiptoken={start + PAGE_SIZE}"
            found["nextLink"] = f"http://{base}{COMPUTE}/virtualMachines?api-version=2026-04-01&{more}"
        return 200, found, {}

    def _machine(
        self, method: str, one: Instance, query: dict[str, list[str]], body: Any, headers: dict[str, str]
    ) -> Reply:
        if method == "GET":
            return 200, self._show(one, is_viewed=query.get("$expand") == ["instanceView"]), {}
        if (refused := _find_conflict(one, 0, headers)) is not None:
            return refused
        tags = (one.tags if self.merges else {}) | body["tags"]
        if len(tags) > 50 or any(len(value) > 256 for value in tags.values()):
            return failed(400, "InvalidTagNameOrValue", "too many tags, or too long ones")
        one.tags = tags
        one.versions[0] += 1
        return 200, self._show(one), {}

    def _member(self, method: str, one: Instance, body: Any, headers: dict[str, str]) -> Reply:
        if method != "GET":
            if (refused := _find_conflict(one, 1, headers)) is not None:
                return refused
            policy = body["properties"]["protectionPolicy"]
            if policy["protectFromScaleSetActions"] and not policy["protectFromScaleIn"]:
                return failed(400, "InvalidParameter", "protectFromScaleIn cannot be false")
            self._count_protection(one, any(policy.values()))
            one.protection = policy
            one.versions[1] += 1
        found = {"id": f"{COMPUTE}/virtualMachineScaleSets/{one.scale_set}/virtualMachines/{one.name}"}
        properties = {"protectionPolicy": one.protection} if one.protection else {}
        return 200, found | {"location": "eastus", "etag": f'"{one.versions[1]}"', "properties": properties}, {}

    def _count_protection(self, one: Instance, is_protected: bool) -> None:
        was = any(one.protection.values())
        if is_protected and not was:
            self.counts["lock", one.name] += 1
        if was and not is_protected and one.power == "deallocated":
            self.counts["release", one.name] += 1

    def _deallocate(self, one: Instance, base: str) -> Reply:
        if one.provisioning == "Updating":
            return failed(409, "Conflict", "another operation is in progress")
        if one.power != "deallocated":
            self.counts["drain", one.name] += 1
        self._set(one, "deallocating", "Updating")
        return self._begin(Operation("deallocate", [one.name], self.looks), base)

    def _start(self, scale_set: str, ids: list[str] | None, base: str) -> Reply:
        """Without names it is about all that there are, as documented."""
        vms = ids or [one.name for one in self.instances.values() if one.scale_set == scale_set]
        self.starts.append(list(ids or []))
        unknown = [vm for vm in vms if vm not in self.instances]
        if unknown:
            return failed(400, "InvalidParameter", f"The provided instanceId {unknown[0]} is not active")
        ones = [self.instances[vm] for vm in vms]
        for one in ones:
            if one.protection.get("protectFromScaleSetActions"):
                return failed(409, "OperationNotAllowed", f"{one.name} is protected from scale set actions")
        return self._start_these(ones, base)

    def _start_these(self, ones: list[Instance], base: str) -> Reply:
        for one in ones:
            if one.provisioning == "Updating":
                return failed(409, "OperationNotAllowed", f"another operation is in progress on {one.name}")
        cold = [one for one in ones if one.power != "running"]
        fits = len(cold) <= self.room and not self.bad & {one.name for one in cold}
        if not fits and self.is_at_once:
            return failed(409, self.code, NO_ROOM)
        for one in cold:
            self._set(one, "starting", "Updating")
            self.counts["give_back", one.name] += fits
        names = [one.name for one in ones]
        return self._begin(Operation("start", names, self.looks, None if fits else (self.code, NO_ROOM)), base)

    def _begin(self, operation: Operation, base: str) -> Reply:
        name = f"op-{len(self.operations) + 1}"
        self.operations[name] = operation
        where = f"http://{base}{OPERATIONS}/{name}?api-version=2026-04-01"
        return 202, None, {"Azure-AsyncOperation": where, "Location": f"{where}&monitor=true"}

    def _tell_operation(self, name: str) -> Reply:
        operation = self.operations[name]
        self._pass()
        found: dict[str, Any] = {"name": name, "status": operation.status}
        if operation.status == "Failed" and operation.error is not None:
            code, message = operation.error
            inner = {"code": code, "message": message, "target": "0"}
            outer = {"code": "ResourceOperationFailure", "message": "The resource operation completed with Failed."}
            found["error"] = outer | {"details": [inner]}
        return 200, found, {}

    def _pass(self) -> None:
        """A look goes by: operations get on, and the instance view after them."""
        for one in self.instances.values():
            one.lag -= one.lag > 0
            self._refresh(one)
        for operation in self.operations.values():
            if operation.status == "InProgress":
                operation.looks -= 1
                if operation.looks <= 0:
                    self._end(operation)

    def _end(self, operation: Operation) -> None:
        operation.status = "Failed" if operation.error else "Succeeded"
        for one in (self.instances[vm] for vm in operation.vms if vm in self.instances):
            if operation.kind == "deallocate":
                self._set(one, "deallocated", "Succeeded")
            elif operation.error:
                self._set(one, "deallocated", "Failed", operation.error)
            else:
                self._set(one, "running", "Succeeded")
                self.room -= 1

    def _set(self, one: Instance, power: str, provisioning: str, failure: tuple[str, str] = ("", "")) -> None:
        one.power, one.provisioning, one.failure, one.lag = power, provisioning, failure, self.lag
        one.versions[0] += 1
        self._refresh(one)

    def _refresh(self, one: Instance) -> None:
        if one.lag == 0:
            power = one.power if self.shows_starting or one.power != "starting" else "deallocated"
            one.shown = power, one.provisioning, one.failure

    def _show(self, one: Instance, *, is_viewed: bool = True, has_etag: bool = True) -> dict[str, Any]:
        power, provisioning, (code, message) = one.shown
        state = f"ProvisioningState/{provisioning.lower()}" + (f"/{code}" if code else "")
        agent = {"vmAgentVersion": "2.11.1", "statuses": [{"code": one.agent, "displayStatus": "?"}]}
        view: dict[str, Any] = {
            "statuses": [{"code": state, "message": message}, {"code": f"PowerState/{power}", "level": "Info"}]
        }
        if power == "running":
            view |= {"vmAgent": agent, "osVersion": "24.04"}
        parent = {"id": f"{COMPUTE}/virtualMachineScaleSets/{one.scale_set}"}
        properties = {"provisioningState": provisioning, "virtualMachineScaleSet": parent}
        properties |= {"osProfile": {"computerName": f"host-{one.name}"}} | (
            {"instanceView": view} if is_viewed else {}
        )
        etag = {"etag": f'"{one.versions[0]}"'} if has_etag and self.has_etags else {}
        found = {"id": f"{COMPUTE}/virtualMachines/{one.name}", "name": one.name, "location": "eastus"}
        return found | etag | {"tags": dict(one.tags), "properties": properties}


def failed(status: int, code: str, message: str) -> Reply:
    return status, {"error": {"code": code, "message": message}}, {}


def _find_conflict(one: Instance, part: int, headers: dict[str, str]) -> Reply | None:
    wanted, found = headers.get("if-match"), f'"{one.versions[part]}"'
    if wanted not in (None, "*", found):
        return failed(412, "PreconditionFailed", f"Etag provided in if-match header {wanted} does not match {found}")
    if one.provisioning == "Updating":
        return failed(409, "Conflict", "another operation is in progress")
    return None


@contextmanager
def serving(azure: Azure) -> Iterator[int]:
    """The port of loopback that it listens on."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # an answer goes out as a whole

        def respond(self) -> None:
            parts = urlsplit(self.path)
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = (self.command, parts.path, parse_qs(parts.query), body, headers)
            fault = next((each for each in azure.faults if _befalls(each, self.command, parts.path)), None)
            reply = azure.answer(*asked) if fault is None or fault.is_done else (0, None, {})
            if fault is not None:
                fault.times -= 1
                wait = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
                told = failed(fault.status, fault.code, fault.said)[1] if fault.body is None else fault.body
                reply = fault.status, told, wait
            self.write(*reply)

        do_GET = do_POST = do_PATCH = do_PUT = respond  # noqa: N815 - as http.server calls them

        def write(self, code: int, told: Any, headers: dict[str, str]) -> None:
            text = b"" if told is None else (told if isinstance(told, str) else json.dumps(told)).encode()
            self.send_response(code)
            self.send_header("Content-Type", "text/html" if isinstance(told, str) else "application/json")
            self.send_header("Content-Length", str(len(text)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_words: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _befalls(fault: Fault, method: str, path: str) -> bool:
    return fault.times > 0 and fault.method == method and re.search(fault.path, path) is not None
