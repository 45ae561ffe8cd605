"""The conductor beside a naive rolling controller, over the same fleet, plan and step lengths: moves a second, and how
long the campaign takes by the fleet's own time. The naive one is a reconcile loop as updaters of nodes have it: every
five minutes it reads every node's row, moves those whose step is over, each in a transaction of its own with a line of
a journal, and begins the next node while fewer than so many are out. It knows no consent, window, shared device,
neighbour or failure. SQLite.

Baseline: the naive controller.
"""

import random
import sqlite3
import tempfile
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import harness
import stores
from conducting import SEED, SPREAD, conduct_all, prepare
from fermata.domain.plans import NodeApplyStep
from fermata.formats.plans import read_plan
from fleets import write_scenario
from harness import Benchmark, Case, Place, Sample, Watch

NODES = 1000
LOOK = timedelta(minutes=5)
SHARES = (0.05, 0.25)  # of the fleet that the naive controller may have out
DAYS_MAX = 400


def main() -> None:
    """Makes scenario and plan once, then measures."""
    options = harness.read_options(__doc__ or "", runs=3)
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        scenario, plan = write_scenario(Path(name), options.nodes or NODES), Path(name, "plan.json")
        harness.in_own_process(prepare, scenario, plan)
        naive = [f"naive, {share:.0%} out" for share in SHARES]
        harness.run(
            Benchmark(
                name="rolling",
                title=f"a naive rolling controller beside the conductor, {options.nodes or NODES:,} nodes",
                cases=[
                    *(Case(name=n, run=partial(roll, share=s)) for n, s in zip(naive, SHARES, strict=True)),
                    Case(name="conductor", run=conduct_all, baseline=naive[-1]),
                ],
                each_run=lambda: stores.fresh_stores(None, ("store",), {"scenario": str(scenario), "plan": str(plan)}),
                notes=[
                    "A move is one change of a node's row that was stored, with its line. Days are of virtual time.",
                    "The naive controller's nodes neither fail nor wait for each other: its days are a lower bound.",
                ],
            ),
            options,
        )


def roll(place: Place, *, share: float) -> Sample:
    """Every node of the plan through its steps, in the order of the plan's windows."""
    plan = read_plan(Path(place["plan"]))
    dice = random.Random(SEED)
    lengths: dict[str, list[timedelta]] = {}
    for window in plan.windows:
        steps = [s for s in window.steps if not (isinstance(s, NodeApplyStep) and s.batch > 1)]
        for node in window.nodes:
            lengths[node] = [(step.end - step.start) * dice.lognormvariate(0, SPREAD) for step in steps]
    database = _fill(Path(place["folder"], f"rolling-{share}.db"), list(lengths))
    most = max(1, int(share * len(lengths)))
    now, moves = plan.created_at, 0
    with Watch() as watch:
        while now < plan.created_at + timedelta(days=DAYS_MAX):
            done, moved = look(database, now, lengths, most)
            moves += moved
            if done == len(lengths):
                break
            now += LOOK
    database.close()
    days = (now - plan.created_at) / timedelta(days=1)
    return watch.sample(
        nodes=done, virtual_days=days, moves=moves, moves_per_second=moves / watch.seconds, out_at_once=most
    )


def look(
    database: sqlite3.Connection, now: datetime, lengths: dict[str, list[timedelta]], most: int
) -> tuple[int, int]:
    """One turn of the loop: nodes that are done by now, and moves made."""
    rows = database.execute("SELECT name, step, until FROM node ORDER BY place").fetchall()
    out = sum(0 <= step < len(lengths[name]) for name, step, _ in rows)
    done = moved = 0
    for name, step, until in rows:
        own = lengths[name]
        if step == len(own):
            done += 1
        elif step >= 0 and until <= now.timestamp():
            _move(database, name, step + 1, now, own)
            moved += 1
        elif step < 0 and out < most:
            _move(database, name, 0, now, own)
            moved, out = moved + 1, out + 1
    return done, moved


def _move(database: sqlite3.Connection, name: str, step: int, now: datetime, own: list[timedelta]) -> None:
    until = (now + own[step]).timestamp() if step < len(own) else 0.0
    with database:
        database.execute("UPDATE node SET step = ?, until = ? WHERE name = ?", (step, until, name))
        database.execute("INSERT INTO journal (at, node, step) VALUES (?, ?, ?)", (now.timestamp(), name, step))


def _fill(file: Path, names: list[str]) -> sqlite3.Connection:
    database = sqlite3.connect(file)
    database.execute("PRAGMA journal_mode=WAL")  # as the store has it
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE node (name TEXT PRIMARY KEY, place INTEGER, step INTEGER, until REAL)")
    database.execute("CREATE TABLE journal (seq INTEGER PRIMARY KEY, at REAL, node TEXT, step INTEGER)")
    database.executemany("INSERT INTO node VALUES (?, ?, -1, 0)", [(name, place) for place, name in enumerate(names)])
    database.commit()
    return database


if __name__ == "__main__":
    main()
