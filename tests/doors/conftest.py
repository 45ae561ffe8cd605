"""A server with doors over the small scenario, with a plan half-way through, and what a client inside a node has."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from tests.conftest import copy_sqlite
from tests.doors import world
from tests.formats.conftest import Small

from fermata.domain.ids import NodeId
from fermata.formats.scenario import read_scenario
from fermata.server.app import create_app
from fermata.server.callers import NodeAccess, NodeKeys
from fermata.server.limits.bounds import Bounds
from fermata.server.live import Timing
from fermata.server.serving import BackgroundServer, bind_socket, url_of
from fermata.services import inventory
from fermata.store.database import Database

SECRET = b"a secret of thirty-two bytes or more"


@dataclass
class HandClock:
    """Stands still until a test moves it."""

    at: datetime

    def now(self) -> datetime:
        return self.at

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        self.at = instant
        return self.at


@dataclass
class Doors:
    """A server on a loopback port, its store and its clock."""

    url: str
    db: Database
    clock: HandClock
    keys: NodeKeys = field(default_factory=lambda: NodeKeys(SECRET))
    opened: list[httpx.Client] = field(default_factory=list)

    @property
    def place(self) -> str:
        return self.url.removeprefix("http://")

    def proxy(self, node: str) -> str:
        """What the node takes as its http_proxy."""
        return f"http://{node}:{self.keys.key_of(NodeId(node))}@{self.place}"

    def inside(self, node: str, **headers: str) -> httpx.Client:
        """A client inside the node, which knows nothing but the address of its metadata service."""
        mounts = {"http://": httpx.HTTPTransport(proxy=self.proxy(node))}
        client = httpx.Client(mounts=mounts, headers=headers, timeout=20)
        self.opened.append(client)
        return client


@pytest.fixture
def db(tmp_path: Path, sqlite_template: Path) -> Iterator[Database]:
    """The small scenario, imported."""
    path = tmp_path / "doors.sqlite"
    copy_sqlite(sqlite_template, path)
    opened = Database(f"sqlite:///{path}")
    read = read_scenario(Small(tmp_path).folder)
    given = inventory.ImportSet(
        fleet=read.fleet, catalogue=read.catalogue, policy=read.policy, campaign=world.campaign()
    )
    inventory.import_set(opened, given, now=world.NOW, actor="tests")
    yield opened
    opened.close()


@pytest.fixture
def doors(db: Database, bounds: Bounds) -> Iterator[Doors]:
    """Serves it. What changes in the store is seen at once."""
    clock, numbers = HandClock(world.NOW), iter(range(1, 100_000))
    app = create_app(
        db,
        clock,
        new_id=lambda prefix: f"{prefix}_{next(numbers)}",
        timing=Timing(refresh=0.0),
        nodes=NodeAccess(secret=SECRET),
        bounds=bounds,
    )
    listener = bind_socket("127.0.0.1", 0)
    server = BackgroundServer(app, listener)
    server.start()
    made = Doors(url=url_of(listener), db=db, clock=clock)
    yield made
    for client in made.opened:
        client.close()
    server.stop()
