"""Approves every node of a fleet of 20,000 by an order of its own, in one call; takes that back; approves it with
conditions; and approves it over HTTP. SQLite. Baseline: one bulk insert of the same rows, nothing judged.
"""

import asyncio
import gc
import sqlite3
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from itertools import count
from pathlib import Path

import httpx
import orjson
from sqlalchemy import make_url, select

import harness
import stores
from fermata.domain.orders import NO_TERMS, Terms
from fermata.domain.policy import Conditions, Scope, ScopeLevel, Verdict
from fermata.formats.scenario import read_scenario
from fermata.server.app import create_app
from fermata.services.consent import Order, OutcomeState, decide_each
from fermata.services.inventory import ImportSet, import_set
from fermata.sim.clock import VirtualClock
from fermata.store.consent import consent_entry
from fermata.store.database import Database
from fermata.store.inventory import node
from fermata.store.journal import journal
from fermata.store.opening import open_database
from fleets import write_scenario
from harness import Benchmark, Case, Place, Sample, Watch

NODES = 20_000
SECONDS = 2.0  # what was promised, for NODES nodes
NOW = datetime(2026, 1, 2, 20, tzinfo=UTC)
JSON = {"Content-Type": "application/json"}
CONDITIONS = Terms(conditions=Conditions(not_before=NOW, not_after=NOW + timedelta(days=60), nodes_per_day=5))


def main() -> None:
    """Makes the fleet once, then measures."""
    options = harness.read_options(__doc__ or "")
    target = SECONDS if options.nodes is None else None
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        scenario = write_scenario(Path(name), options.nodes or NODES)
        harness.run(
            Benchmark(
                name="approving",
                title=f"consent, {options.nodes or NODES:,} orders in one call",
                cases=[
                    Case(name="raw rows", run=store_raw),
                    Case(
                        name="approve each",
                        run=partial(approve, is_first=True),
                        baseline="raw rows",
                        target_seconds=target,
                    ),
                    Case(name="withdraw each", run=withdraw, baseline="raw rows", target_seconds=target),
                    Case(name="with conditions", run=partial(approve, terms=CONDITIONS), baseline="raw rows"),
                    Case(name="over HTTP", run=approve_over_http, baseline="raw rows"),
                ],
                each_run=lambda: stores.fresh_stores(None, ("store", "model", "raw"), {"scenario": str(scenario)}),
                notes=["Each case finds what those before it recorded; the raw rows are what approving each adds."],
            ),
            options,
        )


def approve(place: Place, *, is_first: bool = False, terms: Terms = NO_TERMS) -> Sample:
    """Every node, into the empty ledger of a store that is filled before, or one that has words of them already."""
    database = _fill(place, "store") if is_first else Database(place["store_sqlite"])
    return _decide(database, Verdict.APPROVED, terms)


def withdraw(place: Place) -> Sample:
    """Takes every approval back."""
    return _decide(Database(place["store_sqlite"]), Verdict.WITHDRAWN, NO_TERMS)


def approve_over_http(place: Place) -> Sample:
    """The same orders as a request of the API, in this process: what client and server make of JSON is counted."""
    database = Database(place["store_sqlite"])
    names = _settle(database)
    numbers = count()
    clock = VirtualClock(NOW, None)
    app = create_app(database, clock, new_id=lambda prefix: f"{prefix}_http_{next(numbers):08}")
    body = {"orders": [{"scope": {"level": "node", "name": name}, "reason": "agreed by mail"} for name in names]}

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            return await client.post("/api/v1/approvals", content=orjson.dumps(body), headers=JSON)

    with Watch() as watch:
        answer = asyncio.run(ask())
        told = orjson.loads(answer.content)
    assert answer.status_code == HTTPStatus.CREATED, answer.text
    database.close()
    return watch.sample(orders=len(names), recorded=sum(line["state"] == "recorded" for line in told))


def store_raw(place: Place) -> Sample:
    """The rows that approving each node adds to ledger and journal, copied as they are; making them is not counted."""
    _decide(_fill(place, "model"), Verdict.APPROVED, NO_TERMS)
    stored = sqlite3.connect(make_url(place["model_sqlite"]).database or "")
    entries = stored.execute("SELECT * FROM consent_entry").fetchall()
    lines = stored.execute("SELECT * FROM journal ORDER BY seq DESC LIMIT ?", (len(entries),)).fetchall()
    stored.close()
    raw = sqlite3.connect(make_url(place["raw_sqlite"]).database or "")
    raw.execute("PRAGMA journal_mode=WAL")  # as the store has it
    raw.execute("PRAGMA synchronous=FULL")
    raw.execute(_create(consent_entry.name, len(consent_entry.columns)))
    raw.execute(_create(journal.name, len(journal.columns)))
    raw.commit()
    with Watch() as watch:
        for table, rows in ((consent_entry, entries), (journal, lines)):
            marks = ", ".join("?" for _ in table.columns)
            raw.executemany(f"INSERT INTO {table.name} VALUES ({marks})", rows)  # noqa: S608 - our own table names
        raw.commit()
    raw.close()
    return watch.sample(rows=len(entries) + len(lines))


def _decide(database: Database, verdict: Verdict, terms: Terms) -> Sample:
    names = _settle(database)
    orders = [
        Order(scope=Scope(level=ScopeLevel.NODE, name=name), verdict=verdict, reason="agreed by mail", terms=terms)
        for name in names
    ]
    numbers = count()
    kind = f"{verdict}_{'plain' if terms is NO_TERMS else 'bound'}"
    with Watch() as watch:
        told = decide_each(database, orders, now=NOW, new_id=lambda prefix: f"{prefix}_{kind}_{next(numbers):08}")
    database.close()
    return watch.sample(orders=len(orders), recorded=sum(o.state is OutcomeState.RECORDED for o in told))


def _fill(place: Place, name: str) -> Database:
    read = read_scenario(Path(place["scenario"]))
    database = open_database(place[f"{name}_sqlite"])
    given = ImportSet(fleet=read.fleet, catalogue=read.catalogue, policy=read.policy, campaign=read.campaign)
    import_set(database, given, now=NOW, actor="bench")
    return database


def _settle(database: Database) -> Sequence[str]:
    """Every node's name; what was made until now is no matter of the garbage collector any more."""
    with database.read() as conn:
        names = list(conn.execute(select(node.c.name).order_by(node.c.name)).scalars())
    gc.collect()
    gc.freeze()
    return names


def _create(name: str, columns: int) -> str:
    others = "".join(f", c{number}" for number in range(1, columns))
    return f"CREATE TABLE {name} (c0 INTEGER PRIMARY KEY{others})"


if __name__ == "__main__":
    main()
