"""A store of two customers, a server over it, and callers who see a part of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from itertools import count
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.server.signed_in import believe, say_caller
from tests.server.unbounded import FREE
from tests.tenants import world

from fermata.domain.identity import Principal
from fermata.server.app import create_app
from fermata.store.copies import list_tables
from fermata.store.database import Database

_NOT_NOW = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})

list_tables()  # statements of tests name tables that no module here has needed yet


class StandingClock:
    def now(self) -> datetime:
        return world.NOW

    def wait_until(self, instant: datetime, stop: object) -> datetime:
        return instant


class SignedIn:
    """What stands before the server, as far as it says who calls. None: nobody is known."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.caller: Principal | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.caller is not None:
            say_caller(scope, self.caller)
        await self.app(scope, receive, send)


@dataclass
class Served:
    """`door` says who calls next."""

    db: Database
    app: FastAPI
    door: SignedIn
    client: TestClient

    def call(self, caller: Principal | None) -> TestClient:
        self.door.caller = caller
        return self.client


@pytest.fixture
def db(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Filled, on the database that the test is run on, with a brake of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    opened = Database(store_url)
    world.build(opened, tmp_path / "scenario")
    yield opened
    opened.close()


@pytest.fixture
def served(db: Database) -> Iterator[Served]:
    yield from serve(db)


def refuse_no_answer(answer: httpx.Response) -> None:
    """An answer that says "not now" proves nothing of what anybody may see."""
    if answer.status_code in _NOT_NOW:
        answer.read()
        raise AssertionError(f"{answer.request.method} {answer.request.url} was put off: {answer.text}")


def serve(db: Database) -> Iterator[Served]:
    numbers = count(1)
    app = create_app(db, StandingClock(), new_id=lambda prefix: f"{prefix}_new{next(numbers)}", bounds=FREE)
    believe(app)
    door, here = SignedIn(app), ("127.0.0.1", 50000)
    with TestClient(door, base_url="http://127.0.0.1", raise_server_exceptions=False, client=here) as client:
        client.event_hooks = {"response": [refuse_no_answer]}
        yield Served(db=db, app=app, door=door, client=client)
