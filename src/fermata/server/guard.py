"""What stands before every handler: security headers, a limit on bodies, and no change ordered by another site."""

from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fermata.server.errors import BodyTooLarge, problem

BODY_BYTES_MAX = 4 * 1024 * 1024  # 20,000 node names in one approval are 0.7 MB
UPLOAD_BYTES_MAX = 64 * 1024 * 1024  # a fleet of 20,000 nodes as CSV is 6 MB, its plan 2 MB
UPLOADS = frozenset({"/api/v1/imports", "/api/v1/plans"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """ASGI middleware. A change is refused when the browser says that another site ordered it.

    Browsers send Sec-Fetch-Site or Origin with every cross-site change and scripts cannot forge them; command-line
    clients send neither and pass. A Host that is not in `hosts` is refused too, so that no name on another site
    can be pointed at this server (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str]) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        bytes_max = UPLOAD_BYTES_MAX if scope["path"] in UPLOADS else BODY_BYTES_MAX
        refusal = self._refusal(scope["method"], headers, bytes_max)
        if refusal is not None:
            status, code, sentence = refusal
            await problem(status, code, sentence)(scope, receive, with_headers(send))
            return
        await self.app(scope, _limited(receive, bytes_max), with_headers(send))

    def _refusal(self, method: str, headers: Headers, bytes_max: int) -> tuple[int, str, str] | None:
        host = headers.get("host", "")
        if _host_name(host) not in self.hosts:
            sentence = f"This server does not answer to the name {host!r}: use one of {', '.join(sorted(self.hosts))}."
            return HTTPStatus.MISDIRECTED_REQUEST, "HOST_UNKNOWN", sentence
        if method not in SAFE_METHODS and not _same_origin(headers, host):
            return HTTPStatus.FORBIDDEN, "CROSS_SITE", "Another site ordered this change: nothing was changed."
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > bytes_max:
            too_large = BodyTooLarge(bytes_max)
            return too_large.status_code, too_large.code, too_large.detail
        return None


def _same_origin(headers: Headers, host: str) -> bool:
    site = headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == host


def _host_name(host: str) -> str:
    """Without its port; "" for what is no name."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:  # brackets without an address in them
        return ""


def _limited(receive: Receive, bytes_max: int) -> Receive:
    taken = 0

    async def receive_some() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > bytes_max:
            raise BodyTooLarge(bytes_max)
        return message

    return receive_some


def with_headers(send: Send) -> Send:
    """Adds HEADERS to an answer that has none of its own in their place."""

    async def sendwith_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sendwith_headers
