"""The ASGI application: many controllers behind one server, by path or by Host, and the desk that controls them all."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from datetime import timedelta
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

import orjson
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.requests import Request as FormRequest

from fermata.bmc.clock import Time, VirtualTime
from fermata.bmc.controller import Controller
from fermata.bmc.fleet import Fault, FaultKind, Fleet
from fermata.bmc.messages import Complaint
from fermata.bmc.service import Answer, Request, answer, complain
from fermata.bmc.views import stamp

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
BODY_MAX = 1 << 20  # bytes of a request that is no upload
PREFIX = "/bmcs/"
STUCK_SECONDS = 3600.0


class Emulator:
    """The controllers of one fleet. `/bmcs/<name>/redfish/v1/` is one of them; `/redfish/v1/` the one that Host names,
    or the only one. `/control` sets the clock and the faults.
    """

    def __init__(self, fleet: Fleet, time: Time) -> None:
        self.time = time
        self.requests = 0
        start = time.now()
        profiles = fleet.profile_by_name()
        self.controllers = {name: Controller(name, profile, fleet, start) for name, profile in profiles.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope["path"])
        if path == "/control" or path.startswith("/control/"):
            return await _send(send, self._control(str(scope["method"]), path, await _read(receive)), scope)
        self.requests += 1
        found = self._find(path, scope)
        if found is None:
            return await _send(send, complain(Complaint("ResourceMissingAtURI", path)), scope)
        controller, root, rest = found
        controller.settle(self.time.now())
        if controller.is_silent:
            if controller.is_dead or not controller.profile.down_answers_503:
                return await _hang_up(send)
            return await _send(send, complain(Complaint("ServiceShuttingDown", retry_after_seconds=30)), scope)
        said = await self._ask(controller, root, rest, scope, receive)
        if said.changed and _is_action(rest) and controller.faults.strike(FaultKind.DROPS_ANSWER, self.time.now()):
            return await _hang_up(send)
        return await _send(send, said, scope)

    async def _ask(self, controller: Controller, root: str, rest: str, scope: Scope, receive: Receive) -> Answer:
        now = self.time.now()
        if slow := controller.faults.strike(FaultKind.SLOW_ANSWERS, now):
            await asyncio.sleep(min(slow.seconds or STUCK_SECONDS, STUCK_SECONDS))
        if controller.faults.strike(FaultKind.BUSY, now):
            retry = controller.profile.retry_after_seconds
            return complain(Complaint("ServiceTemporarilyUnavailable", str(retry), retry_after_seconds=retry))
        if rest in ("", "/"):
            body = orjson.dumps({"v1": f"{root}/"})
            return Answer(status=200, body=body, headers={"Content-Type": "application/json", "OData-Version": "4.0"})
        if rest != "/v1" and not rest.startswith("/v1/"):
            return complain(Complaint("ResourceMissingAtURI", rest))
        request = await _request(rest.removeprefix("/v1"), scope, receive)
        return answer(controller, root, request, self.time.now())

    def _find(self, path: str, scope: Scope) -> tuple[Controller, str, str] | None:
        """The controller, the address of its service root, and what follows /redfish."""
        name, start = "", ""
        if path.startswith(PREFIX):
            name = path[len(PREFIX) :].partition("/")[0]
            start = PREFIX + name
        if not path.startswith(f"{start}/redfish"):
            return None
        controller = self.controllers.get(name) if name else self._by_host(scope)
        return None if controller is None else (controller, f"{start}/redfish/v1", path[len(start) + 8 :])

    def _by_host(self, scope: Scope) -> Controller | None:
        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        host = host.partition(":")[0]
        found = self.controllers.get(host) or self.controllers.get(host.partition(".")[0])
        return found if found or len(self.controllers) > 1 else next(iter(self.controllers.values()))

    # the desk

    def _control(self, method: str, path: str, body: bytes) -> Answer:
        try:
            match method, path.split("/")[2:]:
                case "GET", []:
                    return _json(200, self._about())
                case "POST", ["clock"]:
                    return self._advance(orjson.loads(body))
                case "POST", ["faults"]:
                    return self._add_fault(Fault.model_validate_json(body))
                case "DELETE", ["faults"]:
                    for controller in self.controllers.values():
                        controller.faults.clear()
                    return _json(200, {})
                case "GET", ["bmcs", name] if name in self.controllers:
                    return _json(200, self._state(self.controllers[name]))
                case _:
                    return _json(404, {"error": f"there is no {method} {path}"})
        except (orjson.JSONDecodeError, ValidationError, ValueError, TypeError) as error:
            return _json(400, {"error": str(error)})

    def _about(self) -> dict[str, Any]:
        return {"now": stamp(self.time.now()), "requests": self.requests, "bmcs": list(self.controllers)}

    def _advance(self, body: Any) -> Answer:
        if not isinstance(self.time, VirtualTime):
            return _json(409, {"error": "the clock is real: start with --virtual to advance it"})
        if not isinstance(body, dict) or not isinstance(body.get("advance_seconds"), int | float):
            return _json(400, {"error": "say advance_seconds, a number"})
        return _json(200, {"now": stamp(self.time.advance(timedelta(seconds=body["advance_seconds"])))})

    def _add_fault(self, fault: Fault) -> Answer:
        if fault.bmc != "*" and fault.bmc not in self.controllers:
            return _json(400, {"error": f"there is no controller {fault.bmc}"})
        for controller in self.controllers.values():
            controller.add_fault(fault, self.time.now())
        return _json(200, {})

    def _state(self, controller: Controller) -> dict[str, Any]:
        now = self.time.now()
        controller.settle(now)
        return {
            "name": controller.name,
            "answers": not controller.is_silent,
            "power": controller.power,
            "boot_progress": controller.boot_progress(now),
            "last_reset_at": stamp(controller.last_reset_at),
            "resets": controller.resets,
            "updates": controller.updates,
            "sessions": len(controller.access.sessions),
            "firmware": {name: {"runs": part.runs, "waits": part.waits} for name, part in controller.firmware.items()},
            "tasks": {name: task.state.value for name, task in controller.tasks.items()},
        }


def _is_action(rest: str) -> bool:
    return "/Actions/" in rest or rest.endswith("/update-multipart")


async def _request(path: str, scope: Scope, receive: Receive) -> Request:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    query = dict(parse_qsl(unquote(scope["query_string"].decode("latin-1")), keep_blank_values=True))
    parts = [part for part in path.split("/") if part]
    plain: dict[str, Any] = {"method": scope["method"], "path": parts, "query": query, "headers": headers}
    if headers.get("content-type", "").startswith("multipart/form-data"):
        return await _upload(scope, receive, plain)
    return Request(**plain, body=await _read(receive))


async def _upload(scope: Scope, receive: Receive, plain: Mapping[str, Any]) -> Request:
    async with FormRequest(scope, receive).form() as form:
        file, said = form.get("UpdateFile"), form.get("UpdateParameters")
        image = (file.filename or "unnamed") if isinstance(file, UploadFile) else None
        text: bytes | str = await said.read() if isinstance(said, UploadFile) else (said or "{}")
    try:
        parameters = orjson.loads(text)
    except orjson.JSONDecodeError:
        return Request(**plain, body=b"{")
    return Request(**plain, json=parameters if isinstance(parameters, dict) else {}, image=image)


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        event = await receive()
        body += bytes(event.get("body", b""))
        if not event.get("more_body") or len(body) > BODY_MAX:
            return body


async def _send(send: Send, said: Answer, scope: Scope) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in said.headers.items()]
    if said.status not in (204, 304):
        headers.append((b"content-length", str(len(said.body)).encode()))
    await send({"type": "http.response.start", "status": said.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else said.body})


async def _hang_up(send: Send) -> None:
    """Ends the connection without an answer, as a controller does that restarts."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionAbortedError("the controller does not answer")
    cast(asyncio.Transport, transport).abort()
    for _ in range(3):
        await asyncio.sleep(0)  # the server learns that the connection is gone


async def _live(receive: Receive, send: Send) -> None:
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


def _json(status: int, body: Mapping[str, Any]) -> Answer:
    return Answer(status=status, body=orjson.dumps(body), headers={"Content-Type": "application/json"})
