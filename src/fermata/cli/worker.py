"""`fermata worker`: conducts what no other worker does, beside as many of them as there are."""

import fcntl
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.cli.driving import EngineChoice, EngineOption, TemporalOption, open_driver, work_for
from fermata.cli.simulating import chosen_settings
from fermata.domain.reasons import Code, reason
from fermata.execution.embedded import keeping, work_along
from fermata.execution.ownership import name_owner
from fermata.execution.parts import Parts
from fermata.services import records
from fermata.services.errors import Refusal
from fermata.settings import Settings
from fermata.wiring import clocks
from fermata.wiring.clocks import PacedClock, SharedClock, SystemClock
from fermata.wiring.conducting import TemporalPlace, open_simulated_parts, open_site_parts
from fermata.wiring.site import open_site
from fermata.wiring.stores import Database, listening

SQLITE = "sqlite:///"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("worker")(worker)


def worker(
    *,
    store: options.StoreOption = options.DEFAULT_STORE,
    engine: EngineOption = EngineChoice.EMBEDDED,
    temporal: TemporalOption = None,
    namespace: Annotated[str, typer.Option("--namespace", help="Of the Temporal server.")] = "default",
    task_queue: Annotated[str, typer.Option("--task-queue", help="Of the Temporal server.")] = "fermata",
    rate: Annotated[
        float | None,
        typer.Option("--rate", min=0.1, help="Most steps a second over all workers of the queue.", show_default=False),
    ] = None,
    simulate: Annotated[
        Path | None,
        typer.Option(
            "--simulate",
            help="Work on the simulated fleet whose memory is this file; workers share it.",
            show_default=False,
        ),
    ] = None,
    site: Annotated[
        Path | None,
        typer.Option("--site", help="Work on the real fleet whose adapters this file describes.", show_default=False),
    ] = None,
    speed: Annotated[
        float | None, typer.Option("--speed", help="Virtual seconds a second.", show_default="3000")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the simulated fleet.", show_default="1")] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Conducts, beside other workers, whatever runs are live, until Ctrl-C or SIGTERM; what it holds is free then.

    Killed, its share goes to the others within seconds. On SQLite there is one worker, on PostgreSQL as many as wanted.
    """
    settings = chosen_settings(store=store, speed=speed, seed=seed, site=site)
    if (engine is EngineChoice.TEMPORAL) is not (temporal is not None):
        raise typer.BadParameter("--engine temporal and --temporal HOST:PORT go together")
    if (simulate is None) is (settings.site is None):
        raise typer.BadParameter("name the fleet: --site FILE for a real one, or --simulate FILE for a made one")
    with ExitStack() as stack:
        database = stack.enter_context(options.opened_store(settings.store))
        stack.enter_context(_only_one_on_sqlite(database))
        clock, parts = _open_fleet(stack, database, settings, simulate)
        heard = stack.enter_context(listening(database))
        stop = stack.enter_context(_stopped_by_signals())
        said = Sayer(as_json=as_json)
        if temporal is None:
            said.ready("embedded", parts)
            with keeping(parts):
                work_along(parts, stop=stop.is_set, heard=heard)
        else:
            place = TemporalPlace(address=temporal, namespace=namespace, task_queue=task_queue)
            driver = open_driver(parts, place, clock, rate)
            work_for(driver, parts, stop, heard, lambda: said.ready("temporal", parts))
        said.ended()


def _open_fleet(
    stack: ExitStack, database: Database, settings: Settings, simulate: Path | None
) -> tuple[PacedClock, Parts]:
    """The clock and what is worked on, real or simulated. Raises BadInput, SiteUnusable."""
    if simulate is not None:
        virtual = _shared_clock(database, settings, simulate)
        return virtual, open_simulated_parts(database, virtual, seed=settings.seed, log=simulate)
    assert settings.site is not None
    clock = SystemClock()
    site = stack.enter_context(open_site(settings.site, clock))
    return clock, open_site_parts(database, clock, site, settings)


class Sayer:
    """What the worker tells whoever started it."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def ready(self, engine: str, parts: Parts) -> None:
        """Work can come in."""
        if self._as_json:
            print(json.dumps({"event": "ready", "engine": engine, "worker": name_owner(parts.owner)}), flush=True)
        else:
            words = f"Working ({engine}) as {name_owner(parts.owner)}; Ctrl-C ends it and frees what it holds."
            output.out.print(words)

    def ended(self) -> None:
        """Everything was let go of."""
        if self._as_json:
            print(json.dumps({"event": "ended"}), flush=True)
        else:
            output.out.print("Ended; other workers go on.")


def _shared_clock(database: Database, settings: Settings, log: Path) -> SharedClock:
    """Virtual time as all workers on this fleet have it; it begins where the newest run stands."""
    campaigns = records.list_campaigns(database)
    found = [run.clock_at for c in campaigns if (run := records.find_run(database, c.id)) is not None]
    found += [c.planned_as_of for c in campaigns if c.planned_as_of is not None]
    start = max(found, default=clocks.utc_now())
    return SharedClock(log.with_name(f"{log.name}.clock"), start, settings.speed)


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """SIGINT and SIGTERM set it."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _only_one_on_sqlite(database: Database) -> Iterator[None]:
    """Raises Refusal when another worker has this SQLite store: it takes one writer at a time."""
    if not database.url.startswith(SQLITE):
        yield
        return
    with Path(database.url.removeprefix(SQLITE) + ".worker").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Refusal(reason(Code.ONE_WORKER_ON_SQLITE, process=lock.read().strip() or "unknown")) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
