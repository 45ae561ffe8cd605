"""The front of the doors for clients of Azure's resource manager: reads paths, whatever their case, and says no in
that world's words. What stands behind each kind of resource is in the modules beside it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import Request, Response

from fermata.domain.ids import NodeId
from fermata.server.callers import BadToken
from fermata.server.context import Context, context_of
from fermata.server.doors.routing import AnyCaseRoute
from fermata.server.metering import run_in_threadpool
from fermata.services.errors import Refusal
from fermata.services.event_approvals import sentences
from fermata.services.maintenance import Picture
from fermata.services.places import INFRASTRUCTURE, Group, Place, Places

MAINTENANCE = "microsoft.maintenance"
METHODS = ("GET", "PUT", "PATCH", "POST", "DELETE")
API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")
BEARER = "bearer "


class ArmError(Exception):
    """Ends in `{"error": {"code", "message"}}`."""

    def __init__(
        self, status: int, code: str, message: str, *, details: Sequence[Mapping[str, Any]] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details = details


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmPath:
    """A path in its parts, names as they were written. `provider` and `pairs` are of the resource that is extended, or
    of the resource itself; `kind`, in lower case, `name` and `action` of what is asked about it.
    """

    subscription: str
    group: str
    provider: str
    pairs: tuple[tuple[str, str], ...]
    kind: str
    name: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCall:
    """One request, read. `base` is the address that it came to, without a slash at the end. `caller` is the node whose
    token it carries, None for any other caller.
    """

    given: Context
    picture: Picture
    places: Places
    path: ArmPath
    options: Mapping[str, str]
    body: bytes
    base: str
    caller: NodeId | None = None

    @property
    def groups(self) -> tuple[Group, ...]:
        """The group that the path names, or all of its subscription. Raises ArmError when there is none."""
        found = self.places.of_subscription(self.path.subscription)
        if not found:
            raise ArmError(
                HTTPStatus.NOT_FOUND, "SubscriptionNotFound", f"There is no subscription {self.path.subscription}."
            )
        if not self.path.group:
            return found
        named = tuple(group for group in found if group.supercomputer.lower() == self.path.group.lower())
        if not named:
            raise ArmError(
                HTTPStatus.NOT_FOUND, "ResourceGroupNotFound", f"There is no resource group {self.path.group}."
            )
        return named

    @property
    def place(self) -> Place:
        """The resource that the path is about. Raises ArmError when there is none, or it is not the caller's."""
        found = self.find_place(self.path.provider, self.path.pairs)
        if found is None:
            last = "/".join("/".join(pair) for pair in self.path.pairs)
            raise ArmError(
                HTTPStatus.NOT_FOUND, "ResourceNotFound", f"There is no {self.path.provider}/{last} in this group."
            )
        if self.caller is not None and found.names != (self.caller,):
            raise ArmError(
                HTTPStatus.FORBIDDEN, "AuthorizationFailed", f"The token of node {self.caller} is good for that node."
            )
        return found

    def find_place(self, provider: str, pairs: Sequence[tuple[str, str]]) -> Place | None:
        """A part of the path's group."""
        return self.places.find(self.groups[0], provider, pairs)

    def refuse_node(self, what: str) -> None:
        """For what no agent inside a node may do. Raises ArmError when the caller is one."""
        if self.caller is not None:
            sentence = f"The token of node {self.caller} does not {what}: a person decides that."
            raise ArmError(HTTPStatus.FORBIDDEN, "AuthorizationFailed", sentence)

    def json(self) -> Mapping[str, Any]:
        """The body, an object. Raises ArmError."""
        try:
            found = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise bad_request(f"The body is no JSON: {error}.") from error
        if not isinstance(found, dict):
            raise bad_request("The body must be a JSON object.")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmReply:
    """An answer; `body` None has none."""

    body: Any
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[ArmCall], ArmReply]
Handlers = Mapping[str, Handler]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Who answers, by method, for all of a kind, for one by name, and for what is done with one, by action."""

    all: Handlers = field(default_factory=dict)
    one: Handlers = field(default_factory=dict)
    actions: Mapping[str, Handlers] = field(default_factory=dict)


def bad_request(message: str) -> ArmError:
    """400."""
    return ArmError(HTTPStatus.BAD_REQUEST, "BadRequest", message)


def not_found(what: str) -> ArmError:
    """404."""
    return ArmError(HTTPStatus.NOT_FOUND, "ResourceNotFound", f"There is no {what}.")


def listed(found: Sequence[Any]) -> ArmReply:
    """A whole list in one page."""
    return ArmReply(body={"value": list(found), "nextLink": None})


def read_path(path: str) -> ArmPath | None:
    """The path's parts, None when it has another form."""
    parts = [part for part in path.split("/") if part]
    subscription, rest = (parts[1], parts[2:]) if len(parts) > 1 else ("", [])
    group = ""
    if len(rest) > 1 and rest[0].lower() == "resourcegroups":
        group, rest = rest[1], rest[2:]
    chain: list[tuple[str, list[str]]] = []
    for part in rest:
        if part.lower() == "providers":
            chain.append(("", []))
        elif not chain:
            return None
        elif not chain[-1][0]:
            chain[-1] = (part, [])
        else:
            chain[-1][1].append(part)
    return _read_chain(subscription, group, chain)


def _read_chain(subscription: str, group: str, chain: Sequence[tuple[str, list[str]]]) -> ArmPath | None:
    """The last provider's first part is the kind, but of its own tree a supercomputer's last one."""
    if not chain or not chain[-1][1]:
        return None
    provider, tail = chain[-1]
    if provider.lower() == MAINTENANCE and len(chain) <= 2 and len(tail) <= 3:
        extended, parts = chain[0] if len(chain) == 2 else ("", [])
        if len(parts) % 2:
            return None
        kind, name, action = (*tail, "", "")[:3]
        return _path(subscription, group, extended, parts, (kind, name, action))
    if provider.lower() == INFRASTRUCTURE and len(chain) == 1:
        parent, own = (tail[:-1], tail[-1:]) if len(tail) % 2 else (tail[:-2], tail[-2:])
        kind, name, action = (*own, "", "")[:3]
        return _path(subscription, group, provider, parent, (kind, name, action))
    return None


def _path(subscription: str, group: str, provider: str, parts: Sequence[str], asked: tuple[str, str, str]) -> ArmPath:
    pairs = tuple(zip(parts[::2], parts[1::2], strict=True))
    return ArmPath(
        subscription=subscription,
        group=group,
        provider=provider,
        pairs=pairs,
        kind=asked[0].lower(),
        name=asked[1],
        action=asked[2],
    )


def arm_route(pattern: str, kinds: Callable[[ArmPath], Kind | None]) -> tuple[AnyCaseRoute, ...]:
    """The routes, one for each method, of paths below a subscription that end in `pattern`."""

    async def answer(request: Request) -> Response:
        given = context_of(request)
        body = await request.body()
        try:
            reply = await run_in_threadpool(_answer, given, request, body, kinds)
        except Refusal as refusal:
            details = [{"code": why.code.value, "message": why.sentence} for why in refusal.reasons]
            reply = _error(ArmError(HTTPStatus.CONFLICT, "Conflict", sentences(refusal.reasons), details=details))
        except ArmError as error:
            reply = _error(error)
        content = b"" if reply.body is None else orjson.dumps(reply.body)
        headers = {"Cache-Control": "no-store", **reply.headers}
        return Response(content, status_code=reply.status, media_type="application/json", headers=headers)

    routes = []
    for method in METHODS:
        route = AnyCaseRoute("/subscriptions/{rest:path}", answer, method=method)
        route.path_regex = re.compile(f"^/subscriptions/(?P<rest>.*{re.escape(pattern)}.*)$", re.IGNORECASE)
        routes.append(route)
    return tuple(routes)


def _answer(given: Context, request: Request, body: bytes, kinds: Callable[[ArmPath], Kind | None]) -> ArmReply:
    options = {name.lower(): value for name, value in request.query_params.items()}
    version = options.get("api-version", "")
    if not API_VERSION.fullmatch(version):
        code = "InvalidApiVersionParameter" if version else "MissingApiVersionParameter"
        raise ArmError(HTTPStatus.BAD_REQUEST, code, "api-version must be in the query, such as 2023-04-01.")
    caller = _caller(given, request.headers.get("authorization", ""))
    path = read_path(request.url.path)
    kind = kinds(path) if path is not None else None
    if path is None or kind is None:
        raise ArmError(HTTPStatus.NOT_FOUND, "InvalidResourceType", f"There is nothing at {request.url.path}.")
    handlers = kind.actions.get(path.action.lower(), {}) if path.action else kind.one if path.name else kind.all
    if not handlers:
        raise ArmError(HTTPStatus.NOT_FOUND, "InvalidResourceType", f"There is nothing at {request.url.path}.")
    handler = handlers.get(request.method)
    if handler is None:
        allowed = ", ".join(sorted(handlers))
        raise ArmError(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", f"Here is answered: {allowed}.")
    if caller is not None and not path.pairs:
        raise ArmError(
            HTTPStatus.FORBIDDEN, "AuthorizationFailed", f"The token of node {caller} is good for that node."
        )
    picture = given.maintenance.look()
    places = Places(fleet=picture.fleet)
    return handler(
        ArmCall(
            given=given,
            picture=picture,
            places=places,
            path=path,
            options=options,
            body=body,
            base=str(request.base_url).rstrip("/"),
            caller=caller,
        )
    )


def _caller(given: Context, authorization: str) -> NodeId | None:
    """Of all tokens, only those that we gave to nodes say anything here; people and programs are known before."""
    if not authorization.lower().startswith(BEARER):
        return None
    try:
        claims = given.node_keys.read(authorization[len(BEARER) :].strip(), given.now())
    except BadToken as bad:
        raise ArmError(HTTPStatus.UNAUTHORIZED, "InvalidAuthenticationToken", f"{bad}.") from bad
    return None if claims is None else NodeId(str(claims["sub"]))


def _error(error: ArmError) -> ArmReply:
    told: dict[str, Any] = {"code": error.code, "message": str(error)}
    if error.details is not None:
        told["details"] = list(error.details)
    return ArmReply(body={"error": told}, status=error.status)
