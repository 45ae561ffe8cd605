"""`fermata serve`: board and API over a store; with --simulate, a conductor and a simulated fleet too."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.cli.conducting import conducting
from fermata.cli.node_key import node_access
from fermata.cli.serve_access import (
    AccessOption,
    CertificateOption,
    KeyOption,
    NamesOption,
    find_access,
    refuse_open_door,
    with_clients,
)
from fermata.cli.simulating import begin_run, chosen_settings, conduct_simulated
from fermata.domain.access import NO_PROXY
from fermata.domain.operations import Run
from fermata.domain.reasons import Code, reason
from fermata.domain.run_states import LIVE_RUNS
from fermata.execution.delivering import keep_delivering
from fermata.ports import Clock
from fermata.server.callers import NodeAccess
from fermata.server.identity.admission import Admission
from fermata.server.serving import Application, PortTaken, Tls, TlsUnusable, bind_socket, serve_until_signal, url_of
from fermata.services import records
from fermata.services.errors import Refusal
from fermata.services.inventory_sources import Sources
from fermata.settings import Settings
from fermata.wiring import clocks
from fermata.wiring.clocks import CampaignClock, SystemClock
from fermata.wiring.serving import make_app
from fermata.wiring.sources import open_sources
from fermata.wiring.stores import Database, OtherRelease
from fermata.wiring.telling import open_office

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
    tls_cert: CertificateOption = None,
    tls_key: KeyOption = None,
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
    site: Annotated[
        Path | None,
        typer.Option(
            "--site", help="Conduct live runs on the real fleet whose adapters this file describes.", show_default=False
        ),
    ] = None,
    sources: Annotated[
        Path | None,
        typer.Option("--sources", help="File with the sources of inventory, asked by the clock.", show_default=False),
    ] = None,
    access: AccessOption = None,
    names: NamesOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Serves the board and the API of a store until Ctrl-C: to this machine alone, or to whom --access lets in."""
    settings = chosen_settings(
        store=store,
        host=host,
        port=port,
        speed=speed,
        seed=seed,
        sources=sources,
        site=site,
        tls_cert=tls_cert,
        tls_key=tls_key,
        access=access,
        names=names,
    )
    if simulate is not None:
        _refuse_real(settings)
    asked = open_sources(settings.sources)
    nodes, let_in = node_access(settings), find_access(settings)
    tls = with_clients(_find_tls(settings), let_in.book)
    refuse_open_door(settings, let_in, tls)
    with _listen(settings) as listener, options.opened_store(settings.store) as database:
        place = Served(database=database, settings=settings, listener=listener, tls=tls, nodes=nodes, access=let_in)
        url = url_of(listener, tls)
        if simulate is None:
            place.serve_real(asked, lambda: _say(url, as_json=as_json))
        else:
            place.serve_simulated(simulate, lambda: _say(url, as_json=as_json))


def _refuse_real(settings: Settings) -> None:
    """What goes with a real fleet alone. Raises typer.BadParameter."""
    if settings.site is not None:
        raise typer.BadParameter("a fleet is real or simulated: leave --site or --simulate out")
    if settings.sources is not None:
        raise typer.BadParameter("a simulated fleet has no sources of inventory: leave --sources or --simulate out")


@dataclass(frozen=True, kw_only=True)
class Served:
    """A store and the port on which it is served."""

    database: Database
    settings: Settings
    listener: socket.socket
    tls: Tls | None
    nodes: NodeAccess
    access: Admission

    def serve_real(self, sources: Sources, say: Callable[[], None]) -> None:
        """By real time, with a conductor where the settings name a site. Raises BadInput, SiteUnusable."""
        clock = SystemClock()
        site = self.settings.site
        with (
            delivering(self.database, self.settings, clock) as over,
            conducting(self.database, self.settings, site, over) if site is not None else nullcontext(),
        ):
            say()
            app = make_app(
                self.database,
                clock,
                simulated_at=None,
                settings=self.settings,
                nodes=self.nodes,
                sources=sources,
                access=self.access,
            )
            self._serve(app, over)

    def serve_simulated(self, log: Path, say: Callable[[], None]) -> None:
        """By virtual time, with a conductor."""
        say()
        simulation = Simulation(database=self.database, settings=self.settings, log=log)
        simulation.start()
        with delivering(self.database, self.settings, simulation.clock) as over:
            app = make_app(
                self.database,
                simulation.clock,
                simulated_at=self.settings.speed,
                settings=self.settings,
                nodes=self.nodes,
                access=self.access,
            )
            self._serve(app, over)
        simulation.end()

    def _serve(self, app: Application, over: threading.Event) -> None:
        proxy = NO_PROXY if self.access.book is None else self.access.book.proxy
        serve_until_signal(app, self.listener, over, self.tls, proxy=proxy)


@contextmanager
def delivering(database: Database, settings: Settings, clock: Clock) -> Iterator[threading.Event]:
    """Notices go out by a thread of its own; a try that is cut off at the end is made again after the next start.

    The event is set when the store was upgraded meanwhile. Raises OtherRelease then, at the end of the block.
    """
    stop, over, upgraded = threading.Event(), threading.Event(), list[OtherRelease]()
    office = open_office(database, settings, clock)

    def deliver() -> None:
        try:
            keep_delivering(office, stop)
        except OtherRelease as other:
            upgraded.append(other)
            over.set()

    thread = threading.Thread(target=deliver, name="fermata-notices", daemon=True)
    thread.start()
    try:
        yield over
    finally:
        stop.set()
        thread.join(timeout=STOP_SECONDS)
    if upgraded:
        raise upgraded[0]


@dataclass(kw_only=True)
class Simulation:
    """A conductor in a thread of its own, over a simulated fleet: it takes whatever plan is in force."""

    database: Database
    settings: Settings
    log: Path
    clock: CampaignClock = field(init=False)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        campaigns = records.list_campaigns(self.database)
        began = next((c.planned_as_of for c in campaigns if c.planned_as_of is not None), None)
        self.clock = CampaignClock(began or clocks.utc_now(), self.settings.speed)
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
                output.err.print(str(refusal.reason))
                self._stop.wait(LOOK_SECONDS)
                continue
            if run is not None:
                try:
                    conduct_simulated(
                        self.database, run, self.clock, seed=self.settings.seed, log=self.log, stop=self._stop.is_set
                    )
                except OtherRelease:
                    return  # whoever delivers notices finds it too, and ends the process
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


def _find_tls(settings: Settings) -> Tls | None:
    """None: plain http. A key alone is a mistake: whoever named it wants no plain http."""
    if settings.tls_cert is None:
        if settings.tls_key is not None:
            raise Refusal(reason(Code.TLS_UNUSABLE, files=settings.tls_key, why="there is no certificate for this key"))
        return None
    tls = Tls(certificate=settings.tls_cert, key=settings.tls_key or settings.tls_cert)
    try:
        tls.check()
    except TlsUnusable as unusable:
        files = " and ".join(str(path) for path in dict.fromkeys((tls.certificate, tls.key)))
        raise Refusal(reason(Code.TLS_UNUSABLE, files=files, why=unusable)) from unusable
    return tls


def _listen(settings: Settings) -> socket.socket:
    try:
        return bind_socket(settings.host, settings.port)
    except PortTaken as taken:
        raise Refusal(reason(Code.PORT_TAKEN, port=settings.port, host=settings.host)) from taken


def _say(url: str, *, as_json: bool) -> None:
    if as_json:
        output.print_json({"url": url})
    else:
        output.out.print(f"Board: {url}", markup=False)
