"""How long it takes to ask whether somebody may: a new question, one asked before, and what a request pays for it."""

import asyncio
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import orjson
from starlette.types import Message, Receive, Scope, Send

from fermata.authority.actions import Action
from fermata.authority.engine import shipped
from fermata.authority.needs_elsewhere import NEEDS
from fermata.authority.places import Place, PlaceLevel
from fermata.domain.fleet import Cluster, Fleet, Node, NodeState, Role
from fermata.domain.identity import LOCAL, Grant, GrantLevel, Principal, PrincipalKind
from fermata.domain.identity import Role as Granted
from fermata.domain.ids import ClusterId, CustomerId, NodeId, RackId, SupercomputerId
from fermata.server.app import create_app
from fermata.server.authority import Authority
from fermata.server.guarded_routes import guard_routes
from fermata.server.principals import note_principal
from fermata.services.inventory import ImportSet, import_set
from fermata.store.database import Database, migrate

PLACE = Place(PlaceLevel.CLUSTER, "c0", "lumen", "sc-1")
NODES = 5_000
NOW = datetime(2026, 1, 2, tzinfo=UTC)
PIA = Principal(
    name="pia",
    kind=PrincipalKind.PERSON,
    grants=frozenset(
        {
            Grant(role=Granted.OPERATOR, level=GrantLevel.CUSTOMER, name="lumen"),
            Grant(role=Granted.VIEWER, level=GrantLevel.EVERYTHING),
        }
    ),
)


class Still:
    """A clock that stands."""

    def now(self) -> datetime:
        return NOW

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        return instant


def timed(work: Callable[[], object], times: int) -> float:
    """Microseconds each, the best of five rounds: others use the machine, too."""
    best = float("inf")
    for _ in range(5):
        begun = time.perf_counter()
        for _ in range(times):
            work()
        best = min(best, (time.perf_counter() - begun) / times)
    return best * 1e6


def fleet() -> Fleet:
    """One cluster of a customer."""
    cluster = Cluster(
        name=ClusterId("c0"),
        supercomputer=SupercomputerId("sc-1"),
        customer=CustomerId("lumen"),
        region="r",
        geo="g",
        timezone="UTC",
        datacenter="d",
        sku="h100",
        division="d",
        rolling_allowed=True,
        single_placement_group=False,
    )
    nodes = [
        Node(
            name=NodeId(f"n{number:05}"),
            cluster=cluster.name,
            rack=RackId(f"r{number // 16}"),
            fault_domain="0",
            scalable_unit="0",
            role=Role.PROD,
            workload="w",
            state=NodeState.IN_SERVICE,
            versions={},
        )
        for number in range(NODES)
    ]
    return Fleet(clusters={cluster.name: cluster}, nodes={node.name: node for node in nodes}, devices={})


async def nothing(_scope: Scope, _receive: Receive, send: Send) -> None:
    """In the place of a handler."""
    await send({"type": "http.response.start", "status": 204, "headers": []})


async def passed(check: Authority, asked: tuple[str, str, bytes], principal: Principal, times: int) -> float:
    """Microseconds that a request stays in the check, the best of five rounds."""
    method, path, body = asked
    seen: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        seen.append(message["status"])

    best = float("inf")
    for _ in range(5):
        begun = time.perf_counter()
        for _ in range(times):
            scope: Scope = {"type": "http", "method": method, "path": path, "query_string": b""}
            scope["headers"] = [(b"content-type", b"application/json")]
            note_principal(scope, principal)
            await check(scope, receive, send)
        best = min(best, (time.perf_counter() - begun) / times)
    assert set(seen) == {204}, "it was let through"
    return best * 1e6


def word(nodes: int) -> bytes:
    """On so many nodes."""
    return orjson.dumps({"desired": "pause", "nodes": [f"n{number:05}" for number in range(nodes)], "why": "x"})


def main() -> None:
    """Prints the figures."""
    engine = shipped()
    print(f"a new question: {timed(lambda: engine.ask_anew(PIA, Action.PAUSE, PLACE), 200):.0f} µs")
    print(f"asked before: {timed(lambda: engine.may(PIA, Action.PAUSE, PLACE), 20_000):.2f} µs")
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'store.sqlite'}"
        migrate(url)
        db = Database(url)
        import_set(db, ImportSet(fleet=fleet()), now=NOW, actor="operator")
        app = create_app(db, Still(), new_id=lambda prefix: prefix)
        check = Authority(nothing, context=app.state.context, routes=guard_routes(app, NEEDS), engine=engine)
        look, intents = ("GET", "/api/v1/updates", b""), ("POST", "/api/v1/intents")
        for name, principal in (("nobody signs in", LOCAL), ("a person", PIA)):
            plain = asyncio.run(passed(check, look, principal, 200))
            one = asyncio.run(passed(check, (*intents, word(1)), principal, 50))
            lot = asyncio.run(passed(check, (*intents, word(NODES)), principal, 2))
            print(f"{name}: a look {plain:.0f} µs, a word on one node {one:.0f} µs, on {NODES:,} {lot / 1000:.1f} ms")
        db.close()


if __name__ == "__main__":
    main()
