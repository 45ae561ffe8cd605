"""`fermata watch`: the day, live in a terminal."""

from typing import Annotated

import orjson
import typer
from rich.console import Group
from rich.live import Live

from fermata.cli import options, output
from fermata.cli.credentials import connect
from fermata.cli.keys import Keys
from fermata.cli.watch_feed import Feed, look, open_feed, reader_of
from fermata.cli.watch_frame import DRAWN, FOOT_LINES, HEAD_LINES, TYPED, Heard, Screen, draw
from fermata.cli.watch_lines import changes, facts
from fermata.services.board_views import Board

KEY_SECONDS = 0.25  # how long a key, or news, may wait to be seen
SCROLLS = {"up": -1, "down": 1}

OnceOption = Annotated[bool, typer.Option("--once", help="Print it as it is now, and end.")]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("watch")(watch)


def watch(
    *,
    once: OnceOption = False,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Today as it goes: what needs a person, and each window with its steps, planned and actual, when it is back, and
    how far ahead or behind it is. A pipe gets a line for each change, with --json an object a line. Ends with q.
    """
    if once:
        _print_once(_look_once(store, server), as_json=as_json)
        return
    feed = open_feed(store, server)
    feed.start()
    try:
        if output.out.is_terminal and not as_json:
            _show(feed)
        else:
            _follow(feed, as_json=as_json)
    finally:
        feed.end()


def _look_once(store: str, server: str | None) -> Board:
    if server is not None:
        with connect(server) as verbs:
            return verbs.show_board()
    with options.opened_store(store) as database:
        return look(database, reader_of(database))


def _print_once(board: Board, *, as_json: bool) -> None:
    if as_json:
        output.print_json(facts(board))
        return
    lines, _ = draw(Heard(board=board, where=""), _screen(height=None))
    output.out.print(*lines, sep="\n", crop=False, soft_wrap=True)


def _screen(height: int | None) -> Screen:
    strokes = DRAWN if output.out.encoding.lower().startswith("utf") else TYPED
    return Screen(width=output.terminal_width(), height=height, strokes=strokes)


def _show(feed: Feed) -> None:
    top = 0
    with Keys() as keys, Live(console=output.out, screen=True, auto_refresh=False) as live:
        while True:
            height = output.out.size.height
            lines, last = draw(feed.heard, _screen(height), top)
            top = min(top, last)
            live.update(Group(*lines), refresh=True)
            key = keys.wait(KEY_SECONDS)
            if key == "quit":
                return
            top = _scrolled(key, top, last, max(1, height - HEAD_LINES - FOOT_LINES - 1))


def _scrolled(key: str | None, top: int, last: int, page: int) -> int:
    match key:
        case "page up" | "page down":
            step = page if key == "page down" else -page
        case "top" | "bottom":
            step = last if key == "bottom" else -last
        case _:
            step = SCROLLS.get(key or "", 0)
    return min(last, max(0, top + step))


def _follow(feed: Feed, *, as_json: bool) -> None:
    """Lines for each change, until nobody reads them."""
    before: Board | None = None
    trouble: str | None = None
    while True:
        feed.news.wait()
        feed.news.clear()
        heard = feed.heard
        if heard.trouble != trouble:
            trouble = heard.trouble
            output.err.print(f"Old figures: {trouble}" if trouble else "Heard again.", markup=False, soft_wrap=True)
        board = heard.board
        if board is None or board is before:
            continue
        lines = list(changes(before, board))
        before = board
        if as_json and lines:
            output.print_line(orjson.dumps(facts(board)).decode())
        elif not as_json:
            for line in lines:
                output.print_line(line)
