"""Requests to switches: what they say of their images and jobs, and the one action that installs an image.

Names as NVIDIA's user manuals of NVOS (Installation Management Commands) and Cumulus Linux (NVUE API) have them.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson

from fermata.adapters.controller_http import (
    BUSY,
    FAILED_WITHIN,
    Busy,
    Lost,
    Rejected,
    Said,
    ask_secret,
    open_client,
    read_retry_after,
    renew,
    send,
)
from fermata.adapters.nvue.settings import Settings
from fermata.adapters.secrets import check

ROOT = "/nvue_v1"
SAID_MAX = 200  # characters of what a switch says about an error
PARTITIONS = ("partition1", "partition2")
RESTARTS = ("installing image", "disconnecting", "offline")  # what a job says that ends with the restart it began


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Build ids. `running`: of the partition that was booted; `next`: of the one that is booted next; "" unknown."""

    running: str
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An action. `state` as the switch says it: start, running, action_success, action_error."""

    state: str
    says: str
    percent: int | None

    @property
    def has_failed(self) -> bool:
        """An install that restarts its switch may end as an error at 100 percent: the restart cut it off."""
        handed_over = self.percent == 100 and any(word in self.says.lower() for word in RESTARTS)
        return self.state == "action_error" and not handed_over


class Link:
    """All switches. Lives in one event loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._secret = settings.secret
        check(self._secret)
        self._turns = asyncio.Semaphore(settings.calls_at_once)
        self._client = open_client(
            calls_at_once=settings.calls_at_once, verify_tls=settings.verify_tls, ca_file=settings.ca_file
        )

    async def images(self, address: str) -> Images:
        """Raises Unreachable, Lost, Busy or Rejected."""
        body = _mapping(await self._ask(address, "GET", "/system/image"))
        return Images(running=_build_id(body, body.get("current")), next=_build_id(body, body.get("next")))

    async def kernel(self, address: str) -> Mapping[str, Any]:
        """What the switch says of its version. Raises as `images`."""
        return _mapping(await self._ask(address, "GET", "/system/version"))

    async def job(self, address: str, job: str) -> Job:
        """Raises as `images`; Rejected with 404 for a job that it forgot."""
        body = _mapping(await self._ask(address, "GET", f"/action/{quote(job, safe='')}"))
        said = (str(body.get("status") or ""), str(body.get("detail") or body.get("message") or ""))
        percent = body.get("percentage", body.get("percent"))
        return Job(
            state=str(body.get("state") or ""),
            says=" ".join(" ".join(said).split())[:SAID_MAX],
            percent=percent if isinstance(percent, int) else None,
        )

    async def install(self, address: str, file: str) -> str | None:
        """The job. Raises as `images`; Lost: nobody knows whether it was begun."""
        parameters = {**self.settings.install, "image-file": file}
        body = {"@install": {"state": "start", "parameters": parameters}}
        return _job_of(await self._ask(address, "POST", f"/system/image/files/{quote(file, safe='')}", body))

    async def reboot(self, address: str) -> str | None:
        """The job of a restart into what is booted next. Raises as `install`."""
        body = {"@reboot": {"state": "start", "parameters": {"force": True}}}
        return _job_of(await self._ask(address, "POST", "/system/reboot", body))

    async def close(self) -> None:
        """Ends the connections."""
        await self._client.close()

    async def _send(self, url: str, method: str, body: Mapping[str, Any] | None, password: str) -> Said:
        entry = aiohttp.encode_basic_auth(self.settings.user, password)
        headers, data = {"Accept": "application/json", "Authorization": entry}, None
        if body is not None:
            data, headers["Content-Type"] = orjson.dumps(body), "application/json"
        timeout = aiohttp.ClientTimeout(total=self.settings.answer_seconds, sock_connect=self.settings.connect_seconds)
        return await send(self._client, method, url, data=data, headers=headers, timeout=timeout)

    async def _ask(self, address: str, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        async with self._turns:
            password = await ask_secret(self._secret)
            said = await self._send(f"{address}{ROOT}{path}", method, body, password)
            if said.status == 401 and (renewed := await renew(self._secret, password)) is not None:
                said = await self._send(f"{address}{ROOT}{path}", method, body, renewed)
        answer = _parse(said.body)
        what = f"{method} {path} answers {said.status}{_say(answer)}"
        if said.status in FAILED_WITHIN and method != "GET":
            raise Lost(what)
        if said.status in BUSY | FAILED_WITHIN:
            raise Busy(read_retry_after(said.headers, self.settings.busy), what)
        if said.status >= 300:
            raise Rejected(said.status, what)
        if answer is None and method == "GET":
            raise Lost(f"{method} {path} answers no JSON")
        return answer


def _build_id(body: Mapping[str, Any], which: Any) -> str:
    """Of a partition, which is named by number or by name, or of the build id itself, as releases differ."""
    said = str(which if which is not None else "")
    name = f"partition{said}" if said in ("1", "2") else said
    if name not in PARTITIONS:
        return said
    found = body.get(name)
    found = found.get("build-id") if isinstance(found, Mapping) else found
    return str(found or "")


def _job_of(answer: Any) -> str | None:
    """A number, a text, or an object that has it."""
    if isinstance(answer, Mapping):
        answer = answer.get("action_id", answer.get("job"))
    return str(answer).strip() if isinstance(answer, str | int) and str(answer).strip() else None


def _parse(text: bytes) -> Any:
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _say(answer: Any) -> str:
    said = _mapping(answer)
    words = " ".join(str(said.get("detail") or said.get("title") or "").split())[:SAID_MAX]
    return f" ({words})" if words else ""
