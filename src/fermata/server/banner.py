"""Every page says while somebody has taken a role in an emergency. What stands in front of the pages finds out."""

from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime

from starlette.types import ASGIApp, Receive, Scope, Send

from fermata.server.metering import run_in_threadpool
from fermata.server.principals import find_principal
from fermata.services.board import Database, StoreUnavailable
from fermata.services.emergencies import BreakGlass, list_broken, shown_to

NO_PAGES = ("/api/", "/static/")
_BROKEN: ContextVar[tuple[BreakGlass, ...]] = ContextVar("fermata_broken_glass", default=())


def find_broken() -> tuple[BreakGlass, ...]:
    """Those that last, for the page that is being made."""
    return _BROKEN.get()


class Banner:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, db: Database, now: Callable[[], datetime]) -> None:
        self.app = app
        self.db = db
        self.now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(NO_PAGES):
            await self.app(scope, receive, send)
            return
        try:
            found = await run_in_threadpool(list_broken, self.db, now=self.now())
        except StoreUnavailable:  # the page will say so
            found = ()
        caller = find_principal(scope)
        found = shown_to(found, caller) if caller is not None else ()
        token = _BROKEN.set(found)
        try:
            await self.app(scope, receive, send)
        finally:
            _BROKEN.reset(token)
