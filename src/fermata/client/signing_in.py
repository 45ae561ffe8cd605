"""Signing somebody in at the provider by a second device (RFC 8628), and renewing what came of it."""

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
ANSWER_SECONDS_MAX = 20.0
SLOWER = "slow_down"
WAITING = ("authorization_pending", SLOWER)
POLL_SECONDS, SLOWER_SECONDS = 5.0, 5.0
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


class NotSignedIn(Exception):
    """Nobody is; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What the provider gave, for so many seconds. `refresh_token` "": it gave none."""

    access_token: str
    refresh_token: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the server says of its provider."""

    client_id: str
    audience: str
    scope: str
    device_authorization_endpoint: str
    token_endpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the person is to do meanwhile. `whole_url` has the code in it, "" where the provider has none."""

    url: str
    code: str
    whole_url: str


def find_terms(server: str, *, ca_file: str | None) -> Terms:
    """From the server itself. Raises NotSignedIn."""
    with _client(ca_file) as client:
        told = _exchange(client, "GET", f"{server}/sign-in/program", None)
    if "detail" in told:
        raise NotSignedIn(str(told["detail"]).rstrip("."))
    try:
        return Terms(**{name: str(told[name]) for name in Terms.__dataclass_fields__})
    except KeyError as missing:
        raise NotSignedIn(f"{server} does not say its {missing}") from missing


def sign_in(
    terms: Terms, tell: Callable[[Asked], None], *, ca_file: str | None, sleep: Callable[[float], None] = time.sleep
) -> Granted:
    """Returns once the person has agreed at the provider. Raises NotSignedIn."""
    with _client(ca_file) as client:
        form = {"client_id": terms.client_id, "scope": terms.scope, "audience": terms.audience}
        begun = _exchange(client, "POST", terms.device_authorization_endpoint, form)
        if not all(isinstance(begun.get(name), str) for name in ("device_code", "user_code", "verification_uri")):
            raise NotSignedIn(f"the provider says no ({begun.get('error', 'no code')})")
        tell(
            Asked(
                url=begun["verification_uri"],
                code=begun["user_code"],
                whole_url=str(begun.get("verification_uri_complete") or ""),
            )
        )
        pause, left = float(begun.get("interval", POLL_SECONDS)), float(begun.get("expires_in", 600))
        asked = {"grant_type": DEVICE, "device_code": begun["device_code"], "client_id": terms.client_id}
        while left > 0:
            sleep(pause)
            left -= max(pause, 1.0)
            told = _exchange(client, "POST", terms.token_endpoint, asked)
            if told.get("error") not in WAITING:
                return _granted(told)
            if told["error"] == SLOWER:
                pause += SLOWER_SECONDS
    raise NotSignedIn("nobody agreed in time")


def renew(token_endpoint: str, client_id: str, refresh_token: str, *, ca_file: str | None) -> Granted:
    """Another access token. Raises NotSignedIn."""
    if not refresh_token:
        raise NotSignedIn("what the provider gave is over, and it gave nothing to renew it with")
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": client_id}
    with _client(ca_file) as client:
        return _granted(_exchange(client, "POST", token_endpoint, form))


def _granted(told: Mapping[str, Any]) -> Granted:
    token = told.get("access_token")
    if not isinstance(token, str) or not token:
        raise NotSignedIn(f"the provider says no ({told.get('error', 'no token')})")
    refresh = told.get("refresh_token")
    seconds = told.get("expires_in", 300)
    return Granted(
        access_token=token,
        refresh_token=refresh if isinstance(refresh, str) else "",
        seconds=float(seconds) if isinstance(seconds, int | float) else 300.0,
    )


def _client(ca_file: str | None) -> httpx.Client:
    verify = ssl.create_default_context(cafile=ca_file) if ca_file else True
    return httpx.Client(timeout=ANSWER_SECONDS_MAX, verify=verify)


def _exchange(client: httpx.Client, method: str, url: str, form: Mapping[str, str] | None) -> Mapping[str, Any]:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOCAL_HOSTS):
        raise NotSignedIn(f"{url} is not encrypted")
    try:
        told = client.request(method, url, data=form).json()
    except (httpx.HTTPError, ValueError) as error:
        raise NotSignedIn(f"{url} gives no answer ({str(error) or type(error).__name__})") from error
    if not isinstance(told, dict):
        raise NotSignedIn(f"{url} gives no answer that can be understood")
    return told
