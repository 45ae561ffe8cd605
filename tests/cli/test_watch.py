"""`fermata watch`: the day in a terminal of any size, the figures of `status`, and what is not heard is told."""

import json
import os
import pty
import re
import select
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.cli.line import Line
from tests.conftest import copy_sqlite
from tests.server import world
from tests.server.conftest import HandClock, make_app

from fermata.cli.watch_feed import open_feed
from fermata.cli.watch_frame import DRAWN, TYPED, Heard, Screen, draw
from fermata.cli.watch_lines import changes
from fermata.server.serving import BackgroundServer
from fermata.services.board import BoardReader
from fermata.services.board_views import Board
from fermata.store.database import Database

SIZES = ((80, 24), (200, 60))


@pytest.fixture
def db(line: Line, sqlite_template: Path) -> Iterator[Database]:
    """The store of the command line, with a campaign half-way through."""
    copy_sqlite(sqlite_template, line.store)
    opened = Database(f"sqlite:///{line.store}")
    size = world.Size()
    world.save_campaign(opened, size)
    world.save_run(opened, size, world.save_plan(opened, size))
    yield opened
    opened.close()


@pytest.fixture
def board(db: Database) -> Board:
    return BoardReader(db).snapshot(world.NOW)


def until(said: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < end, "not within the time"
        time.sleep(0.05)


def test_figures_are_those_of_status(line: Line, db: Database) -> None:
    seen, status = line.run("watch", "--once", "--json").json, line.run("status", "--json").json
    for name in ("as_of", "run", "nodes_returned", "nodes_out", "nodes_in_tail", "in_service", "baseline_in_service"):
        assert seen[name] == status[name], name
    windows = {window["window"]: window for window in status["windows"]}
    assert seen["windows"]
    for one in seen["windows"]:
        told = windows[one["window"]]
        for name in ("planned_start", "planned_end", "opened_at", "closed_at", "nodes", "taken", "returned"):
            assert one[name] == told[name], name
        assert told["state"] != "open" or one["behind_minutes"] == told["behind_minutes"]
        enough = told["forecast"]["enough"] if told["forecast"] else None
        assert (one["back_median"], one["back_bound"]) == (
            (enough["median"], enough["bound"]) if enough else (None, None)
        )
    shown = line.run("watch", "--once").out
    assert f"{seen['nodes_returned']:,} of" in shown
    assert f"{seen['nodes_out']:,} out of" in shown


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_frame_fills_the_terminal_and_never_more(board: Board, width: int, height: int) -> None:
    heard = Heard(board=replace(board, needs=("Look at it. " * 30,)), where="here")
    lines, last = draw(heard, Screen(width=width, height=height))
    assert len(lines) == height
    assert all(line.cell_len <= width for line in lines)
    text = [line.plain for line in lines]
    assert text.index("Needs a person") < min(i for i, line in enumerate(text) if line.startswith("Wed 7 Jan:"))
    assert "q quit" in text[-1]
    assert "live" in text[0]
    down, _ = draw(heard, Screen(width=width, height=height), last)
    bottom = [line.plain for line in down if line.plain][-2]
    assert "more: fermata tail" in bottom, "the last line of the body"


def test_each_window_shows_steps_planned_and_actual_pace_and_why(board: Board) -> None:
    text = "\n".join(line.plain for line in draw(Heard(board=board, where=""), Screen(width=100, height=None))[0])
    for lane in board.lanes:
        assert lane.chip.cluster in text
        assert lane.chip.why is None or lane.chip.why in " ".join(text.split())
    planned = next(line for line in text.splitlines() if line.startswith("h200-southcentralus-01"))
    assert re.search(r"d+a+r+v+", planned)
    assert "━" in text.splitlines()[text.splitlines().index(planned) + 1]
    assert re.search(r"behind by \d", text)
    typed = draw(Heard(board=board, where=""), Screen(width=100, height=None, strokes=TYPED))[0]
    assert not set(DRAWN.done + DRAWN.median) & set("".join(line.plain for line in typed))


def test_a_terminal_that_wants_no_colours_and_a_pipe_get_none(line: Line, db: Database) -> None:
    command = [sys.executable, "-m", "fermata", "watch", "--once", "--store", str(line.store)]
    piped = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "\x1b" not in piped
    plain, _ = in_terminal(command, {"NO_COLOR": "1"})
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", plain)
    coloured, code = in_terminal(command, {})
    assert re.search(r"\x1b\[[0-9;]*3[0-9]m", coloured)
    assert code == 0


def in_terminal(command: list[str], environment: dict[str, str], keys: bytes = b"") -> tuple[str, int]:
    """What is written to a terminal of 80x24, where somebody presses keys once there is something to read."""
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 80))
    before = termios.tcgetattr(follower)
    outside = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
    child = subprocess.Popen(
        command,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**outside, "TERM": "xterm-256color", **environment},
    )
    said, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([leader], [], [], 0.1)[0]:
            said += os.read(leader, 65536)
        elif child.poll() is not None:
            break
        if keys and b"Needs a person" in said:
            os.write(leader, keys[:1])
            keys = keys[1:]
            time.sleep(0.4)
    assert child.wait(10) is not None
    assert termios.tcgetattr(follower) == before, "the terminal is as it was"
    os.close(leader)
    os.close(follower)
    return said.decode(), child.returncode


def test_keys_scroll_and_quit(line: Line, db: Database) -> None:
    said, code = in_terminal([sys.executable, "-m", "fermata", "watch", "--store", str(line.store)], {}, b"jjGq")
    assert code == 0
    assert "\x1b[?1049h" in said, "a screen of its own"
    assert "\x1b[?1049l" in said
    assert "lines 3–22" in said
    assert "and 5 more: fermata tail" in said


def test_a_pipe_gets_a_line_for_each_change(db: Database, board: Board) -> None:
    first = list(changes(None, board))
    assert sum("Needs a person" in line for line in first) == len(board.needs) + 1
    assert all(any(lane.chip.cluster in line for line in first) for lane in board.lanes)
    assert all(line.startswith("2026-01-07 22:40Z  ") for line in first)
    assert list(changes(board, replace(board, now=board.now + timedelta(minutes=1)))) == []
    lane = board.lanes[0]
    closed = replace(lane, closed=board.now, chip=replace(lane.chip, closed=board.now))
    (told,) = changes(board, replace(board, lanes=(closed, *board.lanes[1:])))
    assert lane.chip.cluster in told
    assert "closed 14:40 PST" in told
    (over,) = changes(board, replace(board, note=None))
    assert "Over: 2 windows behind" in over


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def serving(db: Database, port: int) -> BackgroundServer:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    server = BackgroundServer(make_app(db, HandClock(world.NOW)), listener)
    server.start()
    return server


def test_a_server_is_followed_and_found_again_and_silence_is_told(line: Line, db: Database) -> None:
    port = free_port()
    server = serving(db, port)
    feed = open_feed("", f"http://127.0.0.1:{port}")
    feed.start()
    try:
        until(lambda: feed.heard.board is not None)
        before = feed.heard.board
        assert before is not None
        assert feed.heard.old is None
        with db.begin() as conn:
            conn.exec_driver_sql("update unit_op set state = 'returned' where unit = 'h200-southcentralus-01-n0003'")
        until(lambda: feed.heard.board is not None and feed.heard.board.figures != before.figures)
        after = feed.heard.board
        server.stop()
        until(lambda: feed.heard.trouble is not None)
        assert feed.heard.board is after, "what was known stays in sight"
        until(lambda: (feed.heard.old or 0) > 0.5)
        top = draw(feed.heard, Screen(width=80, height=24))[0][0].plain
        assert top.startswith("OLD: figures of ")
        server = serving(db, port)
        until(lambda: feed.heard.trouble is None)
        assert feed.heard.old is None
    finally:
        feed.end()
        server.stop()


def test_a_dead_server_is_refused_once_and_asked_again_when_watched(line: Line) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    answer = line.run("watch", "--once", "--server", url, "--json", store=False)
    assert answer.code == 1
    assert json.loads(answer.out)["error"]["code"] == "SERVER_UNREACHABLE"
    feed = open_feed("", url)
    feed.start()
    until(lambda: feed.heard.trouble is not None)
    feed.end()
    lines = draw(feed.heard, Screen(width=80, height=24))[0]
    assert url in lines[0].plain
    assert lines[1].plain.startswith("OLD")


def test_before_there_is_a_plan_it_says_what_to_do(line: Line, sqlite_template: Path) -> None:
    copy_sqlite(sqlite_template, line.store)
    assert "fermata import scenario DIR" in line.run("watch", "--once").out
