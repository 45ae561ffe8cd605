"""`fermata demo`: server, board, simulated fleet and a whole campaign on this machine, on loopback, sped up."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from fermata import wiring
from fermata.cli import options, output
from fermata.cli.demo_folder import DemoFolder, held_folder
from fermata.cli.demo_line import DemoLine
from fermata.cli.demo_view import JsonTeller, LiveTeller, PlainTeller, Teller
from fermata.domain.reasons import Code, reason
from fermata.server.serving import BackgroundServer, PortTaken, bind_socket, url_of
from fermata.services.errors import Refusal
from fermata.settings import read_settings

DEFAULT_FOLDER = Path("fermata-demo")
HOST = "127.0.0.1"
STOP_SECONDS = 1.0  # for a conductor's step to end; whatever is cut off is taken up again, as after a power cut
REDRAW_SECONDS = 0.5
_STOPPING = (signal.SIGINT, signal.SIGTERM)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("demo")(demo)


def demo(
    directory: Annotated[Path, typer.Option("--dir", help="Folder that keeps the demo's state.")] = DEFAULT_FOLDER,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the demo in the folder.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the demo in the folder and start anew.")] = False,
    port: Annotated[int | None, typer.Option("--port", help="Port of the board.", show_default="8321 or free")] = None,
    speed: Annotated[float | None, typer.Option("--speed", help="Virtual seconds a second.", show_default="3000")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of plan and faults.", show_default="1")] = None,
    exit_when_done: Annotated[bool, typer.Option("--exit-when-done", help="Stop when the campaign is over.")] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Runs the January campaign on a simulated fleet, with the board, on this machine alone."""
    if resume and fresh:
        raise typer.BadParameter("--resume goes on, --fresh starts anew: choose one")
    with held_folder(directory) as folder:
        chosen_seed = _prepare(folder, resume=resume, fresh=fresh, seed=seed)
        settings = read_settings(host=HOST, port=port, speed=speed, seed=chosen_seed)
        listener = _listen(settings.port, named=port is not None)
        teller = _teller(as_json=as_json)
