"""The cookies of a browser: its session, an attempt to sign in, and whom a demo shows.

With TLS their names begin with __Host-, so that no other name of the domain can set or read them. They are
SameSite=Lax: the provider sends the browser back by a link from another site, and Strict would have the first page
after sign-in come without the session. Lax goes with no request of another site that changes anything, and
those carry a token besides.
"""

import base64
import hmac
from urllib.parse import urlsplit

import orjson
from starlette.responses import Response
from starlette.types import Scope

from fermata.server.identity.provider import Attempt

SESSION, ATTEMPT, DEMO = "fermata", "fermata-in", "fermata-demo"
ATTEMPT_SECONDS = 600
ATTEMPT_LENGTH_MAX = 3_000
NEXT_LENGTH_MAX = 1_000
LENGTH_MAX = 8_192
_CSRF = b"fermata csrf"


def name_of(kind: str, scope: Scope) -> str:
    """As the browser holds it."""
    return f"__Host-{kind}" if scope.get("scheme") == "https" else kind


def read(kind: str, scope: Scope) -> str:
    """Its value, "" without it. A name that stands twice is nobody's."""
    sent = [value for name, value in scope["headers"] if name == b"cookie"]
    text = b"; ".join(sent).decode("latin-1")
    if len(text) > LENGTH_MAX:
        return ""
    wanted = name_of(kind, scope)
    found = [value for name, _, value in (part.strip().partition("=") for part in text.split(";")) if name == wanted]
    return found[0] if len(found) == 1 else ""


def write(answer: Response, kind: str, value: str, scope: Scope, *, seconds: int | None = None) -> None:
    """Sets it, until the browser is closed or for so many seconds."""
    answer.set_cookie(
        name_of(kind, scope),
        value,
        max_age=seconds,
        path="/",
        secure=scope.get("scheme") == "https",
        httponly=True,
        samesite="lax",
    )


def forget(answer: Response, kind: str, scope: Scope) -> None:
    """Takes it away."""
    write(answer, kind, "", scope, seconds=0)


def csrf_of(secret: str) -> str:
    """The token that goes with a session: whoever knows it knows the page, which no other site can read."""
    return hmac.new(secret.encode(), _CSRF, "sha256").hexdigest()


def is_csrf(secret: str, shown: str) -> bool:
    """Whether that is it."""
    return hmac.compare_digest(csrf_of(secret).encode(), shown.encode())


def attempt_kind(state: str) -> str:
    """Each attempt has a cookie of its own, so that two tabs can sign in side by side. Whatever stands in the state,
    it is a name that a cookie may have.
    """
    return f"{ATTEMPT}-{''.join(c for c in state if c.isascii() and c.isalnum())[:12]}"


def pack(attempt: Attempt, back: str) -> str:
    """What the browser keeps of an attempt. It is bound to this browser, which may know all of it."""
    said = [attempt.state, attempt.nonce, attempt.verifier, attempt.redirect_uri, back]
    return base64.urlsafe_b64encode(orjson.dumps(said)).decode().rstrip("=")


def unpack(value: str) -> tuple[Attempt, str] | None:
    """An attempt, and where it goes on; None for anything else."""
    if not 0 < len(value) <= ATTEMPT_LENGTH_MAX:
        return None
    try:
        said = orjson.loads(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)))
    except ValueError:
        return None
    if not isinstance(said, list) or len(said) != 5 or not all(isinstance(part, str) for part in said):
        return None
    state, nonce, verifier, redirect_uri, back = said
    return Attempt(state=state, nonce=nonce, verifier=verifier, redirect_uri=redirect_uri), safe_next(back)


def safe_next(asked: str) -> str:
    """Where a browser goes on, on this server: a path, else the board. Nothing that any browser reads as another's."""
    is_plain = asked.isascii() and asked.isprintable() and len(asked) <= NEXT_LENGTH_MAX
    if not is_plain or not asked.startswith("/") or asked[1:2] in ("/", "\\") or "\\" in asked:
        return "/"
    parts = urlsplit(asked)
    return "/" if parts.scheme or parts.netloc or parts.path.startswith("/sign-") else asked
