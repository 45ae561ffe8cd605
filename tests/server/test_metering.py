"""What of the processor's time a request takes: of its own threads, however many others are worked on beside it."""

import asyncio
import threading
import time
from functools import partial

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from fermata.server.metering import ALL, Meter, counted_by, run_in_threadpool, uncounted
from fermata.server.web.routing import page_router


def toil(seconds: float) -> None:
    """Takes so much of the processor's time."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_of_requests_beside_each_other_each_is_charged_what_it_took_itself() -> None:
    async def one(seconds: float) -> float:
        meter = Meter()
        with counted_by(meter):
            await run_in_threadpool(toil, seconds)
            await run_in_threadpool(time.sleep, 0.2)
        return meter.seconds()

    async def all_of_them() -> list[float]:
        return await asyncio.gather(one(0.3), one(0.0), one(0.3))

    took = asyncio.run(all_of_them())
    assert took == pytest.approx([0.3, 0.0, 0.3], abs=0.1)


def test_work_that_is_under_way_counts_as_far_as_it_went() -> None:
    meter, enough, seen = Meter(), threading.Event(), threading.Event()

    def work() -> None:
        toil(0.2)
        enough.set()
        seen.wait(10)

    thread = threading.Thread(target=meter.count, args=(work,))
    thread.start()
    enough.wait(10)
    so_far = meter.seconds()
    seen.set()
    thread.join()
    assert 0.2 <= so_far <= meter.seconds()


def test_what_threads_do_beside_counted_work_is_uncounted() -> None:
    before = uncounted()
    for work in (partial(Meter(ALL).count, partial(toil, 0.4)), partial(toil, 0.4)):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    toil(0.4)
    assert 0.4 <= uncounted() - before < 0.6


def test_work_that_fails_and_work_within_work_is_counted_once() -> None:
    meter = Meter()

    def fail() -> None:
        meter.count(lambda: toil(0.2))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        meter.count(fail)
    assert 0.2 <= meter.seconds() < 0.35


def test_what_no_request_asked_for_is_nobodys() -> None:
    assert asyncio.run(run_in_threadpool(lambda: "done")) == "done"


def test_a_handler_of_a_page_is_counted_and_keeps_its_parameters() -> None:
    router, meter = page_router(), Meter()

    @router.get("/toil")
    def get_toil(seconds: float) -> str:
        toil(seconds)
        return f"{seconds}"

    app = FastAPI()
    app.include_router(router)

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        with counted_by(meter):
            await app(scope, receive, send)

    with TestClient(counted) as asking:
        assert asking.get("/toil?seconds=0.2").text == "0.2"
        assert asking.get("/toil").status_code == 422
    assert 0.2 <= meter.seconds() < 0.35
