"""How long `fermata serve` takes from its command to its first answers, on an empty store, on a store whose fleet was
just imported, and after a restart; and what each process holds of memory once it was asked for everything: server,
query workers, and a `fermata worker` that conducts. Real processes; the SQLite file is read for the first time by each.

Baseline: the same server on an empty store. A fleet above `--planned` nodes has no plan, and so no worker.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import orjson

import harness
import processes
import stores
from harness import Benchmark, Case, Place, Sample

NODES, NODES_LARGE = 20_000, 1_000_000
SECONDS = {NODES: 3.0, NODES_LARGE: 15.0}  # until it serves after a restart, as was promised
PLANNED = 25_000  # nodes: a larger fleet takes its planner minutes
ASKED = ("/api/v1/board", "/api/v1/requests", "/api/v1/pending?limit=100", "/api/v1/journal?limit=20", "/", "/fleet")
QUERY = {"query": "resources | summarize count() by location"}
WORK_SECONDS = 8.0
SPEED = "20000"  # virtual seconds a second


def main() -> None:
    """Imports the fleet once, then measures."""
    parser = harness.options_parser(__doc__ or "", runs=5)
    parser.add_argument("--planned", type=harness.positive, default=PLANNED, help=f"nodes with a plan ({PLANNED:,})")
    asked = parser.parse_args()
    options = harness.to_options(asked)
    size = options.nodes or NODES
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        scenario, fleet = processes.imported(Path(name), size)
        made = {"fleet": fleet, "run": Path(name, "run.db")}
        has_plan = size <= asked.planned
        if has_plan:
            harness.in_own_process(processes.make_plan_file, str(scenario), f"{name}/plan.json")
            harness.in_own_process(
                processes.begin_store, str(scenario), f"{name}/plan.json", f"sqlite:///{made['run']}"
            )
        worker = [Case(name="worker: memory", run=work)] if has_plan else []
        empty = "empty store: serving"
        harness.run(
            Benchmark(
                name="starting",
                title=f"from `fermata serve` to its first answers, {size:,} nodes",
                cases=[
                    Case(name=empty, run=partial(start, store="empty")),
                    Case(name="first start: serving", run=partial(start, store="fleet"), baseline=empty),
                    Case(
                        name="restart: serving",
                        run=partial(start, store="fleet"),
                        baseline=empty,
                        target_seconds=SECONDS.get(size),
                    ),
                    Case(name="all asked: memory", run=use, baseline=empty),
                    *worker,
                ],
                each_run=lambda: _copied(made),
                notes=[
                    "Serving: the API's board was answered. `page`: the board's page after it, by then warm or not.",
                    "all asked: until everything was answered once, a query among it.",
                    "Peak memory is that of the server, or the worker; `all asked` adds the query workers below it.",
                ],
            ),
            options,
        )


def start(place: Place, *, store: str) -> Sample:
    """Until the API's board is answered; the page of the board follows."""
    with processes.serving(place[store]) as (process, url):
        began = time.perf_counter()
        processes.wait_for(process, f"{url}/api/v1/board")
        serving = time.perf_counter() - began
        processes.fetch(f"{url}/")
        page = time.perf_counter() - began - serving
        used = processes.cpu_seconds_of(process.pid)
        peak, _ = processes.peak_mib_with_children(process.pid)
    return Sample(seconds=serving, cpu_seconds=used, figures={"page_seconds": page}, peak_mib=peak)


def use(place: Place) -> Sample:
    """Every answer once, and a query, which starts its workers; then what all of them have held."""
    with processes.serving(place["fleet"]) as (process, url):
        began = time.perf_counter()
        processes.wait_for(process, f"{url}/api/v1/board")
        for path in ASKED:
            processes.fetch(f"{url}{path}")
        processes.fetch(f"{url}/api/v1/query", orjson.dumps(QUERY))
        seconds = time.perf_counter() - began
        used = processes.cpu_seconds_of(process.pid)
        server, below = processes.peak_mib_with_children(process.pid)
    figures = {"server_mib": server, "query_workers_mib": below}
    return Sample(seconds=seconds, cpu_seconds=used, figures=figures, peak_mib=server + below)


def work(place: Place) -> Sample:
    """A worker that conducts the campaign's run for some seconds, at a high speed."""
    arguments = ("worker", "--store", place["run"], "--simulate", f"{place['folder']}/world.jsonl", "--speed", SPEED)
    with processes.running(*arguments, "--json") as process:
        began = time.perf_counter()
        assert process.stdout is not None
        process.stdout.readline()
        ready = time.perf_counter() - began
        time.sleep(WORK_SECONDS)
        assert process.poll() is None, "the worker ended"
        used, peak = processes.cpu_seconds_of(process.pid), processes.peak_mib_of(process.pid)
    return Sample(seconds=ready, cpu_seconds=used, figures={"worked_seconds": WORK_SECONDS}, peak_mib=peak)


@contextmanager
def _copied(made: Mapping[str, Path]) -> Iterator[Place]:
    """Each run has files of its own: a first start is one."""
    with stores.fresh_stores(None, ("empty",), {}) as place:
        folder = Path(place["folder"])
        found = dict(place) | {"empty": place["empty_sqlite"]}
        for name, file in made.items():
            if file.exists():
                shutil.copyfile(file, folder / f"{name}.db")
                found[name] = f"sqlite:///{folder}/{name}.db"
        yield found


if __name__ == "__main__":
    main()
