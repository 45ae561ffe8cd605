"""`fermata serve`: board and API over a store; with --simulate, a conductor and a simulated fleet too."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from fermata import wiring
from fermata.cli import options, output
from fermata.cli.node_key import node_access
from fermata.cli.simulating import begin_run, chosen_settings, conduct_simulated
from fermata.domain.operations import Run
from fermata.domain.reasons import Code, reason
from fermata.domain.run_states import LIVE_RUNS
from fermata.execution.delivering import keep_delivering
from fermata.ports import Clock
from fermata.server.serving import PortTaken, bind_socket, serve_until_signal, url_of
from fermata.services import records
from fermata.services.errors import Refusal
from fermata.settings import Settings, is_loopback

ACTOR = "serve --simulate"
LOOK_SECONDS = 1.0  # for a plan in force, while there is nothing to conduct
STOP_SECONDS = 1.0


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("serve")(serve)


def serve(
    *,
    store: options.StoreOption = options.DEFAULT_STORE,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port; 0 takes a free one.", show_default="8321")] = None,
    simulate: Annotated[
        Path | None,
        typer.Option(
            "--simulate",
            help="Conduct the plan in force on a simulated fleet whose memory is this file.",
            show_default=False,
        ),
    ] = None,
    speed: Annotated[
        float | None, typer.Option("--speed", help="Virtual seconds a second.", show_default="3000")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the simulated fleet.", show_default="1")] = None,
    sources: Annotated[
        Path | None,
        typer.Option("--sources", help="File with the sources of inventory, asked by the clock.", show_default=False),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Serves the board and the API of a store until Ctrl-C. Loopback only: there is no sign-in yet."""
    settings = chosen_settings(store=store, host=host, port=port, speed=speed, seed=seed, sources=sources)
    if simulate is not None and settings.sources is not None:
        raise typer.BadParameter("a simulated fleet has no sources of inventory: leave --sources or --simulate out")
    asked = wiring.open_sources(settings.sources)
    nodes = node_access(settings)
    listener = _listen(settings)
    with options.opened_store(settings.store) as database:
        _say(url_of(listener), as_json=as_json)
        if simulate is None:
            clock = wiring.SystemClock()
            with delivering(database, settings, clock):
                app = wiring.make_app(database, clock, simulated_at=None, settings=settings, nodes=nodes, sources=asked)
                serve_until_signal(app, listener)
            return
        simulation = Simulation(database=database, settings=settings, log=simulate)
        simulation.start()
        with delivering(database, settings, simulation.clock):
            app = wiring.make_app(
                database, simulation.clock, simulated_at=settings.speed, settings=settings, nodes=nodes
            )
            serve_until_signal(app, listener)
        simulation.end()


@contextmanager
def delivering(database: wiring.Database, settings: Settings, clock: Clock) -> Iterator[None]:
    """Notices go out by a thread of its own; a try that is cut off at the end is made again after the next start."""
    stop = threading.Event()
    office = wiring.open_office(database, settings, clock)
    thread = threading.Thread(target=keep_delivering, args=(office, stop), name="fermata-notices", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=STOP_SECONDS)


@dataclass(kw_only=True)
class Simulation:
    """A conductor in a thread of its own, over a simulated fleet: it takes whatever plan is in force."""

    database: wiring.Database
    settings: Settings
    log: Path
    clock: wiring.CampaignClock = field(init=False)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        campaigns = records.list_campaigns(self.database)
        began = next((c.planned_as_of for c in campaigns if c.planned_as_of is not None), None)
        self.clock = wiring.CampaignClock(began or wiring.utc_now(), self.settings.speed)
        self._thread = threading.Thread(target=self._work, name="fermata-conductor", daemon=True)

    def start(self) -> None:
        """Returns at once."""
        self._thread.start()

    def end(self) -> None:
        """Waits a moment for the conductor's step; what is cut off is taken up again at the next start."""
        self._stop.set()
        self._thread.join(timeout=STOP_SECONDS)

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                run = self._live_run()
            except Refusal as refusal:
                output.err.print(escape(str(refusal.reason)))
                self._stop.wait(LOOK_SECONDS)
                continue
            if run is not None:
                conduct_simulated(
                    self.database, run, self.clock, seed=self.settings.seed, log=self.log, stop=self._stop.is_set
                )
            self._stop.wait(LOOK_SECONDS)

    def _live_run(self) -> Run | None:
        """The run that is live, started if a plan is in force and none was yet; None while there is none."""
        for campaign in records.list_imports(self.database).campaigns:
            run = records.find_run(self.database, campaign.id)
            if run is None and campaign.plan is not None:
                return begin_run(self.database, campaign.id, self.clock, actor=ACTOR)
            if run is not None and run.state in LIVE_RUNS:
                return run
        return None


def _listen(settings: Settings) -> socket.socket:
    if not is_loopback(settings.host):
        raise Refusal(reason(Code.NOT_LOOPBACK, host=settings.host))
    try:
        return bind_socket(settings.host, settings.port)
    except PortTaken as taken:
        raise Refusal(reason(Code.PORT_TAKEN, port=settings.port, host=settings.host)) from taken


def _say(url: str, *, as_json: bool) -> None:
    if as_json:
        output.print_json({"url": url})
    else:
        output.out.print(f"Board: {url}", markup=False)
