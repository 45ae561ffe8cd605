"""Which requests are served to anybody, which know their callers by themselves, and how the others say no."""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote
from xml.sax.saxutils import escape

import orjson
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from fermata.execution.delivering import CONSENT_PATH
from fermata.server.errors import problem
from fermata.server.identity.cookies import NEXT_LENGTH_MAX
from fermata.server.identity.signatures import FaultCode

SIGN_IN, SIGN_OUT, NO_ACCESS = "/sign-in", "/sign-out", "/sign-in/no-access"
PROVIDER_SAYS_OUT = "/sign-out/provider"  # its word is signed: it needs no session, and no token of a page
OPEN = frozenset({SIGN_IN, f"{SIGN_IN}/start", f"{SIGN_IN}/callback", f"{SIGN_IN}/program", NO_ACCESS})
SAFE_METHODS = frozenset({"GET", "HEAD"})
ARM = ("/subscriptions/", "/providers/", "/v1/rest/", "/v2/rest/", "/topics/")
GCE = "/compute/"
EC2_CODES = frozenset({*FaultCode, "RequestEntityTooLarge"})
EC2_NAMES = {
    HTTPStatus.FORBIDDEN: "UnauthorizedOperation",
    HTTPStatus.TOO_MANY_REQUESTS: "RequestLimitExceeded",
    HTTPStatus.SERVICE_UNAVAILABLE: "Unavailable",
}
METRICS = "/metrics"
CHALLENGE = 'Bearer realm="fermata"'
UNKNOWN = (
    "Nobody is known to call. Programs send Authorization: Bearer with a token (`fermata tokens create`), people sign"
    " in at /sign-in."
)


def is_open(scope: Scope) -> bool:
    """Whether it is served to anybody: what a browser needs to sign in, and nothing of the fleet."""
    path: str = scope["path"]
    if scope["method"] in SAFE_METHODS:
        return path.startswith("/static/") or path in OPEN
    return bool(scope["method"] == "POST" and path == PROVIDER_SAYS_OUT)


def has_own_key(scope: Scope) -> bool:
    """Whether its handler asks for a key that it knows itself: of a subscription that is pulled, or of a webhook."""
    path: str = scope["path"].lower()
    if path.startswith(f"{CONSENT_PATH.lower()}/"):
        return True
    headers: dict[bytes, bytes] = dict(scope["headers"])
    return path.startswith("/topics/") and headers.get(b"authorization", b"").lower().startswith(b"sharedaccesskey ")


def is_metrics(scope: Scope) -> bool:
    """Whether somebody scrapes."""
    path: str = scope["path"].lower()
    return scope["method"] in SAFE_METHODS and (path == METRICS or path.startswith(f"{METRICS}/"))


def is_page(scope: Scope) -> bool:
    """Whether a person goes there by browser: one that can be sent to sign in, and come back."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    path: str = scope["path"]
    if scope["method"] not in SAFE_METHODS or path.startswith(("/api/", "/metrics")) or is_door(path):
        return False
    mode = headers.get(b"sec-fetch-mode")
    if b"hx-request" in headers or (mode is not None and mode != b"navigate"):
        return False
    return b"text/html" in headers.get(b"accept", b"")


def is_form(scope: Scope) -> bool:
    """Whether a browser sends a form by itself, and shows whatever comes back."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    return scope["method"] == "POST" and headers.get(b"sec-fetch-mode") == b"navigate"


def is_door(path: str) -> bool:
    """Whether it is one of those for clients of somebody else's cloud."""
    return path.lower().startswith((*ARM, GCE))


def refuse(scope: Scope, status: HTTPStatus, code: str, sentence: str) -> Response:
    """No, in the shape that whoever asks knows."""
    path: str = scope["path"].lower()
    headers = {"Cache-Control": "no-store"}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = CHALLENGE
    if path.startswith(ARM):
        name = "AuthenticationFailed" if status is HTTPStatus.UNAUTHORIZED else "AuthorizationFailed"
        return _json(status, {"error": {"code": name, "message": sentence}}, headers)
    if path.startswith(GCE):
        name = "UNAUTHENTICATED" if status is HTTPStatus.UNAUTHORIZED else "PERMISSION_DENIED"
        return _json(status, {"error": {"code": int(status), "message": sentence, "status": name}}, headers)
    if path == "/" and scope["method"] == "POST":
        return _ec2(status, code, sentence, headers)
    answer = problem(status, code, sentence)
    answer.headers.update(headers)
    return answer


def send_to_sign_in(scope: Scope) -> Response:
    """A browser goes there and comes back; what a form had sent is not sent again."""
    if is_form(scope):
        return RedirectResponse(
            f"{SIGN_IN}?lost=true", status_code=HTTPStatus.SEE_OTHER, headers={"Cache-Control": "no-store"}
        )
    query = scope["query_string"].decode("latin-1")
    here = quote(scope["path"]) + (f"?{query}" if query else "")
    asked = f"?next={quote(here, safe='/')}" if len(here) <= NEXT_LENGTH_MAX and here != "/" else ""
    return RedirectResponse(
        f"{SIGN_IN}{asked}", status_code=HTTPStatus.SEE_OTHER, headers={"Cache-Control": "no-store"}
    )


def _json(status: int, body: Mapping[str, object], headers: Mapping[str, str]) -> Response:
    return Response(orjson.dumps(body), status_code=status, media_type="application/json", headers=headers)


def _ec2(status: HTTPStatus, code: str, sentence: str, headers: Mapping[str, str]) -> Response:
    """A code of our own is no word of EC2's: its own for the same status stands in its place."""
    name = code if code in EC2_CODES else EC2_NAMES.get(status, "AuthFailure")
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>{name}</Code>'
        f"<Message>{escape(sentence)}</Message></Error></Errors><RequestID>none</RequestID></Response>"
    )
    return Response(text, status_code=status, media_type="text/xml", headers=headers)
