"""Callers that tests bring along: the server takes whoever is named in a request's scope for the one who sent it, as if
its doorkeeper had found that out.
"""

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from fermata.domain.identity import Principal
from fermata.server.identity.doorkeeper import Doorkeeper
from fermata.server.principals import KEY, note_principal

_SAID = "tests.caller"


class _Believer:
    """ASGI middleware, right behind the doorkeeper."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _SAID in scope:
            scope.pop(KEY, None)
            if scope[_SAID] is not None:
                note_principal(scope, scope[_SAID])
        await self.app(scope, receive, send)


def say_caller(scope: Scope, caller: Principal | None) -> None:
    """Who sent the request of that scope. None: nobody is known."""
    scope[_SAID] = caller


def believe(app: FastAPI) -> None:
    """Lets the server believe `say_caller`. Harmless twice; before its first request."""
    if all(each.cls is not _Believer for each in app.user_middleware):
        place = next(n for n, each in enumerate(app.user_middleware) if each.cls is Doorkeeper)
        app.user_middleware.insert(place + 1, Middleware(_Believer))
