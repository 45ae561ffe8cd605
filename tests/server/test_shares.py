"""A few requests of a caller are worked on at a time. Who took more of the time of the server than its share waits for
others who did, and who is not known gets little of it.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from tests.server.test_metering import toil

from fermata.server.limits.again import Again
from fermata.server.limits.bounds import BOUNDS, Bounds, Rate, waits_for_news
from fermata.server.limits.front import Limits
from fermata.server.limits.refusals import LimitCode, OverLimit
from fermata.server.limits.strangers import Strangers
from fermata.server.limits.turns import FairPlay, Lanes, Shares, Turns, Work
from fermata.server.metering import Meter, run_in_threadpool

SHARE = Rate(burst=2, a_second=0.1)


class Hand:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


class Told(Meter):
    """Of work that took what is said."""

    def __init__(self, took: float = 0.0) -> None:
        super().__init__()
        self.took = took

    def seconds(self) -> float:
        return self.took


def shares(clock: Hand, uncounted: Callable[[], float] = lambda: 0.0, **bounds: Any) -> Shares:
    few = {"share": SHARE, "share_kept_seconds": 60, "callers_max": 2}
    return Shares(replace(BOUNDS, **few, **bounds), clock=clock, uncounted=uncounted)


def take(of: Shares, caller: str, seconds: float) -> None:
    meter = Told(seconds)
    of.begin(caller, meter)
    of.end(caller, meter)


def test_who_takes_more_than_its_share_has_for_a_minute_and_others_have_not() -> None:
    clock = Hand()
    of = shares(clock)
    take(of, "a", 3.0)
    take(of, "b", 1.0)
    assert (of.has_taken_too_much("a"), of.has_taken_too_much("b")) == (True, False)
    clock.at = 59.0
    assert of.has_taken_too_much("a")
    clock.at = 61.0
    assert not of.has_taken_too_much("a")


def test_of_what_no_request_counts_each_that_is_worked_on_is_charged_an_even_part() -> None:
    nobodys = Hand()
    of, first, second = shares(Hand(), nobodys), Told(0.25), Told()
    nobodys.at = 50.0  # nothing was worked on
    of.begin("a", first)
    nobodys.at = 51.0
    of.begin("b", second)
    nobodys.at = 53.0
    assert of.end("a", first) == 2.25
    assert of.end("b", second) == 1.0


def test_while_many_are_worked_on_less_is_too_much_and_what_is_under_way_counts() -> None:
    of = shares(Hand(), share_busy=0.5, share_busy_from=3)
    meters = {caller: Told() for caller in "abc"}
    take(of, "a", 0.6)
    for caller in "bc":
        of.begin(caller, meters[caller])
    meters["b"].took = 0.6
    assert [of.has_taken_too_much(caller) for caller in "abc"] == [False, False, False], "two are not many"
    of.begin("c", Told(0.1))
    assert [of.has_taken_too_much(caller) for caller in "abc"] == [True, True, False]
    of.end("b", meters["b"])
    assert [of.has_taken_too_much(caller) for caller in "abc"] == [False, False, False]


def test_no_more_greedy_callers_are_remembered_than_is_said() -> None:
    of = shares(Hand())
    for caller in "abc":
        take(of, caller, 3.0)
    assert [of.has_taken_too_much(caller) for caller in "abc"] == [False, True, True]


async def _in_order(turns: Turns, callers: str) -> str:
    """Who got a turn after whom, of callers who all wait behind somebody."""
    served = list[str]()

    async def one(caller: str) -> None:
        if await turns.take(caller, 60):
            served.append(caller)
            turns.give_back(0.0)

    assert await turns.take("first", 60)
    waiting = [asyncio.create_task(one(caller)) for caller in callers]
    await asyncio.sleep(0)
    turns.give_back(0.0)
    await asyncio.gather(*waiting)
    return "".join(served)


def test_turns_go_from_caller_to_caller_however_many_requests_one_has() -> None:
    assert asyncio.run(_in_order(Turns(waiting_max=8, rest=0), "aaaabbc")) == "abcabaa"


def test_so_many_requests_of_a_caller_wait_and_no_more() -> None:
    async def some() -> list[bool]:
        turns = Turns(waiting_max=2, rest=0)
        await turns.take("a", 60)
        waiting = [asyncio.create_task(turns.take("a", 60)) for _ in range(2)]
        await asyncio.sleep(0)
        told = [turns.has_room("a"), turns.has_room("b")]
        for task in waiting:
            task.cancel()
        return told

    assert asyncio.run(some()) == [False, True]


def test_a_turn_that_does_not_come_is_not_waited_for_and_keeps_nobody_else() -> None:
    async def some() -> tuple[bool, bool]:
        turns = Turns(waiting_max=2, rest=0)
        await turns.take("a", 60)
        late = await turns.take("b", 0.0)
        turns.give_back(0.0)
        return late, await turns.take("c", 60)

    assert asyncio.run(some()) == (False, True)


def test_who_leaves_while_it_waits_keeps_nobody_else() -> None:
    async def some() -> bool:
        turns = Turns(waiting_max=2, rest=0)
        await turns.take("a", 60)
        left = asyncio.create_task(turns.take("b", 60))
        await asyncio.sleep(0)
        turns.give_back(0.0)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        return await turns.take("c", 60)

    assert asyncio.run(some())


@pytest.mark.parametrize(("others", "is_free"), [(False, True), (True, False)])
def test_the_place_rests_after_a_request_while_somebody_else_is_there_and_not_for_nobody(
    others: bool, is_free: bool
) -> None:
    async def some() -> bool:
        turns = Turns(waiting_max=2, rest=2, others_seconds=10)
        await turns.take("a", 60)
        if others:
            turns.note_others()
        turns.give_back(100.0)
        return await turns.take("a", 0.0)

    assert asyncio.run(some()) is is_free


def test_work_of_the_greedy_waits_for_its_turn_and_is_refused_with_a_reason_when_there_is_none() -> None:
    async def some() -> tuple[OverLimit, bool]:
        of, bounds = shares(Hand()), replace(BOUNDS, share_wait_seconds=0.0)
        fair = FairPlay(of, Lanes(4, more=4), Turns(waiting_max=1, rest=0))
        take(of, "a", 3.0)
        held = Work("a", fair, bounds)
        await held.begin()
        await Work("b", fair, bounds).begin()  # has its share, and waits for nobody
        with pytest.raises(OverLimit) as refused:
            await Work("a", fair, bounds).begin()
        held.end()
        held.end()
        await asyncio.sleep(0)
        after = Work("a", fair, bounds)
        await after.begin()
        return refused.value, True

    refused, is_answered = asyncio.run(some())
    assert (refused.status_code, refused.code) == (429, "TOO_MUCH_WORK")
    assert refused.headers is not None
    assert int(refused.headers["Retry-After"]) >= 1
    assert "ask for less" in refused.detail
    assert is_answered


def test_so_many_requests_of_a_caller_are_worked_on_and_its_others_follow_in_order() -> None:
    async def some() -> tuple[list[int], list[int]]:
        lanes, begun = Lanes(2, more=4), list[int]()

        async def one(number: int) -> None:
            if await lanes.take("a", 60):
                begun.append(number)

        waiting = [asyncio.create_task(one(number)) for number in range(4)]
        await asyncio.sleep(0)
        assert await lanes.take("b", 0.0), "another caller has places of its own"
        first = list(begun)
        lanes.give_back("a")
        lanes.give_back("a")
        await asyncio.gather(*waiting)
        return first, begun

    assert asyncio.run(some()) == ([0, 1], [0, 1, 2, 3])


def test_beside_one_request_of_each_caller_so_many_of_all_are_worked_on_and_who_has_fewest_is_next() -> None:
    async def some() -> tuple[list[str], list[str], list[str]]:
        lanes, begun = Lanes(3, more=2), list[str]()

        async def one(caller: str) -> None:
            if await lanes.take(caller, 60):
                begun.append(caller)

        waiting = [asyncio.create_task(one(caller)) for caller in "aaaabbc"]
        await asyncio.sleep(0)
        at_first = list(begun)
        lanes.give_back("a")
        await asyncio.sleep(0.1)
        then = list(begun[len(at_first) :])
        for caller in "cbb":
            lanes.give_back(caller)
        await asyncio.gather(*waiting)
        return at_first, then, begun

    at_first, then, begun = asyncio.run(some())
    assert at_first == ["a", "a", "a", "b", "c"], "the first of each, and two beside them"
    assert then == ["b"], "it has fewer than who waits longer"
    assert sorted(begun) == sorted("aaaabbc")


def test_a_place_is_left_by_who_goes_away_and_by_who_is_done() -> None:
    async def some() -> tuple[bool, bool]:
        lanes = Lanes(1, more=4)
        await lanes.take("a", 60)
        late = await lanes.take("a", 0.0)
        left = asyncio.create_task(lanes.take("a", 60))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        lanes.give_back("a")
        return late, await lanes.take("a", 0.0)

    assert asyncio.run(some()) == (False, True)


def test_who_waits_for_its_own_requests_too_long_is_told_so() -> None:
    async def some() -> tuple[OverLimit, int]:
        bounds = replace(BOUNDS, share_wait_seconds=0.0)
        fair = FairPlay(shares(Hand()), Lanes(1, more=4), Turns(waiting_max=1, rest=0))
        held = Work("a", fair, bounds)
        await held.begin()
        with pytest.raises(OverLimit) as refused:
            await Work("a", fair, bounds).begin()
        held.end()
        await Work("a", fair, bounds).begin()
        return refused.value, bounds.share_each

    refused, each = asyncio.run(some())
    assert (refused.status_code, refused.code) == (429, "TOO_MANY_AT_ONCE")
    assert f"{each} requests of one caller" in refused.detail
    assert "ask for less at once" in refused.detail


def test_who_became_greedy_while_it_waited_for_its_own_waits_with_the_greedy() -> None:
    async def some() -> bool:
        turns = Turns(waiting_max=1, rest=0)
        fair, bounds = FairPlay(shares(Hand()), Lanes(1, more=4), turns), replace(BOUNDS, share_wait_seconds=60.0)
        first, second = Work("a", fair, bounds, meter=Told(3.0)), Work("a", fair, bounds)
        await first.begin()
        assert await turns.take("another", 0.0)
        waits = asyncio.create_task(second.begin())
        await asyncio.sleep(0)
        first.end()
        await asyncio.sleep(0)
        is_kept = not waits.done()
        turns.give_back(0.0)
        await asyncio.wait_for(waits, 10)
        return is_kept and await fair.lanes.take("a", 0.0)

    assert asyncio.run(some()), "it had no turn before the other, and keeps no place of its own"


def test_an_address_that_was_told_to_slow_down_often_is_told_so_more_slowly() -> None:
    clock = Hand()
    again = Again(replace(BOUNDS, pause_seconds=2.0, pause_times=3.0, pauses=Rate(burst=2, a_second=1)), clock)
    assert [again.count_pause(asked("10.0.0.1", f"guess{number}")) for number in range(3)] == [2.0, 6.0, 6.0]
    assert again.count_pause(asked("10.0.0.2")) == 2.0
    clock.at = 10.0
    assert again.count_pause(asked("10.0.0.1")) == 2.0


@contextmanager
def client(bounds: Bounds) -> Iterator[TestClient]:
    async def echo(request: Request) -> PlainTextResponse:
        await run_in_threadpool(toil, 0.001)
        return PlainTextResponse(str(len(await request.body())))

    app = Starlette(routes=[Route("/{rest:path}", echo, methods=["GET", "POST"])])
    app.add_middleware(Limits, bounds=bounds)
    with TestClient(app) as opened:
        yield opened


def test_the_greedy_are_answered_one_after_the_other_reads_and_bodies_alike() -> None:
    with client(replace(BOUNDS, share=Rate(burst=1e-9, a_second=1e-9), pause_seconds=0)) as asking:
        answers = [asking.get("/a"), asking.get("/a"), asking.post("/a", content=b"[1]"), asking.get("/a")]
    assert [answer.status_code for answer in answers] == [200] * 4


def asked(address: str, token: str = "") -> dict[str, Any]:
    headers = [(b"host", b"a"), (b"authorization", f"Bearer {token}".encode())] if token else []
    return {"client": (address, 5), "headers": headers}


def test_an_address_that_sends_much_of_nobody_is_not_looked_up_but_what_was_right_before_is() -> None:
    clock = Hand()
    strangers = Strangers(replace(BOUNDS, strangers=Rate(burst=2, a_second=1)), clock)
    strangers.note_known(asked("10.0.0.1", "right"))
    for number in range(2):
        strangers.admit(asked("10.0.0.1", f"guess{number}"))
        strangers.note_unknown(asked("10.0.0.1", f"guess{number}"))
    with pytest.raises(OverLimit) as refused:
        strangers.admit(asked("10.0.0.1", "guess"))
    strangers.admit(asked("10.0.0.1", "right"))
    strangers.admit(asked("10.0.0.2", "guess"))
    clock.at = 1.5
    strangers.admit(asked("10.0.0.1", "guess"))
    assert refused.value.code is LimitCode.TOO_MANY_STRANGERS
    assert refused.value.status_code == 429
    assert refused.value.headers is not None
    assert int(refused.value.headers["Retry-After"]) >= 1


def test_what_shows_nothing_was_never_right_before() -> None:
    strangers = Strangers(replace(BOUNDS, strangers=Rate(burst=1, a_second=1)), Hand())
    silent = asked("10.0.0.1")
    empty = {**silent, "headers": [(b"authorization", b""), (b"cookie", b"")]}
    strangers.note_known(silent)
    strangers.note_known(empty)
    strangers.note_unknown(silent)
    for nothing in (silent, empty):
        with pytest.raises(OverLimit):
            strangers.admit(nothing)


def test_who_was_told_to_come_later_is_told_so_again_for_a_second_and_for_that_kind_of_work_alone() -> None:
    clock = Hand()
    again = Again(clock=clock)
    read = {**asked("10.0.0.1", "right"), "method": "GET", "path": "/api/v1/imports"}
    change = {**read, "method": "POST"}
    refused = OverLimit(LimitCode.TOO_MANY_REQUESTS, "ask less often", after=1)
    again.note(read, refused)
    assert again.find(read) is refused
    assert again.find(change) is None
    assert again.find({**read, **asked("10.0.0.1", "other")}) is None
    assert again.find({**read, **asked("10.0.0.2", "right")}) is None
    clock.at = 1.0
    assert again.find(read) is None


def test_who_waits_for_events_takes_none_of_the_servers_time() -> None:
    async def some() -> bool:
        of = shares(Hand())
        is_free = waits_for_news("/topics/t/EventSubscriptions/s:receive")
        fair = FairPlay(of, Lanes(4, more=4), Turns(waiting_max=1, rest=0))
        work = Work("a", fair, BOUNDS, is_free=is_free, meter=Told(100.0))
        await work.begin()
        work.end()
        return of.has_taken_too_much("a")

    assert not asyncio.run(some())
    assert not waits_for_news("/topics/t/eventsubscriptions/s:acknowledge")
