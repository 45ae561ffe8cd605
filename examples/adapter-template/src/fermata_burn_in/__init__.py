"""Health checks of nodes by a burn-in service that is asked over HTTP.

A check is put under an id that follows from the step key, so that putting it twice starts it once. The service is
asked about 50 checks at a time. What it says when it is busy is passed on, and the rest of the call is not sent.
"""

import contextlib
import hashlib
import os
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, Field

from fermata.adapters.client_logs import quiet_clients
from fermata.domain.ids import StepKey
from fermata.domain.observations import (
    Accepted,
    Answer,
    Denied,
    Failed,
    Later,
    NeverAsked,
    Progress,
    Running,
    Succeeded,
    Unsure,
)
from fermata.ports import CALL_SIZE_MAX, AdapterPorts, Ask, Clock, OutcomeUnknown, Refused, TryLater

KIND = "burn_in"
PORTS = frozenset({"verifier"})
IDS_MAX = 50  # in the address of one question
AGAIN = timedelta(minutes=1)  # where the service does not say when
AGAIN_MAX = timedelta(hours=1)
TAKES = timedelta(minutes=10)  # a check of a healthy node, as a rule
_BUSY = (429, 503)


class Settings(BaseModel):
    """Where the service is, and which environment variable holds the token that it wants."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(description="Address of the service, such as https://burn-in.example", pattern="^https?://")
    token_env: str | None = Field(None, description="Environment variable with the token; none: it wants none")
    timeout_seconds: float = Field(30.0, gt=0, le=600, description="How long an answer may take")


def build(settings: Settings, clock: Clock) -> AdapterPorts:
    """The port; nobody is called. Raises Refused when the token is not there."""
    line = _Line(settings)
    return AdapterPorts(close=line.close, probe=line.probe, verifier=_Checks(line, clock))


@dataclass
class _Line:
    """One connection pool. `close` ends calls that hang, too: their sockets are shut."""

    settings: Settings
    _client: httpx.Client = field(init=False, repr=False)
    _sockets: set[socket.socket] = field(default_factory=set, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        quiet_clients()  # a service may say our token back, in the head of its answer
        headers = {"Accept": "application/json"}
        name = self.settings.token_env
        if name is not None:
            if not os.environ.get(name):
                raise Refused(f"the environment variable {name} holds no token")
            headers["Authorization"] = f"Bearer {os.environ[name]}"
        timeout = httpx.Timeout(self.settings.timeout_seconds)
        self._client = httpx.Client(base_url=self.settings.url, headers=headers, timeout=timeout, trust_env=False)

    def call(self, method: str, path: str, body: object = None) -> httpx.Response:
        """The answer, whatever its status but those that are about us. Raises TryLater when the call cannot have
        arrived, OutcomeUnknown when it may have, Refused when the service does not want us.
        """
        try:
            answer = self._client.request(method, path, json=body, extensions={"trace": self._trace})
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise TryLater(AGAIN, f"{self.settings.url} does not answer: {type(error).__name__}") from error
        except (httpx.HTTPError, RuntimeError) as error:  # the latter of a client that was closed
            raise OutcomeUnknown(f"{method} {path}: {type(error).__name__}") from error
        if answer.status_code in (401, 403):
            raise Refused(
                f"{self.settings.url} answers {answer.status_code}: see the token in {self.settings.token_env}"
            )
        return answer

    def read(self, path: str) -> Any:
        """The JSON of a question that changes nothing. Raises TryLater, Refused."""
        try:
            answer = self.call("GET", path)
        except OutcomeUnknown as lost:
            raise TryLater(AGAIN, str(lost)) from lost
        if not answer.is_success:
            raise TryLater(_patience(answer), f"{self.settings.url}{path} answers {answer.status_code}")
        try:
            return answer.json()
        except ValueError as error:
            raise TryLater(AGAIN, f"{self.settings.url}{path} answers what is no JSON") from error

    def probe(self) -> Mapping[str, str]:
        """Who the service is."""
        found = self.read("/")
        may = "start checks" if found.get("may_start") else "read checks"
        return {"product": str(found["product"]), "version": str(found["version"]), "credentials may": may}

    def close(self) -> None:
        """Ends everything."""
        with self._lock:
            for opened in self._sockets:
                with contextlib.suppress(OSError):  # it is gone already
                    opened.shutdown(socket.SHUT_RDWR)
            self._sockets.clear()
        self._client.close()

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            with self._lock:
                self._sockets.add(info["return_value"].get_extra_info("socket"))


@dataclass(frozen=True)
class _Checks:
    """Verifier."""

    line: _Line
    clock: Clock

    def check(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port. When the service is busy, the rest of the call is not sent."""
        _check_size(asks)
        answers: dict[StepKey, Answer] = {}
        busy: Later | None = None
        for ask in asks:
            answers[ask.key] = answer = busy or self._start(ask)
            if isinstance(answer, Later):
                busy = answer
        return answers

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """See the port."""
        _check_size(asks)
        found: dict[StepKey, Progress] = {}
        for start in range(0, len(asks), IDS_MAX):
            chunk = [ask.key for ask in asks[start : start + IDS_MAX]]
            said = self.line.read(f"/checks?ids={','.join(_id_of(key) for key in chunk)}")
            found.update({key: _progress(said.get(_id_of(key))) for key in chunk})
        return found

    def _start(self, ask: Ask) -> Answer:
        try:
            answer = self.line.call("PUT", f"/checks/{_id_of(ask.key)}", {"node": ask.unit})
        except TryLater as away:
            return Later(after=away.after)
        except OutcomeUnknown:
            return Unsure()
        if answer.status_code in _BUSY:
            return Later(after=_patience(answer))
        if answer.status_code == 404:
            return Denied(why=f"the burn-in service does not know {ask.unit}")
        return Accepted(check_again_at=self.clock.now() + TAKES) if answer.is_success else Unsure()


def _id_of(key: StepKey) -> str:
    """What the service calls a step: keys have slashes, and say more than it needs to know."""
    return hashlib.sha256(key.encode()).hexdigest()


def _progress(said: Mapping[str, Any] | None) -> Progress:
    if said is None:
        return NeverAsked()
    if said["state"] == "running":
        return Running()
    at = datetime.fromtimestamp(said["ended"], UTC)
    return Succeeded(at=at) if said["state"] == "healthy" else Failed(at=at, why=str(said["state"]))


def _patience(answer: httpx.Response) -> timedelta:
    said = answer.headers.get("retry-after", "")
    return min(timedelta(seconds=int(said)), AGAIN_MAX) if said.isascii() and said.isdigit() and int(said) else AGAIN


def _check_size(items: Sequence[object]) -> None:
    if len(items) > CALL_SIZE_MAX:
        raise ValueError(f"{len(items)} items in a call, at most {CALL_SIZE_MAX} are allowed")
