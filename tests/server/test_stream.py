"""The event stream over a real connection: resuming after a break, and viewers that take nothing."""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pytest
from starlette.types import Message, Scope
from tests.server.conftest import QUICK, HandClock, make_app

from fermata.server.live import Timing
from fermata.store.database import Database

ASSUMED_PATIENCE = 10.0


@contextmanager
def stream(url: str, **headers: str) -> Iterator[Iterator[str]]:
    with httpx.stream("GET", f"{url}/board/stream", headers=headers, timeout=ASSUMED_PATIENCE) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        yield answer.iter_lines()


def until_tick(lines: Iterator[str]) -> tuple[list[str], str]:
    """Names of the events up to and with the next tick, and the tick's id."""
    names: list[str] = []
    for line in lines:
        if line.startswith("event: "):
            names.append(line.removeprefix("event: "))
        if line.startswith("id: "):
            return names, line.removeprefix("id: ")
    raise AssertionError("the stream ended")


def test_reconnecting_viewer_is_sent_what_it_missed_and_nothing_else(
    url: str, clock: HandClock, in_progress: object
) -> None:
    httpx.get(url)
    with stream(url) as lines:
        names, seen = until_tick(lines)
        assert {"headline", "today", "calendar", "tail", "charts", "day-2026-01-07"} <= set(names)
    with stream(url, **{"Last-Event-ID": seen}) as lines:
        assert until_tick(lines) == (["tick"], seen)
    clock.at += timedelta(minutes=1)
    time.sleep(2 * QUICK.refresh)  # a younger snapshot is shown again
    httpx.get(url)
    with stream(url, **{"Last-Event-ID": seen}) as lines:
        names, later = until_tick(lines)
        assert later != seen
        assert "clock" in names
        assert "day-2026-01-03" not in names


def test_page_and_its_stream_join_without_a_gap_or_a_repeat(url: str, in_progress: object) -> None:
    html = httpx.get(url).text
    path = html.split('sse-connect="', 1)[1].split('"', 1)[0]
    with httpx.stream("GET", url + path, timeout=ASSUMED_PATIENCE) as answer:
        assert until_tick(answer.iter_lines())[0] == ["tick"]


def test_viewer_that_takes_nothing_is_dropped(
    db: Database, clock: HandClock, in_progress: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="fermata.board")
    app = make_app(db, clock, Timing(refresh=0.05, slow=0.1))
    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/board/stream",
        "raw_path": b"/board/stream",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
        "app": app,
    }

    async def receive() -> Message:
        await asyncio.sleep(3600)
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.sleep(3600)

    async def story() -> None:
        await asyncio.wait_for(app(scope, receive, send), 5)
        assert app.state.context.live.viewers == 0

    asyncio.run(story())
    assert "board.viewer_dropped" in caplog.text
