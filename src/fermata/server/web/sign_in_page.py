"""Signing in and out by browser, and whom the demo shows. What is open to anybody here tells nothing of the fleet."""

import logging
import secrets
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Form, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from fermata.domain.access import grants_of_user
from fermata.domain.sessions import Origin
from fermata.server.context import Context, Given
from fermata.server.errors import problem
from fermata.server.identity import cookies, paths
from fermata.server.identity.keyring import TOKEN_LENGTH_MAX, NotProven, ProviderSilent
from fermata.server.identity.provider import Attempt, Provider
from fermata.server.identity.viewer import viewer
from fermata.server.metering import run_in_threadpool
from fermata.server.web import render
from fermata.server.web.routing import page_router
from fermata.services import identity

TEXT_MAX = 2_048
FRESH = {"Cache-Control": "no-store"}
DEMO_SECONDS = 30 * 24 * 3600
SILENT = "The provider of identities does not answer, so nobody can sign in now. Whoever is signed in stays so."
LOGOUT_UNPROVEN = "The keys of the provider cannot be read, so its word proves nothing now: send it again."
_log = logging.getLogger("fermata.identity")

router = page_router()

Text = Annotated[str, Query(max_length=TEXT_MAX)]


@router.get(paths.SIGN_IN)
def sign_in_page(given: Given, next: Text = "/", lost: bool = False) -> Response:  # noqa: A002 - its name in the address
    """Where people are sent that nobody knows."""
    if given.identity.provider is None:
        return RedirectResponse("/", HTTPStatus.SEE_OTHER, headers=FRESH)
    said = "You were signed out before that was sent: nothing was changed." if lost else ""
    return _outside(
        "Sign in", said=said, start=f"{paths.SIGN_IN}/start?next={quote(cookies.safe_next(next), safe='/')}"
    )


@router.get(f"{paths.SIGN_IN}/start")
def start(given: Given, request: Request, next: Text = "/") -> Response:  # noqa: A002
    """Sends the browser to the provider."""
    provider = given.identity.provider
    if provider is None:
        return RedirectResponse("/", HTTPStatus.SEE_OTHER, headers=FRESH)
    attempt = Attempt(
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
        redirect_uri=_own(request, f"{paths.SIGN_IN}/callback"),
    )
    try:
        address = provider.ask(attempt)
    except ProviderSilent as silent:
        _log.warning("identity.provider_silent why=%s", silent)
        return _outside("Sign in", said=SILENT, status=HTTPStatus.SERVICE_UNAVAILABLE)
    answer = RedirectResponse(address, HTTPStatus.SEE_OTHER, headers=FRESH)
    kept = cookies.pack(attempt, cookies.safe_next(next))
    kind = cookies.attempt_kind(attempt.state)
    cookies.write(answer, kind, kept, request.scope, seconds=cookies.ATTEMPT_SECONDS)
    return answer


@router.get(f"{paths.SIGN_IN}/callback")
async def callback(
    given: Given, request: Request, code: Text = "", state: Text = "", error: Text = "", iss: Text | None = None
) -> Response:
    """The browser is back from the provider."""
    kind = cookies.attempt_kind(state)
    kept = cookies.unpack(cookies.read(kind, request.scope))
    is_kept = kept is not None and secrets.compare_digest(kept[0].state.encode(), state.encode())
    if given.identity.provider is None or kept is None or not is_kept:
        return _outside("Not signed in", said="This answer belongs to no sign-in of this browser.", again=True)
    attempt, back = kept
    if error or not code:
        answer = _outside("Not signed in", said=f"The provider says no{_reason(error)}.", again=True)
    else:
        arrived = await run_in_threadpool(_arrive, given, given.identity.provider, attempt, code, iss)
        answer = arrived if isinstance(arrived, Response) else _signed_in(request, arrived, back)
        old = cookies.read(cookies.SESSION, request.scope)
        if old and isinstance(arrived, str):
            await run_in_threadpool(identity.end_session, given.db, old, now=given.identity.now())
    cookies.forget(answer, kind, request.scope)
    return answer


@router.get(paths.NO_ACCESS)
def no_access(given: Given) -> Response:
    """For somebody who is known, and was granted nothing."""
    return _outside(
        "No access",
        said="You are signed in at the provider, but nothing was granted to you here.",
        more="Whoever keeps access.yaml can grant you, or one of your groups, a role.",
        again=given.identity.provider is not None,
        status=HTTPStatus.FORBIDDEN,
    )


@router.get(f"{paths.SIGN_IN}/program")
def program(given: Given) -> Response:
    """What a command line has to know to sign somebody in: all of it is public."""
    provider = given.identity.provider
    if provider is None or not provider.terms.audience:
        why = "nobody signs in here" if provider is None else "access.yaml names no audience for tokens"
        return problem(HTTPStatus.NOT_FOUND, "SIGN_IN_IMPOSSIBLE", f"No program can sign somebody in: {why}.")
    try:
        places = provider.endpoints()
    except ProviderSilent as silent:
        _log.warning("identity.provider_silent why=%s", silent)
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "PROVIDER_SILENT", SILENT)
    if not places.device:
        sentence = "The provider has no device authorization: use a token (`fermata tokens create`)."
        return problem(HTTPStatus.NOT_FOUND, "SIGN_IN_IMPOSSIBLE", sentence)
    terms = provider.terms
    body = {
        "client_id": terms.cli_client_id or terms.client_id,
        "audience": terms.audience,
        "scope": " ".join((*terms.scopes, "offline_access")),
        "device_authorization_endpoint": places.device,
        "token_endpoint": places.token,
    }
    return JSONResponse(body, headers=FRESH)


@router.post(paths.SIGN_OUT)
def sign_out(given: Given, request: Request) -> Response:
    """Ends the session here. At the provider people sign out themselves: a form may not lead to another site."""
    secret = cookies.read(cookies.SESSION, request.scope)
    if secret:
        identity.end_session(given.db, secret, now=given.identity.now())
    provider, leave = given.identity.provider, ""
    if provider is not None:
        try:
            leave = provider.leave(_own(request, paths.SIGN_IN))
        except ProviderSilent as silent:
            _log.warning("identity.provider_silent why=%s", silent)
    answer = _outside("Signed out", said="You are signed out.", again=True, leave=leave, status=HTTPStatus.OK)
    cookies.forget(answer, cookies.SESSION, request.scope)
    return answer


@router.post(paths.PROVIDER_SAYS_OUT)
def provider_says_out(
    given: Given, logout_token: Annotated[str, Form(max_length=TOKEN_LENGTH_MAX, min_length=1)]
) -> Response:
    """The provider's own word that somebody left (OpenID Connect Back-Channel Logout 1.0)."""
    provider, now = given.identity.provider, given.identity.now()
    if provider is None:
        return _no_logout("nobody signs in here")
    try:
        origin, token, until = provider.who_left(logout_token, now=now)
    except NotProven as why:
        _log.warning("identity.logout_refused why=%s", why)
        return _no_logout(str(why))
    except ProviderSilent as silent:
        _log.warning("identity.provider_silent why=%s", silent)
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "PROVIDER_SILENT", LOGOUT_UNPROVEN)
    ended = identity.end_sessions_of(given.db, origin, token, until=until, now=now)
    if ended is None:
        return _no_logout("it was taken before (jti)")
    _log.info("identity.signed_out_by_provider sessions=%d", ended)
    return Response(status_code=HTTPStatus.OK, headers=FRESH)


def _no_logout(why: str) -> Response:
    """As section 2.8 has it."""
    said = {"error": "invalid_request", "error_description": why}
    return JSONResponse(said, status_code=HTTPStatus.BAD_REQUEST, headers=FRESH)


@router.get("/session")
def session() -> Response:
    """For scripts of pages: who is signed in, and what goes along with changes."""
    found = viewer()
    return JSONResponse({"name": found.name, "csrf": found.csrf}, headers=FRESH)


@router.get("/session/back")
def back_again() -> Response:
    """Where a sign-in beside an open page ends."""
    said = f"You are signed in as {viewer().name}."
    return _outside("Signed in", said=said, more="Close this tab: the page that you came from goes on.")


@router.post("/demo/user")
def choose_user(given: Given, request: Request, user: Annotated[str, Form(max_length=40)]) -> Response:
    """Whom the demo shows from now on."""
    referer = urlsplit(request.headers.get("referer", ""))
    back = cookies.safe_next(f"{referer.path}?{referer.query}" if referer.query else referer.path)
    answer = RedirectResponse(back, HTTPStatus.SEE_OTHER, headers=FRESH)
    if given.identity.is_demo:
        known = user if any(each.key == user for each in given.identity.users()) else ""
        cookies.write(answer, cookies.DEMO, known, request.scope, seconds=DEMO_SECONDS if known else 0)
    return answer


def _arrive(given: Context, provider: Provider, attempt: Attempt, code: str, issuer: str | None) -> str | Response:
    """The secret of a new session, or the page that says why there is none."""
    now = given.identity.now()
    try:
        person = provider.redeem(attempt, code, issuer, now=now)
    except NotProven as why:
        _log.warning("identity.sign_in_refused why=%s", why)
        return _outside("Not signed in", said=f"The provider’s answer proves nothing: {why}.", again=True)
    except ProviderSilent as silent:
        _log.warning("identity.provider_silent why=%s", silent)
        return _outside("Not signed in", said=SILENT, again=True, status=HTTPStatus.SERVICE_UNAVAILABLE)
    if not grants_of_user(provider.book, person.name, person.groups):
        _log.info("identity.without_grant name=%s", person.name)
        return RedirectResponse(paths.NO_ACCESS, HTTPStatus.SEE_OTHER, headers=FRESH)
    origin = Origin(issuer=provider.terms.issuer, subject=person.subject, sid=person.sid)
    terms = provider.book.session
    return identity.begin_session(given.db, person.name, person.groups, terms=terms, now=now, origin=origin)


def _signed_in(request: Request, secret: str, back: str) -> Response:
    answer = RedirectResponse(back, HTTPStatus.SEE_OTHER, headers=FRESH)
    cookies.write(answer, cookies.SESSION, secret, request.scope)
    return answer


def _outside(  # noqa: PLR0913 - what such a page may say
    title: str,
    *,
    said: str = "",
    more: str = "",
    start: str = "",
    again: bool = False,
    leave: str = "",
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    """A page without anything of the fleet on it."""
    status = HTTPStatus.BAD_REQUEST if title == "Not signed in" and status is HTTPStatus.OK else status
    html = render.render_page("outside.html", title=title, said=said, more=more, start=start, again=again, leave=leave)
    return HTMLResponse(html, status_code=status, headers=FRESH)


def _own(request: Request, path: str) -> str:
    """An address of this server, by the name that it was called: one that it answers to, or nobody gets here."""
    return f"{request.scope['scheme']}://{request.headers['host']}{path}"


def _reason(error: str) -> str:
    known = error if error and error.replace("_", "").isalnum() and len(error) <= 60 else ""
    return f" ({known})" if known else ""
