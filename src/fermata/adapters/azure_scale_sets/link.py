"""The client of Azure, and what its errors mean. Retries are ours: a busy service is left alone for as long as it says.

Whatever the client says of a request that broke off, a write is unsure then: it tells a connection that was never made
and one that was lost after the request with the same error.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Self

from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.core.pipeline.transport import AioHttpTransport
from azure.identity.aio import ClientSecretCredential, ManagedIdentityCredential
from azure.mgmt.compute.aio import ComputeManagementClient

from fermata.adapters.azure_scale_sets.settings import Settings
from fermata.adapters.controller_http import open_hiding_session
from fermata.adapters.secrets import check, read_line
from fermata.domain.health import shorten
from fermata.domain.observations import Accepted, Answer, Denied, Later, Unsure
from fermata.domain.secrets import Secret
from fermata.ports import Refused, TryLater

LATER = timedelta(minutes=1)
LATER_MAX = timedelta(hours=1)
SOON = timedelta(seconds=5)
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
NOT_FOUND, CONFLICT, MODIFIED, TOO_MANY, UNAVAILABLE = 404, 409, 412, 429, 503
FOR_PEOPLE = frozenset({"ScopeLocked", "ReadOnlyDisabledSubscription", "RequestDisallowedByPolicy"})
BROKEN_OFF = (AzureError, TimeoutError, OSError, ValueError, TypeError, LookupError)  # half an answer, or none


class ReadyToken:
    """A token that somebody else keeps fresh; read for each request."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    async def get_token(self, *_scopes: str, **_more: Any) -> AccessToken:
        """As the client asks for it; `expires_on` 0: not to be kept."""
        return AccessToken(await _ask(self._secret), 0)

    async def close(self) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Nothing is open."""


class ReadSecret:
    """Signs in with the secret of an application as it is then; one that is not taken is read anew, and tried again
    when it is another.
    """

    def __init__(self, settings: Settings, secret: Secret) -> None:
        self._settings, self._secret = settings, secret
        self._known: tuple[str, ClientSecretCredential] | None = None

    async def get_token(self, *scopes: str, **more: Any) -> AccessToken:
        """As the client asks for it."""
        secret = await _ask(self._secret)
        try:
            return await (await self._with(secret)).get_token(*scopes, **more)
        except ClientAuthenticationError:
            self._secret.forget()
            renewed = await _ask(self._secret)
            if renewed == secret:
                raise
        return await (await self._with(renewed)).get_token(*scopes, **more)

    async def _with(self, secret: str) -> ClientSecretCredential:
        if self._known is not None and self._known[0] == secret:
            return self._known[1]
        await self.close()
        settings = self._settings
        assert settings.tenant_id is not None
        assert settings.client_id is not None
        credential = ClientSecretCredential(
            settings.tenant_id,
            settings.client_id,
            secret,
            authority=settings.authority,
            transport=_transport(lambda: (secret,)),
        )
        self._known = secret, credential
        return credential

    async def close(self) -> None:
        """Lets go of the connections."""
        known, self._known = self._known, None
        if known is not None:
            await known[1].close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()


async def _ask(secret: Secret) -> str:
    """What it is now. Raises ClientAuthenticationError, as the client expects it of whoever gives tokens."""
    try:
        return await asyncio.to_thread(read_line, secret) if secret.ref.kind.is_kept else read_line(secret)
    except (Refused, TryLater) as error:
        raise ClientAuthenticationError(str(error)) from error


def _transport(more: Callable[[], Iterable[str]] = tuple) -> AioHttpTransport:
    """Where credentials that come back are hidden; no redirects, no cookies, no proxy of the environment."""
    return AioHttpTransport(session=open_hiding_session(more), session_owner=True, use_env_settings=False)


def open_client(settings: Settings) -> tuple[ComputeManagementClient, AsyncTokenCredential]:
    """Calls nobody. Raises Refused for files that cannot be read."""
    credential = _sign_in(settings)
    if settings.ca_file is not None and not settings.ca_file.is_file():
        raise Refused(f"{settings.ca_file} cannot be read: see ca_file")
    client = ComputeManagementClient(
        credential,
        settings.subscription,
        base_url=settings.url,
        credential_scopes=[settings.scope],
        polling_interval=settings.poll_seconds,
        retry_total=0,
        transport=_transport(),
        connection_timeout=settings.answer_seconds,
        read_timeout=settings.answer_seconds,
        connection_verify=str(settings.ca_file) if settings.ca_file else True,
        permit_redirects=False,
        proxies={"http": settings.proxy, "https": settings.proxy} if settings.proxy else None,
    )
    return client, credential


def _sign_in(settings: Settings) -> AsyncTokenCredential:
    check(settings.ready_token)
    check(settings.client_secret)
    if settings.ready_token is not None:
        return ReadyToken(settings.ready_token)
    if settings.client_secret is not None:
        return ReadSecret(settings, settings.client_secret)
    return ManagedIdentityCredential(client_id=settings.client_id)


@contextmanager
def told(url: str) -> Iterator[None]:
    """Around calls that change nothing: their errors become TryLater and Refused."""
    try:
        yield
    except BROKEN_OFF as error:
        status = status_of(error)
        if status in BUSY:
            raise TryLater(patience(error), f"{url} is busy: {say(error)}") from error
        if status >= 400 or isinstance(error, ClientAuthenticationError):
            raise Refused(f"{url} refuses ({code_of(error) or status or 'no token'}): {say(error)}") from error
        raise TryLater(LATER, f"{url} does not answer: {say(error)}") from error


async def write(call: Awaitable[object], what: str) -> Answer:
    """What came of a write. A conflict did nothing: somebody else wrote since the look, or Azure is at it."""
    try:
        await call
    except BROKEN_OFF as error:
        return _read_refusal(error, what)
    return Accepted()


def _read_refusal(error: BaseException, what: str) -> Answer:
    status = status_of(error)
    if status in (TOO_MANY, UNAVAILABLE):
        return Later(after=patience(error))
    if status in (CONFLICT, MODIFIED) and code_of(error) not in FOR_PEOPLE:
        return Later(after=SOON)
    if status >= 400 and status not in BUSY:
        return Denied(why=f"Azure refuses {what} ({code_of(error) or status}): {say(error)}")
    if status == 0 and isinstance(error, ClientAuthenticationError):
        return Denied(why=f"no token for {what}: {say(error)}")
    return Unsure()


def status_of(error: BaseException) -> int:
    """0: there was no answer, or half of one. An operation that failed later was answered with 200."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    return status or 0


def code_of(error: BaseException) -> str:
    """What Azure calls it; "" when it says nothing."""
    return str(getattr(_innermost(error), "code", None) or "")


def say(error: BaseException) -> str:
    """What it says, in a line."""
    message = getattr(_innermost(error), "message", None) or getattr(error, "message", None) or str(error)
    return shorten(str(message)) or type(error).__name__


def _innermost(error: BaseException) -> object:
    """Outer errors say that an operation failed, and no more."""
    found = error.error if isinstance(error, HttpResponseError) else None
    while found is not None and getattr(found, "details", None):
        found = found.details[0]
    return found


def patience(error: BaseException) -> timedelta:
    """For how long the service wants to be left alone."""
    response = error.response if isinstance(error, HttpResponseError) else None
    headers = getattr(response, "headers", None)
    said = str(headers.get("Retry-After", "")) if headers is not None else ""
    if said.isascii() and said.isdigit() and 0 < len(said) < 6:
        return min(timedelta(seconds=int(said)), LATER_MAX)
    return LATER
