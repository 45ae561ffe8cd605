"""No route answers what was not judged: each needs something, and gives nothing to whom nothing was granted."""

import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount, Route
from tests.server.authority.world import person, sign_in, told

from fermata.authority.needs_elsewhere import NEEDS
from fermata.authority.needs_words import Sends, Speaks
from fermata.domain.identity import LOCAL
from fermata.server.guarded_routes import GuardedRoutes, RouteUnguarded, guard_routes

OPEN = {
    "/static",
    "/v1/rest/auth/metadata",
    "/notices/consent/{name}",
    *(f"/topics/{{topic}}/eventsubscriptions/{{name}}:{v}" for v in ("receive", "acknowledge", "reject", "release")),
    "/topics/{topic}/eventsubscriptions/{name}:renewLock",
    *(f"/sign-in{path}" for path in ("", "/start", "/callback", "/program", "/no-access")),
    *("/sign-out", "/session", "/session/back", "/demo/user"),  # about the caller's own session alone
    "/sign-out/provider",  # what the provider of identities signs
    "/api/v1/whoami",
}


def routes_of(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Every method and path that the application answers, as the framework lists them."""
    for context in iter_route_contexts(app.router.routes):
        methods = {"GET"} if isinstance(context.original_route, Mount) else context.methods
        assert context.path is not None
        assert methods
        yield from ((method, context.path) for method in sorted(methods))


def test_every_route_has_a_need_and_every_need_a_route(app: FastAPI) -> None:
    found = {("GET" if method == "HEAD" else method, path) for method, path in routes_of(app)}
    assert found - NEEDS.keys() == set()
    assert NEEDS.keys() - found == set()


def test_a_server_with_a_route_that_nobody_said_the_needs_of_does_not_start(app: FastAPI) -> None:
    app.add_api_route("/api/v1/secrets", lambda: "all of them")
    with pytest.raises(RouteUnguarded, match="GET /api/v1/secrets"):
        guard_routes(app, NEEDS)


def test_a_route_that_is_added_later_answers_nothing(app: FastAPI) -> None:
    app.add_api_route("/api/v1/secrets", lambda: "all of them")
    assert told(sign_in(app, LOCAL).get("/api/v1/secrets")) == (500, "INTERNAL_ERROR")


def test_a_door_that_is_reached_past_the_check_answers_nothing(app: FastAPI) -> None:
    doors = [route for route in app.router.routes if isinstance(route, Route)]
    assert len(doors) > 40
    client = sign_in(app, LOCAL)
    assert client.get("/metrics").status_code == 200
    app.user_middleware[:] = [each for each in app.user_middleware if "Authority" not in str(each.cls)]
    app.middleware_stack = None
    assert told(sign_in(app, LOCAL).get("/metrics")) == (500, "INTERNAL_ERROR")
    assert told(sign_in(app, LOCAL).get("/api/v1/updates")) == (500, "INTERNAL_ERROR")


def test_those_are_the_open_ones() -> None:
    assert {path for (_, path), need in NEEDS.items() if need.is_open} == OPEN


def ask(app: FastAPI, method: str, path: str) -> tuple[int, str | None]:
    """Asks as somebody to whom nothing was granted. What stands in braces is filled with a name."""
    address = re.sub(
        r"\{[^}]*\}", "x/providers/Microsoft.Maintenance/updates" if "rest:path" in path else "alpha", path
    )
    sends = NEEDS["GET" if method == "HEAD" else method, path].sends
    form = {"data": {"campaign": "small"}} if sends is Sends.FORM else {"json": {"actor": "nora"}}
    body = {} if method in ("GET", "HEAD", "DELETE") else form
    return told(sign_in(app, person("nora")).request(method, address, **body))  # type: ignore[arg-type]


def test_whom_nothing_was_granted_sees_nothing_and_changes_nothing(app: FastAPI) -> None:
    answers = {
        (method, path): ask(app, method, path) for method, path in sorted(set(routes_of(app))) if path not in OPEN
    }
    assert len(answers) > 200
    assert {key: answer for key, answer in answers.items() if answer[0] != 403} == {}


def test_whom_nobody_knows_is_asked_to_sign_in(app: FastAPI) -> None:
    client = sign_in(app, None)
    answer = client.get("/api/v1/updates")
    assert told(answer) == (401, "NOT_SIGNED_IN")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert told(client.post("/api/v1/brake/on", json={"actor": "x", "why": "y"})) == (401, "NOT_SIGNED_IN")


def test_the_framework_and_the_check_choose_the_same_route(app: FastAPI) -> None:
    guarded: GuardedRoutes = guard_routes(app, NEEDS)
    for method, path in set(routes_of(app)):
        address = re.sub(r"\{[^}]*\}", "a", path.replace("{of}", "customer"))
        if "rest:path" in path or path == "/static":
            continue
        found = guarded.find(method, address)
        assert found is not None
        assert found[0].key[1] == path, address


def test_where_who_speaks_stands_in_a_body_it_is_judged(app: FastAPI) -> None:
    """By the description of the API: what has a member `actor` names who speaks, and nothing else does."""
    described = app.openapi()
    faults = []
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            need = NEEDS[method.upper(), path]
            expected = Speaks.QUERY if _in_query(operation) else _in_body(described, operation)
            said = need.speaks if need.sends is not Sends.FILES else Speaks.NOBODY
            if said is not expected:
                faults.append((method, path, said, expected))
    assert faults == []


def _in_query(operation: dict[str, object]) -> bool:
    return any(one["name"] == "actor" for one in operation.get("parameters", []))  # type: ignore[attr-defined]


def _in_body(described: dict[str, object], operation: dict[str, object]) -> Speaks:
    content = operation.get("requestBody", {}).get("content", {})  # type: ignore[attr-defined]
    schema = content.get("application/json", {}).get("schema", {})
    members = _members(described, schema)
    for several, speaks in (("orders", Speaks.ORDERS), ("words", Speaks.WORDS)):
        if "actor" in _members(described, members.get(several, {}).get("items", {})):
            return speaks
    return Speaks.BODY if "actor" in members else Speaks.NOBODY


def _members(described: dict[str, object], schema: dict[str, object]) -> dict[str, dict[str, dict[str, object]]]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    known = described["components"]["schemas"]  # type: ignore[index]
    return known[name].get("properties", {}) if name else {}
