"""What one caller may take of the server, and what everybody else keeps: counted, refused with a reason, forgiven."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from fermata.domain.identity import LOCAL
from fermata.server import errors
from fermata.server.limits.bounds import BOUNDS, Bounds, Kind, Rate, Room, kind_of
from fermata.server.limits.front import Limits
from fermata.server.limits.rates import Buckets, caller_of, network_of
from fermata.server.limits.refusals import STATUSES, LimitCode
from fermata.server.limits.rooms import Rooms
from fermata.server.limits.shape import is_too_deep

PAGE = Path(__file__).parents[2] / "docs" / "limits.md"
QUICK = replace(BOUNDS, pause_seconds=0.0)


async def _echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


class _Named:
    """Stands for whoever finds out who calls."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = dict(scope.get("headers", [])).get(b"x-name")
        if name is not None:
            named = SimpleNamespace(name=name.decode())
            scope["fermata.principal"] = LOCAL if named.name == LOCAL.name else named
        await self.app(scope, receive, send)


@contextmanager
def client(bounds: Bounds) -> Iterator[TestClient]:
    app = FastAPI(routes=[Route("/{rest:path}", _echo, methods=["GET", "POST"])], openapi_url=None)
    errors.install(app)
    app.add_middleware(Limits, bounds=bounds)
    app.add_middleware(_Named)
    with TestClient(app) as opened:
        yield opened


def with_rate(kind: Kind, burst: float) -> Bounds:
    return replace(QUICK, rates={**BOUNDS.rates, kind: Rate(burst=burst, a_second=0.1)})


def test_a_caller_that_asks_too_often_is_told_when_to_come_again_and_no_other_caller_is() -> None:
    with client(with_rate(Kind.READ, 3)) as asking:
        statuses = [asking.get("/x", headers={"x-name": "one"}).status_code for _ in range(4)]
        other = asking.get("/x", headers={"x-name": "two"})
        refused = asking.get("/x", headers={"x-name": "one"})
    assert statuses == [200, 200, 200, 429]
    assert other.status_code == 200
    told = refused.json()
    assert (told["status"], told["code"]) == (429, "TOO_MANY_REQUESTS")
    assert "ask less often" in told["detail"]
    assert refused.headers["content-type"] == "application/problem+json"
    assert 1 <= int(refused.headers["retry-after"]) <= 10


def test_whoever_uses_the_machine_itself_is_not_counted_and_packs_nothing_either() -> None:
    with client(with_rate(Kind.READ, 1)) as asking:
        local = {"x-name": LOCAL.name}
        assert [asking.get("/x", headers=local).status_code for _ in range(3)] == [200, 200, 200]
        assert asking.post("/x", content=b"x", headers={**local, "Content-Encoding": "gzip"}).status_code == 415


def test_reads_changes_and_costly_work_are_counted_apart() -> None:
    with client(with_rate(Kind.READ, 1)) as asking:
        assert [asking.get("/x").status_code for _ in range(2)] == [200, 429]
        assert asking.post("/x").status_code == 200
        assert asking.get("/fleet").status_code == 200


def test_a_caller_that_sends_too_much_is_refused_though_each_body_is_small() -> None:
    with client(replace(QUICK, body=Rate(burst=1000, a_second=1))) as asking:
        answers = [asking.post("/x", content=b"a" * 400) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].json()["code"] == "TOO_MUCH_SENT"
    assert int(answers[-1].headers["retry-after"]) > 100


def test_work_is_paid_for_after_it_was_done() -> None:
    with client(replace(QUICK, work=Rate(burst=1e-9, a_second=1e-9))) as asking:
        answers = [asking.get("/fleet"), asking.get("/fleet"), asking.get("/x")]
    assert [answer.status_code for answer in answers] == [200, 429, 200]
    assert answers[1].json()["code"] == "TOO_MUCH_WORK"


def test_places_are_given_back_whatever_became_of_the_request() -> None:
    with client(replace(QUICK, rooms={**BOUNDS.rooms, Kind.CHANGE: Room(each=1, all=1)})) as asking:
        assert [asking.post("/x", content=b"[" * 100).status_code for _ in range(3)] == [400, 400, 400]
        assert asking.post("/x").status_code == 200


def test_a_room_has_places_for_each_and_for_all() -> None:
    rooms = Rooms(Room(each=2, all=3))
    for caller in ("a", "a", "b"):
        assert rooms.has_place(caller)
        assert not rooms.is_full
        rooms.take(caller)
    assert not rooms.has_place("a")
    assert rooms.has_place("b")
    assert rooms.is_full
    rooms.give_back("a")
    assert rooms.has_place("a")
    assert not rooms.is_full


def test_a_bucket_fills_with_time_and_never_over_its_brim() -> None:
    buckets = Buckets(Rate(burst=2, a_second=0.5), callers_max=10)
    assert [buckets.take("a", 0.0) for _ in range(3)] == [None, None, 2.0]
    assert buckets.take("a", 1.0) == 1.0
    assert buckets.take("a", 2.0) is None
    assert [buckets.take("a", 1000.0) for _ in range(3)] == [None, None, 2.0]


def test_what_was_charged_is_paid_for_by_time() -> None:
    buckets = Buckets(Rate(burst=2, a_second=0.5), callers_max=10)
    buckets.charge("a", 0.0, 5)
    assert buckets.owes("a", 0.0) == 6.0
    assert buckets.owes("a", 6.5) is None
    assert buckets.owes("b", 0.0) is None


def test_no_more_callers_are_remembered_than_is_said() -> None:
    buckets = Buckets(Rate(burst=1, a_second=0.001), callers_max=2)
    assert [buckets.take(caller, 0.0) for caller in "aba"] == [None, None, 1000.0]
    assert buckets.take("c", 0.0) is None  # b, who was quiet longest, is forgotten
    assert buckets.take("a", 0.0) == 1000.0
    assert buckets.take("b", 0.0) is None


@pytest.mark.parametrize(
    ("scope", "caller"),
    [
        ({"client": ("10.0.0.1", 5)}, "address 10.0.0.1"),
        ({"client": ("2001:db8:1:2:3::4", 5)}, "address 2001:db8:1:2::"),
        ({"client": ("2001:db8::4", 5)}, "address 2001:db8:0:0::"),
        ({"client": ("::ffff:10.0.0.1", 5)}, "address ::ffff:10.0.0.1"),
        ({"client": None}, "address unknown"),
        ({"client": ("10.0.0.1", 5), "fermata.principal": SimpleNamespace(name="anna")}, "name anna"),
    ],
)
def test_a_caller_is_its_name_or_its_address_and_a_network_of_ipv6_is_one(scope: dict[str, Any], caller: str) -> None:
    assert caller_of(scope) == caller


def test_addresses_of_one_ipv6_network_are_one_caller() -> None:
    assert network_of("2001:db8:0:7::1") == network_of("2001:DB8:0:7:ffff::2%eth0") != network_of("2001:db8:0:8::1")


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/", Kind.READ),
        ("GET", "/board/stream", Kind.STREAM),
        ("GET", "/api/v1/pending", Kind.COSTLY),
        ("POST", "/api/v1/pending", Kind.CHANGE),
        ("POST", "/api/v1/query", Kind.COSTLY),
        ("POST", "/v2/rest/query", Kind.COSTLY),
        ("POST", "/Providers/Microsoft.ResourceGraph/Resources", Kind.COSTLY),
        ("POST", "/api/v1/campaigns/january/run/replan", Kind.COSTLY),
        ("POST", "/api/v1/approvals", Kind.CHANGE),
        ("DELETE", "/api/v1/freezes/f", Kind.CHANGE),
    ],
)
def test_what_a_request_asks_for_is_told_by_method_and_path(method: str, path: str, kind: Kind) -> None:
    assert kind_of(method, path) is kind


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, gzip", "x"])
def test_a_body_that_would_have_to_be_unpacked_is_refused(encoding: str) -> None:
    with client(QUICK) as asking:
        refused = asking.post("/x", content=b"a", headers={"Content-Encoding": encoding})
        taken = asking.post("/x", content=b"a", headers={"Content-Encoding": "identity"})
    assert (refused.status_code, refused.json()["code"]) == (415, "BODY_ENCODED")
    assert taken.status_code == 200


@pytest.mark.parametrize(
    ("body", "media_type", "code"),
    [
        (b"[" * 33 + b"]" * 33, "application/json", "BODY_TOO_DEEP"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "", "BODY_TOO_DEEP"),
        (b"[" * 100_000, "application/json", "BODY_TOO_DEEP"),
        (b"[]" * 99_000 + b"[" * 33, "application/json", "BODY_TOO_DEEP"),
        (b"[" * 4_000_000, "application/json", "BODY_TOO_MANY_VALUES"),
        (b"[" + b"{}," * 100_000 + b"1]", "application/json", "BODY_TOO_MANY_VALUES"),
        (b"[" + b"1," * 400_001 + b"1]", "application/json", "BODY_TOO_MANY_VALUES"),
        (b"a=1&" * 1000 + b"a=1", "application/x-www-form-urlencoded", "BODY_TOO_MANY_VALUES"),
    ],
    ids=["33 lists", "40 objects", "never closed", "many closed before", "millions", "objects", "values", "fields"],
)
def test_a_body_of_a_shape_that_nobody_needs_is_refused_before_it_is_read(
    body: bytes, media_type: str, code: str
) -> None:
    with client(QUICK) as asking:
        answer = asking.post("/x", content=body, headers={"Content-Type": media_type} if media_type else {})
    assert answer.json()["code"] == code
    assert answer.status_code == STATUSES[LimitCode(code)]


@pytest.mark.parametrize(
    "value",
    [
        [{"a": "[[[["}] * 5000,
        {"a": '"[' * 100, "b": "\\" * 7 + "[" * 50},
        json.loads("[" * 32 + "]" * 32),
    ],
    ids=["many", "brackets in strings", "just deep enough"],
)
def test_a_body_that_is_wide_and_not_deep_is_read(value: object) -> None:
    assert not is_too_deep(json.dumps(value).encode(), BOUNDS.depth_max)


def test_every_code_of_a_limit_and_every_number_stands_on_the_page() -> None:
    text = PAGE.read_text()
    assert [code for code in LimitCode if f"`{code}`" not in text] == []
    for kind in Kind:
        rate, room = BOUNDS.rates[kind], BOUNDS.rooms[kind]
        row = f"| {rate.burst:g} | {rate.a_second:g} | {room.each} | {room.all} |"
        assert row in text, (kind, row)
