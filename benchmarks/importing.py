"""Reads a fleet of 20,000 nodes and stores it, again unchanged, and again with 50 changed nodes; on SQLite and on
PostgreSQL. Baseline: csv.reader and one bulk insert of the same rows (executemany, COPY), nothing judged, no journal.
"""

import csv
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psycopg
from sqlalchemy import make_url

import harness
import stores
from fermata.formats.fleet import read_fleet
from fermata.formats.scenario import read_scenario
from fermata.services.inventory import ImportSet, import_set
from fermata.store.database import Database
from fermata.store.opening import open_database
from fleets import TABLES, write_changed_fleet, write_scenario
from harness import Benchmark, Case, Place, Sample, Watch

NODES = 20_000
CHANGES = 50
IMPORT_SECONDS = 5.0  # what was promised, for NODES nodes
REIMPORT_SECONDS, SHARE_SECONDS = 2.0, 1.0
SHARE_VERSION = "25.04.2"  # of nodes in 200 that change after those 50
NOW = datetime(2026, 1, 2, 20, tzinfo=UTC)


def main() -> None:
    """Makes the fleets once, then measures."""
    options = harness.read_options(__doc__ or "")
    server = stores.find_postgres()
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        scenario = write_scenario(Path(name, "scenario"), options.nodes or NODES)
        changed = write_changed_fleet(scenario / "fleet", Path(name, "changed"), min(CHANGES, options.nodes or NODES))
        some = max(1, (options.nodes or NODES) // 200)
        share = write_changed_fleet(changed, Path(name, "share"), some, SHARE_VERSION)
        shared = {"scenario": str(scenario), "changed": str(changed), "share": str(share)}
        backends = ["sqlite"] if server is None else ["sqlite", "postgresql"]
        harness.run(
            Benchmark(
                name="importing",
                title=f"files to store, {options.nodes or NODES:,} nodes",
                cases=[case for backend in backends for case in _cases(backend, judged=options.nodes is None)],
                each_run=lambda: stores.fresh_stores(server, ("store", "raw"), shared),
                versions={} if server is None else {"PostgreSQL": stores.postgres_version(server)},
                notes=[stores.NO_POSTGRES] if server is None else [],
            ),
            options,
        )


def _cases(backend: str, *, judged: bool) -> list[Case]:
    raw = f"{backend}: raw rows"
    return [
        Case(name=raw, run=partial(store_raw, backend=backend)),
        Case(
            name=f"{backend}: import",
            run=partial(import_all, backend=backend),
            baseline=raw,
            target_seconds=IMPORT_SECONDS if judged else None,
        ),
        Case(
            name=f"{backend}: again, unchanged",
            run=partial(import_again, backend=backend, fleet="scenario"),
            baseline=raw,
        ),
        Case(
            name=f"{backend}: again, {CHANGES} changed",
            run=partial(import_again, backend=backend, fleet="changed"),
            baseline=raw,
            target_seconds=REIMPORT_SECONDS if judged else None,
        ),
        Case(
            name=f"{backend}: again, 0.5 % changed",
            run=partial(import_again, backend=backend, fleet="share"),
            baseline=raw,
            target_seconds=SHARE_SECONDS if judged else None,
        ),
    ]


def import_all(place: Place, *, backend: str) -> Sample:
    """All four inputs from their files into an empty store, requests included; making its tables is not counted."""
    database = open_database(place[f"store_{backend}"])
    with Watch() as watch:
        with Watch() as reading:
            read = read_scenario(Path(place["scenario"]))
        given = ImportSet(fleet=read.fleet, catalogue=read.catalogue, policy=read.policy, campaign=read.campaign)
        done = import_set(database, given, now=NOW, actor="bench")
    database.close()
    return watch.sample(
        nodes=len(read.fleet.nodes),
        devices=len(read.fleet.devices),
        requests=len(done.requests),
        read_seconds=reading.seconds,
    )


def import_again(place: Place, *, backend: str, fleet: str) -> Sample:
    """The fleet alone, into the store that `import_all` filled."""
    database = Database(place[f"store_{backend}"])
    folder = Path(place[fleet])
    with Watch() as watch:
        with Watch() as reading:
            read = read_fleet(folder / "fleet" if fleet == "scenario" else folder)
        done = import_set(database, ImportSet(fleet=read), now=NOW, actor="bench")
    database.close()
    return watch.sample(
        changed=len(done.fleet.changes), requests_changed=len(done.requests), read_seconds=reading.seconds
    )


def store_raw(place: Place, *, backend: str) -> Sample:
    """The same rows with nothing in between; making the tables is not counted here either."""
    fleet, url = Path(place["scenario"], "fleet"), make_url(place[f"raw_{backend}"])
    fill: dict[str, Callable[[], Watch]] = {
        "sqlite": lambda: _fill_sqlite(fleet, str(url.database)),
        "postgresql": lambda: _fill_postgres(fleet, stores.plain(url)),
    }
    watch = fill[backend]()
    return watch.sample(rows=sum(1 for name in TABLES for _ in _rows(fleet, name)) - len(TABLES))


def _fill_sqlite(fleet: Path, path: str) -> Watch:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")  # as the store has it
    connection.execute("PRAGMA synchronous=FULL")
    for name in TABLES:
        connection.execute(_create(name, next(_rows(fleet, name))))
    connection.commit()
    with Watch() as watch:
        for name in TABLES:
            rows = _rows(fleet, name)
            marks = ", ".join("?" for _ in next(rows))
            connection.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)  # noqa: S608 - our own table names
        connection.commit()
    connection.close()
    return watch


def _fill_postgres(fleet: Path, url: str) -> Watch:
    with psycopg.connect(url) as connection:
        for name in TABLES:
            connection.execute(_create(name, next(_rows(fleet, name))).encode())
        connection.commit()
        with Watch() as watch:
            for name in TABLES:
                rows = _rows(fleet, name)
                next(rows)
                with connection.cursor().copy(f"COPY {name} FROM STDIN".encode()) as copy:
                    for row in rows:
                        copy.write_row(row)
            connection.commit()
    return watch


def _create(name: str, columns: Sequence[str]) -> str:
    first, *others = (f'"{column}" TEXT NOT NULL' for column in columns)
    return f"CREATE TABLE {name} ({', '.join([f'{first} PRIMARY KEY', *others])})"


def _rows(fleet: Path, name: str) -> Iterator[list[str]]:
    """The header first."""
    with (fleet / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.reader(file)


if __name__ == "__main__":
    main()
