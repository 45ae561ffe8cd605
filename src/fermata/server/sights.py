"""A context for each part of the fleet that somebody sees: made when it is first asked for, closed when it is idle."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

from fermata.domain.identity import Sight
from fermata.server.context import Context
from fermata.services.board import Database
from fermata.services.sights import find_foreign_names

KEPT_MOST = 16  # each has a board, a picture of the doors and the tables of its last queries
WATCHED_MOST = 32  # with those that somebody watches: closing one has its browsers come back, which opens it again
IDLE_SECONDS = 600.0  # nobody looked for so long: whoever comes back waits for one reading of the store


@dataclass(slots=True, kw_only=True)
class _Kept:
    """`reading` is a view; `changing` the same, whose changes begin in the whole store."""

    reading: Context
    changing: Context
    used: float
    board: "Future[None] | None" = None

    @property
    def is_watched(self) -> bool:
        return self.reading.live.viewers > 0

    def close(self) -> None:
        self.reading.live.close()
        if self.board is not None:
            self.board.cancel()
        self.reading.desk.close()
        self.reading.db.close()


class Sights:
    """`make` builds a context over a view of the store of `whole`, `clock` is in seconds and never goes back. Safe for
    many threads.
    """

    def __init__(
        self, whole: Context, make: Callable[[Database], Context], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._whole = whole
        self._make = make
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[Sight, _Kept] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def run_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Boards of parts are kept fresh there while somebody watches."""
        self._loop = loop

    def look(self, sight: Sight, *, to_change: bool) -> Context:
        """The context of that sight; `to_change`: for a change that was allowed."""
        with self._lock:
            kept = self._kept.pop(sight, None) or self._open(sight)
            gone = self._make_room(self._clock())
            kept.used = self._clock()
            self._kept[sight] = kept  # the one used last is the last to go
        for each in gone:
            each.close()
        return kept.changing if to_change else kept.reading

    def foreign(self, sight: Sight, asked: frozenset[str]) -> frozenset[str]:
        """Those of `asked` that are names of things out of that sight, as of now."""
        return find_foreign_names(self._whole.db, self.look(sight, to_change=False).db, asked)

    def close(self) -> None:
        """Ends all of them."""
        with self._lock:
            gone, self._kept = list(self._kept.values()), {}
        for each in gone:
            each.close()

    def _make_room(self, now: float) -> list[_Kept]:
        """Takes out, for one more, whom nobody used for long, and those used longest ago of too many. Who is watched is
        in use, and goes only when that makes too many, too.
        """
        for each in self._kept.values():
            if each.is_watched:
                each.used = now
        idle = [name for name, each in self._kept.items() if now - each.used > IDLE_SECONDS]
        gone = [self._kept.pop(name) for name in idle]
        quiet = [name for name, each in self._kept.items() if not each.is_watched]
        gone += [self._kept.pop(name) for name in quiet[: max(0, len(self._kept) + 1 - KEPT_MOST)]]
        gone += [self._kept.pop(name) for name in list(self._kept)[: max(0, len(self._kept) + 1 - WATCHED_MOST)]]
        return gone

    def _open(self, sight: Sight) -> _Kept:
        view = self._whole.db.seen_by(sight)
        made = self._make(view)
        changing = replace(made, db=view.written_whole(self._whole.db))
        board = None if self._loop is None else asyncio.run_coroutine_threadsafe(made.live.run(), self._loop)
        return _Kept(reading=made, changing=changing, used=0.0, board=board)
