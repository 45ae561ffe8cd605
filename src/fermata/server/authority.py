"""The check that every request passes before a handler sees it: may who sent it do this, with all that it names?

It is the only one. Whatever needs nobody's leave says so in `authority/needs.py`; all else is refused.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from fermata.authority.actions import Action
from fermata.authority.engine import Engine
from fermata.authority.needs_words import Asked, Kind, Named, Need, Sends, Speaks, Unnamed
from fermata.authority.places import WHOLE_FLEET, of_node
from fermata.domain.identity import Principal, PrincipalKind
from fermata.domain.ids import NodeId
from fermata.server.callers import BadToken
from fermata.server.context import Context
from fermata.server.errors import UNPROCESSABLE, ActorNotCaller, answer_to, problem
from fermata.server.guarded_routes import JUDGED, GuardedRoutes
from fermata.server.metering import run_in_threadpool
from fermata.server.principals import find_principal, note_principal
from fermata.server.reading import HELD
from fermata.server.said import (
    Body,
    NotTheCaller,
    Unreadable,
    name_in_body,
    name_in_query,
    parse,
    parse_query,
)
from fermata.server.whole_body import read_all, replay
from fermata.services.board import StoreUnavailable
from fermata.services.emergencies import add_emergencies
from fermata.services.speaking import speaking_as
from fermata.services.whereabouts import find_places

REFUSED_SHOWN = 20
NOT_SIGNED_IN = "Nobody is known to have sent this: sign in first."
LASTING = frozenset({Action.SUBSCRIBE})  # gives access that goes on by itself: a role that ends is none for that
THE_FLEET = (Named(Kind.WHOLE_FLEET),)


class Refused(Exception):
    """It may not be done. `extra`: members of the problem document."""

    def __init__(self, status: int, code: str, sentence: str, **extra: Any) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.sentence = sentence
        self.extra = extra


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the handler is given: the caller with all that it may now, and the request as it was judged."""

    principal: Principal
    scope: Scope
    body: bytes | None


class Authority:
    """ASGI middleware. `routes`: what each of them needs."""

    def __init__(self, app: ASGIApp, *, context: Context, routes: GuardedRoutes, engine: Engine) -> None:
        self.app = app
        self.context = context
        self.routes = routes
        self.engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self.routes.find(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if found is None:  # nothing answers there: the framework says so
            await self.app(scope, receive, send)
            return
        route, path = found
        scope[JUDGED] = route.key[1]
        if route.need.is_open:
            await self.app(scope, receive, send)
            return
        try:
            judged = await self._judge(route.need, path, scope, receive)
        except Refused as refused:
            answer = problem(refused.status, refused.code, refused.sentence, **refused.extra)
            if refused.status == HTTPStatus.UNAUTHORIZED:
                answer.headers["WWW-Authenticate"] = "Bearer"
            await answer(scope, receive, send)
        except StoreUnavailable as error:
            await answer_to(error)(scope, receive, send)
        else:
            if judged is not None:
                given = receive if judged.body is None else replay(judged.body, receive)
                with _speaking(judged.principal):
                    await self.app(judged.scope, given, send)

    async def _judge(self, need: Need, path: Mapping[str, str], scope: Scope, receive: Receive) -> Judged | None:
        """None when the other end has left. Raises Refused."""
        principal = find_principal(scope)
        if principal is None:
            raise Refused(HTTPStatus.UNAUTHORIZED, "NOT_SIGNED_IN", NOT_SIGNED_IN)
        if principal.kind is PrincipalKind.LOCAL:
            self._require(principal, dict.fromkeys(need.actions, THE_FLEET))
            return Judged(principal=principal, scope=scope, body=None)
        if principal.kind is PrincipalKind.NODE:
            self._require_node(principal, need, scope)
            return Judged(principal=principal, scope=scope, body=None)
        if principal.emergencies:
            principal = await run_in_threadpool(add_emergencies, self.context.db, principal, self.context.now())
            note_principal(scope, principal)
        if not any(self.engine.may_somewhere(principal, action) for action in need.actions):
            raise self._refuse(principal, need.actions[0], ())
        raw = await read_all(receive) if need.sends in (Sends.JSON, Sends.FORM) else b""
        if raw is None:
            return None
        if need.is_plain:
            return self._judge_all(principal, need, path, (scope, raw))
        return await run_in_threadpool(self._judge_all, principal, need, path, (scope, raw))

    def _judge_all(
        self, principal: Principal, need: Need, path: Mapping[str, str], sent: tuple[Scope, bytes]
    ) -> Judged:
        scope, raw = sent
        headers = Headers(scope=scope)
        try:
            body = parse(need.sends, raw, headers.get("content-type", "")) if raw else None
            asked = Asked(
                path=path,
                query=parse_query(scope["query_string"]),
                body=body.held if body is not None else None,
            )
        except Unreadable as bad:
            raise Refused(UNPROCESSABLE, "BAD_INPUT", f"Nothing was changed: {bad}.") from bad
        self._require(principal, _needed(need, asked))
        try:
            return _as_judged(principal, need, scope, body)
        except NotTheCaller as other:
            told = ActorNotCaller(other.named, principal.name)
            raise Refused(told.status_code, told.code, told.detail) from other

    def _require(self, principal: Principal, needed: Mapping[Action, Iterable[Named]]) -> None:
        """Raises Refused with all that it may not."""
        for action, names in needed.items():
            by = replace(principal, grants=principal.own) if action in LASTING else principal
            wanted = frozenset(names)
            where = {named: frozenset({WHOLE_FLEET}) for named in wanted if named.kind is Kind.WHOLE_FLEET}
            known = wanted - where.keys() - {Named(Kind.SOMEWHERE)}
            if known:
                where |= find_places(self.context.db, known)
            if Named(Kind.SOMEWHERE) in wanted and not self.engine.may_somewhere(by, action):
                raise self._refuse(principal, action, ())
            forbidden = {
                place for place in frozenset().union(*where.values()) if not self.engine.may(by, action, place)
            }
            refused = sorted(named for named, places in where.items() if places & forbidden)
            if refused or not wanted:
                raise self._refuse(principal, action, refused)

    def _require_node(self, principal: Principal, need: Need, scope: Scope) -> None:
        """A client inside a node comes with the token of its node: by nothing else the door holds it to that node."""
        own = of_node(NodeId(principal.name))
        is_let = need.of_nodes and self.engine.may(principal, Action.START_OWN_EVENTS, own)
        if not (is_let and self._has_token_of(principal.name, scope)):
            raise self._refuse(principal, need.actions[0], ())

    def _has_token_of(self, node: str, scope: Scope) -> bool:
        scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        try:
            claims = self.context.node_keys.read(token.strip(), self.context.now())
        except BadToken:
            return False
        return scheme.lower() == "bearer" and claims is not None and claims.get("sub") == node

    def _refuse(self, principal: Principal, action: Action, names: Iterable[Named]) -> Refused:
        told = [str(named) for named in names]
        what = action.value.replace("_", " ")
        where = f" of {', '.join(told[:REFUSED_SHOWN])}" if told else ""
        roles = [role.value for role in self.engine.roles_of(action)]
        who = f"the role {' or '.join(roles)} there" if roles else "nobody may but whom it was laid down for"
        if action in LASTING and principal.lent:
            who += ", and not by breaking the glass, since it would last longer"
        return Refused(
            HTTPStatus.FORBIDDEN,
            "NOT_ALLOWED",
            f"{principal.name} may not {what}{where}: that takes {who}. Nothing was changed.",
            action=action.value,
            refused=told[:REFUSED_SHOWN],
            total=len(told),
            roles=roles,
        )


def _needed(need: Need, asked: Asked) -> Mapping[Action, Iterable[Named]]:
    """What names nothing that is known is a matter of the whole fleet: its handler says what is wrong with it."""
    try:
        return {need.action_of(asked): tuple(need.names(asked))}
    except Unnamed:
        return dict.fromkeys(need.actions, THE_FLEET)


def _as_judged(principal: Principal, need: Need, scope: Scope, body: Body | None) -> Judged:
    """The request as it was read, with the caller as who speaks. Raises NotTheCaller."""
    if need.speaks is Speaks.QUERY:
        scope = {**scope, "query_string": name_in_query(scope["query_string"], principal.name)}
    if body is None:
        return Judged(principal=principal, scope=scope, body=b"" if need.sends in (Sends.JSON, Sends.FORM) else None)
    named = name_in_body(body, need.speaks, principal.name)
    handed = named.to_bytes()
    scope = {**scope, "headers": list(scope["headers"])}
    if named.sends is Sends.JSON:
        scope[HELD] = named.held
    MutableHeaders(scope=scope)["content-length"] = str(len(handed))
    return Judged(principal=principal, scope=scope, body=handed)


def _speaking(principal: Principal) -> AbstractContextManager[None]:
    is_named = principal.kind in (PrincipalKind.PERSON, PrincipalKind.SERVICE)
    return speaking_as(principal.name) if is_named else nullcontext()
