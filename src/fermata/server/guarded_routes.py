"""Every route of the server with what it needs. A route without a need keeps the server from starting, and one that was
reached past the check answers nothing.
"""

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from fermata.authority.needs_words import Need

JUDGED = "fermata.judged"


class RouteUnguarded(Exception):
    """Routes of which nobody said what they need."""


class PastTheCheck(Exception):
    """A handler was reached by a request that was not judged for its route."""


@dataclass(frozen=True, slots=True)
class GuardedRoute:
    """A route, as the framework matches it. `key`: method and path as `NEEDS` has them."""

    key: tuple[str, str]
    pattern: re.Pattern[str]
    need: Need


@dataclass(frozen=True, slots=True)
class GuardedRoutes:
    """All of them. `plain`: those without anything in braces, where no other comes first."""

    by_method: Mapping[str, Sequence[GuardedRoute]]
    plain: Mapping[tuple[str, str], GuardedRoute]

    def find(self, method: str, path: str) -> tuple[GuardedRoute, Mapping[str, str]] | None:
        """The one that the framework will choose, with what stands in its braces; None: there is none."""
        found = self.plain.get((method, path))
        if found is not None:
            return found, {}
        for route in self.by_method.get(method, ()):
            match = route.pattern.match(path)
            if match is not None:
                return route, match.groupdict()
        return None


def guard_routes(app: FastAPI, needs: Mapping[tuple[str, str], Need]) -> GuardedRoutes:
    """Pairs what the application answers with what it needs. Raises RouteUnguarded with all that lack a need."""
    by_method: dict[str, list[GuardedRoute]] = {}
    plain: dict[tuple[str, str], GuardedRoute] = {}
    bare: list[str] = []
    for context in iter_route_contexts(app.router.routes):
        path = context.path or ""
        is_mount = isinstance(context.original_route, Mount)
        for method in ("GET", "HEAD") if is_mount else sorted(context.methods or ()):
            key = ("GET" if method == "HEAD" else method, path)
            need = needs.get(key)
            if need is None:
                bare.append(f"{method} {path}")
                continue
            route = GuardedRoute(key, context.path_regex, need)
            earlier = by_method.setdefault(method, [])
            if "{" not in path and not any(other.pattern.match(path) for other in earlier):
                plain[method, path] = route
            earlier.append(route)
    if bare:
        raise RouteUnguarded(f"nobody said what these need (authority/needs.py): {', '.join(bare)}")
    return GuardedRoutes(by_method, plain)


def seal(app: FastAPI) -> None:
    """From now on plain routes answer only what was judged for them. Those of the framework do by `was_judged`."""
    for place, route in enumerate(app.router.routes):
        if isinstance(route, Route):
            sealed = copy.copy(route)
            sealed.app = _Sealed(route.app, route.path)
            app.router.routes[place] = sealed


def was_judged(request: Request) -> None:
    """Depends of every handler. Raises PastTheCheck."""
    _compare(request.scope, getattr(_chosen(request.scope), "path_format", ""))


def _chosen(scope: Scope) -> Any:
    return scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")


def _compare(scope: Scope, path: str) -> None:
    judged = scope.get(JUDGED)
    if judged is None or judged != path:
        raise PastTheCheck(f"{scope['method']} {path} was judged as {judged}")


class _Sealed:
    def __init__(self, app: ASGIApp, path: str) -> None:
        self.app = app
        self.path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _compare(scope, self.path)
        await self.app(scope, receive, send)
