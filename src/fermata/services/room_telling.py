"""Tells in the rooms of a run what is due, on record and to everybody who subscribed, in one transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from fermata.domain.ids import ClusterId, RunId, WindowId
from fermata.domain.operations import Run, WindowRun
from fermata.domain.room import Bridge, Message, RoomLine, fill_bridge
from fermata.domain.room_announced import announce_own, announce_room
from fermata.domain.room_words import due_at, is_past
from fermata.domain.run_states import NOT_OPENED_YET
from fermata.services.posting import take_down_untold
from fermata.services.room_facts import Sources
from fermata.services.run_status import assemble
from fermata.store import rooms, runs
from fermata.store.announcing import announce_in
from fermata.store.database import Connection, Database

CONDUCTOR = "conductor"


class StoreRooms:
    """What the conductor has told in the rooms of its run. `bridge`: a link of the site's, "" for none; {window} and
    {cluster} in it are filled in.
    """

    def __init__(self, database: Database, bridge: str = "") -> None:
        self._database = database
        self._bridge = bridge
        self._sources = Sources()
        self._settled: set[WindowId] = set()  # over without a word, and taken down from pages

    def tend(self, run: RunId, now: datetime) -> datetime | None:
        """See `ports.Rooms`."""
        with self._database.read() as conn:
            found = runs.load_run(conn, run)
            assert found is not None, "who conducts a run has one"
            lasts = rooms.last_messages(conn, run)
            rows = runs.load_windows(conn, run)
            clusters = {row.window: row.cluster for row in rows}
            is_open = [row for row in rows if not _is_done(row, lasts.get(row.window), now)]
            begun = [row.window for row in is_open if row.state not in NOT_OPENED_YET or row.planned_start <= now]
            made = self._make(conn, found, begun, now) if begun else []
            over = [row for row in rows if row.window not in self._settled and _is_untold(row, lasts, now)]
        if made or over:
            with self._database.begin() as conn:
                known = rooms.last_messages(conn, run)
                for line in made:
                    _append_once(conn, line, known, clusters)
                take_down_untold(conn, over, now=now, actor=CONDUCTOR)
        self._settled |= {row.window for row in over}
        lasts |= {line.window: line.what for line in made if isinstance(line.what, Message)}
        dues = (due_at(lasts.get(row.window), row.planned_start) for row in is_open)
        return min((due for due in dues if due is not None and due > now), default=None)

    def _make(self, conn: Connection, run: Run, windows: Sequence[WindowId], now: datetime) -> list[RoomLine]:
        status = assemble(conn, run, now)
        made: list[RoomLine] = []
        for window in windows:
            lines = list(rooms.load_lines(conn, run.id, window))
            if not any(isinstance(line.what, Bridge | Message) for line in lines) and self._bridge:
                url = fill_bridge(self._bridge, window=window, cluster=self._sources.cluster(status, window))
                fresh = RoomLine(run=run.id, window=window, at=now, actor=CONDUCTOR, what=Bridge(url=url))
                lines.append(fresh)
                made.append(fresh)
            gathered = self._sources.gather(conn, run, status, window, lines, now)
            message = gathered.message() if gathered is not None and gathered.is_planned else None
            if message is not None:
                made.append(RoomLine(run=run.id, window=window, at=now, actor=CONDUCTOR, what=message))
            elif made and made[-1].window == window:
                made.pop()
        return made


def _is_done(row: WindowRun, last: Message | None, now: datetime) -> bool:
    """True when nothing is told of the window any more."""
    return is_past(row.state, row.back_by, now) if last is None else due_at(last, now) is None


def _is_untold(row: WindowRun, lasts: Mapping[WindowId, Message], now: datetime) -> bool:
    """True of a window of whose end no message tells, and none will."""
    return row.window not in lasts and is_past(row.state, row.back_by, now)


def _append_once(
    conn: Connection, line: RoomLine, known: Mapping[WindowId, Message], clusters: Mapping[WindowId, ClusterId]
) -> None:
    """A message that somebody told meanwhile is not told again."""
    message = line.what
    if isinstance(message, Message):
        last = known.get(line.window)
        if message.number != (last.number if last is not None else 0) + 1:
            return
        told = [announce_room(message, line.window, last)]
        if message.own is not None:
            told.append(announce_own(message, message.own, line.window, clusters[line.window]))
        for each in told:
            announce_in(conn, each, now=line.at, actor=line.actor)
    rooms.append_line(conn, line)
