"""The journal as evidence: lines appended, as bare rows and with their chain, and the whole of it read and verified.

    PYTHONPATH=src python benchmarks/auditing.py [--runs 5] [--nodes LINES] [--json FILE]

A line is what a move of a node writes: 500 in a transaction, as a step does. SQLite. Asked: 10,000,000 in 300 s.
"""

from datetime import UTC, datetime, timedelta
from functools import partial

import stores
from fermata.services import audit
from fermata.store import journal
from fermata.store.bulk import insert_rows
from fermata.store.database import Database
from fermata.store.opening import open_database
from harness import Benchmark, Case, Place, Sample, Watch, read_options, run

LINES = 100_000
EACH = 500
ASKED = 300 / 10_000_000  # seconds a line
START = datetime(2026, 1, 5, 19, tzinfo=UTC)


def main() -> None:
    """Measures what the command line asks for."""
    options = read_options(__doc__ or "")
    lines = options.nodes or LINES
    run(
        Benchmark(
            name="auditing",
            title=f"the journal as evidence, {lines:,} lines",
            cases=[
                Case(name="bare rows", run=partial(append_bare, lines=lines)),
                Case(name="append", run=partial(append, lines=lines), baseline="bare rows"),
                Case(name="read", run=read),
                Case(name="verify", run=verify, baseline="read", target_seconds=ASKED * lines),
            ],
            each_run=lambda: stores.fresh_stores(None, ("store", "bare"), {}),
            notes=["Bare rows are the same without numbers, hashes and notices; reading is of the same pages."],
        ),
        options,
    )


def append(place: Place, *, lines: int) -> Sample:
    """Through the journal."""
    database = open_database(place["store_sqlite"])
    entries = [_entry(number) for number in range(lines)]
    with Watch() as watch:
        for first in range(0, lines, EACH):
            with database.begin() as conn:
                journal.append_many(conn, entries[first : first + EACH])
    return watch.sample(lines=lines)


def append_bare(place: Place, *, lines: int) -> Sample:
    """Past it."""
    database = open_database(place["bare_sqlite"])
    names = ("at", "actor", "event", "subject", "data", "why")
    rows = [{name: getattr(_entry(number), name) for name in names} for number in range(lines)]
    with Watch() as watch:
        for first in range(0, lines, EACH):
            with database.begin() as conn:
                insert_rows(conn, journal.journal, rows[first : first + EACH])
    return watch.sample(lines=lines)


def read(place: Place) -> Sample:
    """Every line with its hash, as verifying does, and nothing else."""
    database = Database(place["store_sqlite"])
    seq = lines = 0
    with Watch() as watch:
        while True:
            with database.read() as conn:
                page = journal.read_linked(conn, seq)
            if not page:
                break
            lines, seq = lines + len(page), page[-1].entry.seq
    return watch.sample(lines=lines)


def verify(place: Place) -> Sample:
    """As `fermata audit verify` does."""
    with Watch() as watch:
        found = audit.verify(Database(place["store_sqlite"]), audit.Evidence(), lambda *_: None)
    assert found.holds, found
    return watch.sample(lines=found.lines)


def _entry(number: int) -> journal.Entry:
    return journal.Entry(
        at=START + timedelta(milliseconds=number),
        actor="conductor",
        event="unit.moved",
        subject=f"node:h100-01-n{number % 3000:04d}",
        why="",
        data={"run": "run_0123456789", "window": "win-h100-01-1", "from": "applying", "to": "rebooting", "attempt": 1},
    )


if __name__ == "__main__":
    main()
