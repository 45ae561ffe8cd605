"""Requests to many controllers over one pool of connections, with a bound on each and on all, and what goes wrong."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from fermata.adapters.controller_http import (
    BUSY,
    FAILED_WITHIN,
    Busy,
    Lost,
    Rejected,
    Unreachable,
    ask_secret,
    open_client,
    read_retry_after,
    renew,
    send,
)
from fermata.adapters.redfish.settings import Settings
from fermata.adapters.secrets import check

ROOT = "/redfish/v1/"
SAID_MAX = 200  # characters of what a controller says about an error


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`body` is empty where there was none. `headers` have lower-case names."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]


@dataclass
class Controller:
    """One controller: its session, and what it told of itself before."""

    address: str
    turns: asyncio.Semaphore
    signing_in: asyncio.Lock = field(default_factory=asyncio.Lock)
    token: str | None = None
    session: str | None = None
    known: dict[str, Any] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """Of the addresses that it gives: what comes before /redfish."""
        return urlsplit(self.address).path.rstrip("/")

    def path(self, below_root: str) -> str:
        """The address of something below its service root, as it writes addresses itself."""
        return f"{self.prefix}{ROOT}{below_root}"


class Link:
    """All controllers. Lives in one event loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._controllers: dict[str, Controller] = {}
        self._secret = settings.secret
        check(self._secret)
        self._turns = asyncio.Semaphore(settings.calls_at_once)
        self._client = open_client(
            calls_at_once=settings.calls_at_once, verify_tls=settings.verify_tls, ca_file=settings.ca_file
        )

    def controller(self, address: str) -> Controller:
        """The same for the same address."""
        found = self._controllers.get(address)
        if found is None:
            found = Controller(address, asyncio.Semaphore(self.settings.calls_per_controller))
            self._controllers[address] = found
        return found

    async def get(self, controller: Controller, path: str) -> Reply:
        """Raises Unreachable, Lost, Busy or Rejected."""
        return await self.ask(controller, "GET", path)

    async def ask(
        self,
        controller: Controller,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        form: "Callable[[], aiohttp.FormData] | None" = None,
    ) -> Reply:
        """One request; a session that the controller forgot is opened again. Raises as `get`.

        `form`: makes the parts of a push, for each try.
        """
        async with controller.turns, self._turns:
            if self.settings.sign_in == "basic":
                return self._judge(await self._ask_basic(controller, method, path, body, form), method, path)
            stale = controller.token
            headers = await self._entry(controller, stale=None)
            reply = await self._send(controller, method, path, body, form() if form else None, headers)
            if reply.status == 401:
                headers = await self._entry(controller, stale=stale or controller.token)
                reply = await self._send(controller, method, path, body, form() if form else None, headers)
        return self._judge(reply, method, path)

    async def _entry(self, controller: Controller, stale: str | None) -> Mapping[str, str]:
        """The headers that let us in. `stale`: a token that is worth nothing any more."""
        async with controller.signing_in:
            if controller.token is None or controller.token == stale:
                controller.token = None
                await self._sign_in(controller)
        assert controller.token is not None
        return {"X-Auth-Token": controller.token}

    async def _ask_basic(
        self,
        controller: Controller,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        form: "Callable[[], aiohttp.FormData] | None",
    ) -> Reply:
        """The password with each request; one that was renewed meanwhile is taken at the second try."""
        password = await ask_secret(self._secret)
        reply = await self._send(controller, method, path, body, form() if form else None, self._basic(password))
        if reply.status == 401 and (renewed := await renew(self._secret, password)) is not None:
            reply = await self._send(controller, method, path, body, form() if form else None, self._basic(renewed))
        return reply

    def _basic(self, password: str) -> Mapping[str, str]:
        return {"Authorization": aiohttp.encode_basic_auth(self.settings.user, password)}

    async def _sign_in(self, controller: Controller) -> None:
        path = controller.path("SessionService/Sessions")
        try:
            password = await ask_secret(self._secret)
            reply = await self._open_session(controller, path, password)
            if reply.status == 401 and (renewed := await renew(self._secret, password)) is not None:
                reply = await self._open_session(controller, path, renewed)
            self._judge(reply, "POST", path)
        except Lost as lost:  # a session too many at worst: nothing of what we were asked for was sent
            raise Unreachable(str(lost)) from lost
        token = reply.headers.get("x-auth-token")
        if not token:
            raise Rejected(reply.status, f"{path} gives no token")
        controller.token = token
        location = reply.headers.get("location") or str(reply.body.get("@odata.id") or "")
        controller.session = urlsplit(location).path or None

    async def _open_session(self, controller: Controller, path: str, password: str) -> Reply:
        body = {"UserName": self.settings.user, "Password": password}
        return await self._send(controller, "POST", path, body, None, {})

    async def _send(
        self,
        controller: Controller,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        form: aiohttp.FormData | None,
        headers: Mapping[str, str],
    ) -> Reply:
        split = urlsplit(controller.address)
        url = f"{split.scheme}://{split.netloc}{path}"
        plain = {"OData-Version": "4.0", "Accept": "application/json", **headers}
        data: Any = form
        hidden = (str(body["Password"]),) if body is not None and "Password" in body else ()
        if body is not None:
            data, plain["Content-Type"] = orjson.dumps(body), "application/json"
        seconds = self.settings.push_seconds if form is not None else self.settings.answer_seconds
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=self.settings.connect_seconds)
        said = await send(self._client, method, url, data=data, headers=plain, hidden=hidden, timeout=timeout)
        return Reply(status=said.status, body=_parse(said.body), headers=said.headers)

    def _judge(self, reply: Reply, method: str, path: str) -> Reply:
        if reply.status in FAILED_WITHIN and method != "GET":
            raise Lost(f"{method} {path} answers {say(reply)}")
        if reply.status in BUSY | FAILED_WITHIN:
            raise Busy(retry_after(reply, self.settings.busy), f"{method} {path} answers {say(reply)}")
        if reply.status >= 300:
            raise Rejected(reply.status, f"{method} {path} answers {say(reply)}")
        return reply

    async def close(self) -> None:
        """Ends our sessions, so that the controllers have room for others."""
        ends = [self._sign_out(controller) for controller in self._controllers.values() if controller.session]
        await asyncio.gather(*ends)
        await self._client.close()

    async def _sign_out(self, controller: Controller) -> None:
        assert controller.session is not None
        headers = {"X-Auth-Token": controller.token or ""}
        async with self._turns:
            with suppress(Unreachable, Lost, Busy, Rejected):
                await self._send(controller, "DELETE", controller.session, None, None, headers)
        controller.session = controller.token = None


def retry_after(reply: Reply, otherwise: timedelta) -> timedelta:
    """What the controller asks for, in whole seconds."""
    return read_retry_after(reply.headers, otherwise)


def say(reply: Reply) -> str:
    """The status, and what the controller's messages say."""
    error = reply.body.get("error")
    found = error if isinstance(error, Mapping) else reply.body
    told = found.get("@Message.ExtendedInfo")
    messages = (
        [str(one.get("Message") or "") for one in told if isinstance(one, Mapping)] if isinstance(told, list) else []
    )
    words = " ".join((" ".join(filter(None, messages)) or str(found.get("message") or "")).split())
    return f"{reply.status} ({words[:SAID_MAX]})" if words else str(reply.status)


def _parse(text: bytes) -> Mapping[str, Any]:
    try:
        body = orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}
