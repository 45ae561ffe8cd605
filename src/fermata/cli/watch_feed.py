"""Where `fermata watch` hears of changes: a server's event stream, or a store, looked at again and again."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from fermata.cli import options
from fermata.cli.credentials import connect
from fermata.cli.watch_frame import Heard
from fermata.client import ServerRefusal
from fermata.services import runs
from fermata.services.board import BoardReader
from fermata.services.board_views import Board
from fermata.services.errors import Refusal
from fermata.settings import read_settings
from fermata.store.database import Database, StoreUnavailable
from fermata.wiring import clocks
from fermata.wiring.stores import open_brake

LOOK_SECONDS = 2.0  # between two looks at a store, and before a server is asked again
RETRY_SECONDS_MAX = 15.0
Tell = Callable[[str, Board | None, str | None], None]


@dataclass(slots=True)
class _Last:
    version: str = ""
    board: Board | None = None
    good_at: float | None = None
    trouble: str | None = None


class Feed(threading.Thread):
    """Keeps what was heard last. `read` tells until it raises; it is called again after a pause that grows."""

    def __init__(self, where: str, read: Callable[[Tell, threading.Event], None]) -> None:
        super().__init__(daemon=True, name="watch")
        self._where = where
        self._read = read
        self._lock = threading.Lock()
        self._last = _Last()
        self._ended = threading.Event()
        self.news = threading.Event()  # set whenever something was heard

    @property
    def heard(self) -> Heard:
        """What is known now."""
        with self._lock:
            last = self._last
            old = None
            if last.trouble is not None:
                old = time.monotonic() - (last.good_at if last.good_at is not None else time.monotonic())
            return Heard(board=last.board, where=self._where, old=old, trouble=last.trouble)

    def run(self) -> None:
        """Until `end`."""
        pause = LOOK_SECONDS / 2
        while not self._ended.is_set():
            try:
                self._read(self._tell, self._ended)
            except (Refusal, ServerRefusal, StoreUnavailable) as refused:
                if self._last.trouble is None:
                    pause = LOOK_SECONDS / 2
                pause = min(RETRY_SECONDS_MAX, pause * 2)
                self._fail(refused)
            self._ended.wait(pause)

    def end(self) -> None:
        """It tells no more."""
        self._ended.set()

    def _tell(self, version: str, board: Board | None, trouble: str | None) -> None:
        """`board` None: as before."""
        with self._lock:
            last = self._last
            last.version, last.board, last.trouble = version, board or last.board, trouble
            if trouble is None:
                last.good_at = time.monotonic()
        self.news.set()

    def _fail(self, refused: Exception) -> None:
        with self._lock:
            self._last.trouble = _short(refused)
        self.news.set()


def _short(refused: Exception) -> str:
    match refused:
        case Refusal(reasons=(first, *_)):
            return first.sentence
        case _:
            return str(refused)


def open_feed(store: str, server: str | None) -> Feed:
    """The feed of the server, if one is named, else of the store."""
    if server is not None:
        return Feed(server, lambda tell, ended: _follow_server(server, tell, ended))
    return Feed(store, lambda tell, ended: _follow_store(store, tell, ended))


def _follow_server(server: str, tell: Tell, ended: threading.Event) -> None:
    with connect(server) as verbs:
        seen = ""
        for version, trouble in verbs.listen_board():
            if ended.is_set():
                return
            tell(version, verbs.show_board() if version != seen else None, trouble)
            seen = version


def _follow_store(store: str, tell: Tell, ended: threading.Event) -> None:
    with options.opened_store(store) as database:
        reader = reader_of(database)
        while not ended.is_set():
            tell("", look(database, reader), None)
            ended.wait(LOOK_SECONDS)


def reader_of(database: Database) -> BoardReader:
    """Reads the board of a store, this machine's brake with it."""
    return BoardReader(database, open_brake(database.url, read_settings()))


def look(database: Database, reader: BoardReader) -> Board:
    """The board as of the instant up to which the run was worked on, like `fermata status`; without a run, now."""
    worked_on = runs.worked_until(database)
    return reader.snapshot(worked_on or clocks.utc_now())
