"""Operators outside are asked by the clock while a server runs; what goes wrong is logged once, and tried again."""

import logging
import time
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from fastapi import FastAPI
from tests.constraints import world as w
from tests.server.conftest import HandClock
from tests.services.orders import prepare
from tests.services.sources import Ids
from tests.services.test_outside_asks import Reader, asks

from fermata.domain.ids import NodeId, SourceId
from fermata.domain.sources import AskKind, Operators, SourceBook
from fermata.server.app import create_app
from fermata.server.asks_loop import Looks
from fermata.server.serving import BackgroundServer, bind_socket
from fermata.services.inventory_sources import Sources
from fermata.services.work_orders import list_orders
from fermata.store.database import Database

EAST = SourceId("east")


@dataclass
class World:
    app: FastAPI
    reader: Reader
    clock: HandClock
    db: Database
    looks: Looks = field(default_factory=Looks)

    def look(self, minutes: float = 1) -> list[str]:
        self.clock.at += timedelta(minutes=minutes)
        self.looks.look(self.app.state.context)
        return [order.cause for order in list_orders(self.db)]


@pytest.fixture
def world(db: Database) -> World:
    prepare(db)
    reach = Operators(
        id=EAST,
        url="http://127.0.0.1:9",
        asks=frozenset(AskKind),
        every=timedelta(minutes=2),
        requestor="x",
    )
    reader, clock = Reader(), HandClock(w.NOW)
    sources = Sources(book=SourceBook(requests={EAST: reach}), askers={EAST: reader})
    return World(create_app(db, clock, new_id=Ids(), sources=sources), reader, clock, db)


def test_source_is_asked_as_often_as_its_settings_say(world: World) -> None:
    assert world.look() == []
    world.reader.found = [asks("a")]
    assert world.look(1) == []
    assert world.look(1) == ["NodeMaintenance x/a"]


def test_what_is_left_out_is_logged_once_and_again_when_it_changes(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.reader.found = [asks("a", NodeId("alpha-n0x"))]
    for _ in range(3):
        world.look(2)
    assert [record.message for record in caplog.records] == ["requests.left_out"]
    world.reader.found = None
    for _ in range(3):
        world.look(2)
    assert [record.message for record in caplog.records][1:] == ["requests.source_failed"]
    world.reader.found = [asks("a")]
    assert world.look(2) == ["NodeMaintenance x/a"]


def test_error_that_nobody_thought_of_ends_no_loop(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.reader.found = [7]  # type: ignore[list-item]
    world.look(2)
    assert [(record.message, record.levelno) for record in caplog.records] == [("requests.look_failed", logging.ERROR)]
    world.reader.found = [asks("a")]
    assert world.look(2) == ["NodeMaintenance x/a"]


def test_server_asks_by_itself(world: World) -> None:
    world.reader.found = [asks("a")]
    server = BackgroundServer(world.app, bind_socket("127.0.0.1", 0))
    server.start()
    try:
        for _ in range(400):
            if list_orders(world.db):
                break
            time.sleep(0.05)
    finally:
        server.stop()
    assert [order.cause for order in list_orders(world.db)] == ["NodeMaintenance x/a"]
