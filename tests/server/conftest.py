"""A server over a small campaign in progress: on a loopback port of its own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from tests.conftest import copy_sqlite
from tests.server import world

from fermata.server.app import create_app
from fermata.server.demo import DemoInfo
from fermata.server.live import Timing
from fermata.server.serving import BackgroundServer, bind_socket, url_of
from fermata.store.database import Database

QUICK = Timing(refresh=0.05)


@dataclass
class HandClock:
    """Stands still until a test moves it."""

    at: datetime

    def now(self) -> datetime:
        return self.at

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        self.at = instant
        return self.at


@pytest.fixture
def db(tmp_path: Path, sqlite_template: Path) -> Iterator[Database]:
    """An empty store."""
    path = tmp_path / "board.sqlite"
    copy_sqlite(sqlite_template, path)
    opened = Database(f"sqlite:///{path}")
    yield opened
    opened.close()


@pytest.fixture
def clock() -> HandClock:
    return HandClock(world.NOW)


@pytest.fixture
def app(db: Database, clock: HandClock) -> FastAPI:
    return make_app(db, clock)


def make_app(db: Database, clock: HandClock, timing: Timing = QUICK) -> FastAPI:
    """An application, for one server: each has an event loop of its own."""
    numbers = count(1)
    demo = DemoInfo(speed=3000)
    return create_app(db, clock, new_id=lambda prefix: f"{prefix}_{next(numbers)}", demo=demo, timing=timing)


@pytest.fixture
def in_progress(db: Database) -> world.Size:
    """Saves a campaign that is half-way through."""
    size = world.Size()
    world.save_campaign(db, size)
    world.save_run(db, size, world.save_plan(db, size))
    return size


@pytest.fixture
def url(app: FastAPI) -> Iterator[str]:
    """Where the application answers on a real socket."""
    listener = bind_socket("127.0.0.1", 0)
    server = BackgroundServer(app, listener)
    server.start()
    yield url_of(listener)
    server.stop()


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=20) as opened:
        yield opened
