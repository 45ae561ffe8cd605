"""Work that takes long: one at a time, lines that tell how far it is, an end when nobody waits any more."""

import asyncio
import gc
import threading
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import orjson
import pytest
from fastapi import Response
from fastapi.responses import StreamingResponse

from fermata.domain.reasons import Code, reason
from fermata.server.errors import ServerBusy
from fermata.server.long_work import LongWork, Progress
from fermata.services.errors import Refusal

API = "/api/v1"
SECONDS_MAX = 20


def raw_lines(answer: Response, each: Callable[[], object] = lambda: None) -> list[bytes]:
    """All lines; `each` is called after every one of them."""

    async def read() -> list[bytes]:
        assert isinstance(answer, StreamingResponse)
        lines = []
        async for line in answer.body_iterator:
            assert isinstance(line, bytes)
            lines.append(line)
            each()
        return lines

    return asyncio.run(read())


def lines_of(answer: Response) -> list[Any]:
    return [orjson.loads(line) for line in raw_lines(answer) if line.strip()]


def refuse(tell: Progress, *, told: bool) -> None:
    if told:
        tell({"stage": "first"})
    raise Refusal(reason(Code.PLAN_UNKNOWN, plan="plan_none", nearest=""))


def test_progress_comes_first_and_the_answer_last() -> None:
    def work(tell: Progress) -> int:
        tell({"done": 1})
        tell({"done": 2})
        return 7

    assert lines_of(LongWork().stream(int, work)) == [
        {"progress": {"done": 1}},
        {"progress": {"done": 2}},
        {"answer": 7},
    ]


def test_what_fails_before_anything_is_told_is_raised() -> None:
    work = LongWork()
    for _ in range(2):  # the place is free again
        with pytest.raises(Refusal):
            work.stream(int, lambda tell: refuse(tell, told=False))


def test_what_fails_later_is_the_last_line_as_a_problem_document() -> None:
    *_, last = lines_of(LongWork().stream(int, lambda tell: refuse(tell, told=True)))
    assert (last["problem"]["code"], last["problem"]["status"]) == ("PLAN_UNKNOWN", 404)


def test_a_bug_after_progress_is_told_without_its_insides(caplog: pytest.LogCaptureFixture) -> None:
    def work(tell: Progress) -> int:
        tell({"done": 1})
        return 1 // 0

    *_, last = lines_of(LongWork().stream(int, work))
    assert (last["problem"]["code"], "division" in str(last)) == ("INTERNAL_ERROR", False)
    assert "ZeroDivisionError" in caplog.text


def test_empty_lines_keep_the_link_alive() -> None:
    enough = threading.Event()
    answer = LongWork(beat_seconds=0.01).stream(int, lambda _tell: enough.wait(SECONDS_MAX) and 7)
    seen = raw_lines(answer, enough.set)
    assert seen[0] == b"\n"
    assert seen[-1] == b'{"answer":7}\n'


def waits(begun: threading.Event, go_on: threading.Event, ended: list[str]) -> Callable[[Progress], int]:
    def work(tell: Callable[[Mapping[str, Any]], None]) -> int:
        tell({"done": 0})
        begun.set()
        assert go_on.wait(SECONDS_MAX)
        try:
            tell({"done": 1})
        except BaseException:
            ended.append("left")
            raise
        return 7

    return work


def test_work_ends_at_the_next_thing_told_when_nobody_waits() -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), list[str]()
    place = LongWork()

    async def leave() -> None:
        answer = place.stream(int, waits(begun, go_on, ended))
        assert isinstance(answer, StreamingResponse)
        await anext(aiter(answer.body_iterator))

    asyncio.run(leave())
    gc.collect()
    go_on.set()
    for _ in range(SECONDS_MAX * 100):
        try:
            place.stream(int, lambda _tell: 1)
        except ServerBusy:
            threading.Event().wait(0.01)
        else:
            break
    assert ended == ["left"]


def test_second_work_is_refused_while_the_first_is_on() -> None:
    begun, go_on = threading.Event(), threading.Event()
    place = LongWork()
    place.stream(int, waits(begun, go_on, []))
    with pytest.raises(ServerBusy):
        place.stream(int, lambda _tell: 1)
    go_on.set()


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/campaigns/none/plan", {}, 404, "CAMPAIGN_UNKNOWN"),
        ("/campaigns/none/plan", {"seed": -1, "confidence": 2, "mood": "good"}, 422, "BAD_INPUT"),
        ("/campaigns/none/plan", {"as_of": "2026-01-03T10:00:00"}, 422, "BAD_INPUT"),
        ("/plans/plan_none/simulation", {}, 404, "PLAN_UNKNOWN"),
        ("/plans/plan_none/simulation", {"runs": 0}, 422, "BAD_INPUT"),
        ("/standing", {}, 409, "NOT_IMPORTED"),
        ("/standing", {"days": 0, "previous": [{"cluster": "a"}]}, 422, "BAD_INPUT"),
    ],
)
def test_refusals_are_problem_documents(client: httpx.Client, path: str, body: object, status: int, code: str) -> None:
    answer = client.post(API + path, json=body)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_workload_map_is_removed_by_whoever_says_so(client: httpx.Client) -> None:
    nobody = client.delete(f"{API}/workloads")
    assert (nobody.status_code, nobody.json()["faults"][0]["where"]) == (422, "query.actor")
    nothing = client.delete(f"{API}/workloads", params={"actor": "operator-3"})
    assert (nothing.status_code, nothing.json()) == (200, {"removed": False})
