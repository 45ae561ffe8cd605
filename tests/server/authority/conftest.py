"""A store and a server for what people may do."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from fastapi import FastAPI
from tests.conftest import copy_sqlite
from tests.constraints import world as w
from tests.server.authority import world
from tests.server.conftest import HandClock

from fermata.server.app import create_app
from fermata.server.callers import NodeAccess
from fermata.server.live import Timing
from fermata.store.database import Database

NODES = NodeAccess(secret=b"a secret of tests, long enough by far")


@pytest.fixture
def db(tmp_path: Path, sqlite_template: Path) -> Iterator[Database]:
    path = tmp_path / "authority.sqlite"
    copy_sqlite(sqlite_template, path)
    opened = Database(f"sqlite:///{path}")
    world.fill(opened)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> HandClock:
    return HandClock(w.NOW)


@pytest.fixture
def app(db: Database, clock: HandClock) -> FastAPI:
    numbers = count(1)
    return create_app(
        db, clock, new_id=lambda prefix: f"{prefix}_{next(numbers)}", timing=Timing(refresh=0.0), nodes=NODES
    )
