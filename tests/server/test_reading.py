"""Bodies of JSON are read once and strictly, and 3.0 is an integer there."""

import json

import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, ConfigDict

from fermata.authority.needs_words import Sends
from fermata.server.reading import HELD, LARGE_BYTES, JsonRoute, read_json
from fermata.server.said import Body


@pytest.mark.parametrize(
    ("sent", "held"),
    [
        (b"3.0", 3),
        (b'\xef\xbb\xbf{"a": [1.0, 1.5, {"b": 2e1}]}', {"a": [1, 1.5, {"b": 20}]}),
        (b'{"version": "1.0"}', {"version": "1.0"}),
        (b"1e300", int(1e300)),
        (b"-0.0", 0),
    ],
)
def test_whole_numbers_are_integers_however_they_are_written(sent: bytes, held: object) -> None:
    found = read_json(sent)
    assert found == held
    assert orjson.dumps(found) == orjson.dumps(held) if found != int(1e300) else type(found) is int


@pytest.mark.parametrize("sent", [b"NaN", b'"\\ud800"', b"{", b"\xff", b'{"a": 1,}'])
def test_what_is_no_json_is_refused_as_the_framework_expects(sent: bytes) -> None:
    with pytest.raises(json.JSONDecodeError):
        read_json(sent)


def test_a_body_with_numbers_beyond_64_bits_is_handed_on() -> None:
    body = Body(Sends.JSON, {"since": int(1e300)})
    assert json.loads(body.to_bytes()) == body.held


class Sent(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    since: int
    rest: str = ""


def client(judged: object = None) -> TestClient:
    app = FastAPI()
    app.router.route_class = JsonRoute

    @app.post("/")
    def answer(sent: Sent) -> int:
        return sent.since

    async def before(scope, receive, send):  # type: ignore[no-untyped-def]
        if judged is not None:
            scope[HELD] = judged
        await app(scope, receive, send)

    return TestClient(before)


@pytest.mark.parametrize("size", [0, LARGE_BYTES * 2], ids=["on the loop", "beside it"])
def test_a_route_reads_so_whatever_the_size(size: int) -> None:
    body = json.dumps({"since": 7.0, "rest": "x" * size}).encode()
    with client() as asking:
        assert asking.post("/", content=body, headers={"content-type": "application/json"}).json() == 7
        refused = asking.post("/", content=body[:-1], headers={"content-type": "application/json"})
    assert refused.status_code == 422


def test_what_was_judged_is_what_is_answered_not_the_bytes_read_once_more() -> None:
    with client({"since": 1}) as asking:
        assert asking.post("/", json={"since": 2}).json() == 1
