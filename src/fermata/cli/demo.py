"""`fermata demo`: server, board, simulated fleet and a whole campaign on this machine, on loopback, sped up."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from fermata import scenarios
from fermata.cli import options, output
from fermata.cli.demo_folder import TEMPORAL, DemoFolder, held_folder
from fermata.cli.demo_line import DemoLine
from fermata.cli.demo_view import JsonTeller, LiveTeller, PlainTeller, Teller, told_step
from fermata.cli.driving import EngineChoice, EngineOption, TemporalOption, own_server, require_driver
from fermata.cli.simulating import chosen_settings
from fermata.domain.reasons import Code, reason
from fermata.formats.report import summary_to_json
from fermata.formats.scenario import read_scenario
from fermata.server.serving import BackgroundServer, PortTaken, bind_socket, url_of
from fermata.services.errors import Refusal
from fermata.services.report import make_report
from fermata.settings import Settings
from fermata.wiring import clocks
from fermata.wiring.clocks import CampaignClock
from fermata.wiring.serving import make_app
from fermata.wiring.stores import open_database

DEFAULT_FOLDER = Path("fermata-demo")
SCENARIO = "january"
HOST = "127.0.0.1"
STOP_SECONDS = 1.0  # for a step of the conductor to end; what is cut off then is taken up again as after a power cut
_STOPPING = (signal.SIGINT, signal.SIGTERM)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("demo")(demo)


def demo(
    *,
    directory: Annotated[Path, typer.Option("--dir", help="Folder that keeps the demo's state.")] = DEFAULT_FOLDER,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the demo in the folder.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the demo in the folder and start anew.")] = False,
    port: Annotated[int | None, typer.Option("--port", help="Port of the board.", show_default="8321, or free")] = None,
    speed: Annotated[
        float | None, typer.Option("--speed", help="Virtual seconds a second.", show_default="3000")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of plan and faults.", show_default="1")] = None,
    engine: EngineOption = EngineChoice.EMBEDDED,
    temporal: TemporalOption = None,
    exit_when_done: Annotated[bool, typer.Option("--exit-when-done", help="Stop when the campaign is over.")] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Runs the January campaign on a simulated fleet, with the board, on this machine alone."""
    if resume and fresh:
        raise typer.BadParameter("--resume goes on, --fresh starts anew: choose one")
    if temporal is not None and engine is not EngineChoice.TEMPORAL:
        raise typer.BadParameter("--temporal HOST:PORT goes with --engine temporal")
    with held_folder(directory) as folder, ExitStack() as stack:
        chosen_seed = _prepare_folder(folder, resume=resume, fresh=fresh, seed=seed)
        settings = chosen_settings(host=HOST, port=port, speed=speed, seed=chosen_seed)
        folder.remember_seed(settings.seed)
        listener = _listen(settings.port, is_named=port is not None)
        teller = _choose_teller(as_json=as_json)
        if engine is EngineChoice.TEMPORAL:
            require_driver()
            temporal = temporal or stack.enter_context(own_server(folder.path / TEMPORAL))
        _Demo(
            folder=folder,
            settings=settings,
            teller=teller,
            stays=not exit_when_done,
            temporal=temporal,
            end_engine=stack.close,
        ).play(listener)


def _prepare_folder(folder: DemoFolder, *, resume: bool, fresh: bool, seed: int | None) -> int | None:
    """The seed to run with, None for the default. Raises Refusal when the folder and the options do not fit."""
    if fresh:
        folder.forget()
    if folder.has_state() and not resume:
        raise Refusal(reason(Code.DEMO_HAS_STATE, folder=folder.path))
    remembered = folder.remembered_seed()
    if remembered is not None and seed is not None and seed != remembered:
        raise Refusal(reason(Code.DEMO_SEED_FIXED, folder=folder.path, seed=remembered))
    return seed if remembered is None else remembered


def _listen(port: int, *, is_named: bool) -> socket.socket:
    try:
        return bind_socket(HOST, port)
    except PortTaken as taken:
        if is_named:
            raise Refusal(reason(Code.PORT_TAKEN, port=port, host=HOST)) from taken
        return bind_socket(HOST, 0)


def _choose_teller(*, as_json: bool) -> Teller:
    if as_json:
        return JsonTeller()
    return LiveTeller() if output.out.is_terminal else PlainTeller()


@dataclass(kw_only=True)
class _Demo:
    """One process of the demo: the line in a thread of its own, the main thread for signals."""

    folder: DemoFolder
    settings: Settings
    teller: Teller
    stays: bool
    temporal: str | None
    end_engine: Callable[[], None]
    stop: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None
    done: bool = False

    def play(self, listener: socket.socket) -> None:
        """Until the campaign is over and nobody wants to look any more, or a signal. Exits the process on a signal."""
        with _signals_set(self.stop):
            worker = threading.Thread(target=self._work, args=(listener,), name="fermata-demo", daemon=True)
            worker.start()
            while worker.is_alive() and not self.stop.is_set():
                worker.join(timeout=0.1)
            if self.stop.is_set():
                worker.join(timeout=STOP_SECONDS)
                self._leave()
        if self.failure is not None:
            raise self.failure

    def _work(self, listener: socket.socket) -> None:
        try:
            self._play(listener)
        except BaseException as error:  # noqa: BLE001 - the top of a thread: the main thread raises it again
            self.failure = error
            self.teller.close()

    def _play(self, listener: socket.socket) -> None:
        scenario = read_scenario(scenarios.path(SCENARIO))
        started = time.monotonic()
        database = open_database(f"sqlite:///{self.folder.store}")
        start = scenario.campaign.planned_as_of or clocks.utc_now()
        clock = CampaignClock(start, self.settings.speed)
        server = BackgroundServer(
            make_app(database, clock, simulated_at=self.settings.speed, settings=self.settings), listener
        )
        server.start()
        url = url_of(listener)
        self.teller.tell("board_up", f"Board: {url}", url=url, seconds=round(time.monotonic() - started, 2))
        line = DemoLine(
            database=database,
            scenario=scenario,
            clock=clock,
            world_log=self.folder.world,
            teller=self.teller,
            seed=self.settings.seed,
            temporal=self.temporal,
            stop=self.stop,
        )
        line.run()
        if not self.stop.is_set():
            self._sum_up(line, url)
            if self.stays:
                line.conduct_tail()
                self.stop.wait()
        server.stop()
        database.close()

    def _sum_up(self, line: DemoLine, url: str) -> None:
        with told_step(self.teller, "report", "Adding up the campaign") as conclude:
            report = line.report or make_report(line.database)
            summary = summary_to_json(report)
            conclude("Report made: fermata report " + self._store_option(), **summary)
        nodes = summary["nodes"]
        words = (
            f"{report.title} is over: {nodes['returned']:,} of {summary['nodes_in_scope']:,} nodes returned with proven"
            f" versions, {nodes['tail']:,} in the tail, {nodes['not_taken']:,} not taken;"
            f" {output.count(summary['limits_exceeded'], 'limit')} exceeded,"
            f" {output.count(summary['promises_broken'], 'promise')} broken."
        )
        self.teller.tell("campaign_over", words, **summary)
        if self.stays:
            self.teller.tell("staying", f"The board stays at {url}; Ctrl-C ends it.", url=url)
        self.done = True

    def _store_option(self) -> str:
        return f"--store {self.folder.store}"

    def _leave(self) -> None:
        """Says how to go on and ends the process at once: a solver's threads cannot be asked to stop."""
        self.teller.close()
        if self.done:
            self.teller.tell("stopped", f"Stopped. Look back with: fermata report {self._store_option()}")
        else:
            where = "" if self.folder.path == DEFAULT_FOLDER else f" --dir {self.folder.path}"
            self.teller.tell("stopped", f"Stopped; nothing is lost. Go on with: fermata demo --resume{where}")
        self.end_engine()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(output.DONE if self.done else output.INTERRUPTED)


@contextmanager
def _signals_set(stop: threading.Event) -> Iterator[None]:
    """SIGINT and SIGTERM set `stop` within the block."""
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in _STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
