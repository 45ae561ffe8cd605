"""Leases: which worker conducts the lead of a run, or one cohort of it. A lease that changes hands gets a new
generation, and whoever saves with an older one saves nothing.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Column, Connection, ForeignKey, Integer, String, Table, bindparam, delete, insert, select, update

from fermata.domain.ids import RunId, WindowId
from fermata.domain.run_states import WindowState
from fermata.store.asking import ask, change
from fermata.store.runs import window_run
from fermata.store.schema import UtcTime, metadata
from fermata.store.unit_ops import unit_op

LEAD = WindowId("")  # in place of a window: the lead of the run
_NOBODY = ""
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

AHEAD = 1 << 20  # how far generations of leases go up: past all that were given after a copy was taken

lease = Table(
    "lease",
    metadata,
    Column("run", ForeignKey("run.id"), primary_key=True),
    Column("window", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("until", UtcTime, nullable=False),
    Column("rouse", Integer, nullable=False),
)

_OF_RUN = select(lease).where(lease.c.run == bindparam("of_run"))
_ONE = (lease.c.run == bindparam("of_run"), lease.c.window == bindparam("of_window"))
_OF_WINDOW = select(lease).where(*_ONE)
_TAKE = (
    update(lease)
    .where(*_ONE)
    .values(owner=bindparam("taker"), generation=bindparam("taken_as"), until=bindparam("taken_until"))
)


_MARKS = select(lease.c.window, lease.c.generation, lease.c.rouse).where(  # in every write transaction of a conductor
    lease.c.run == bindparam("of_run"), lease.c.owner == bindparam("of_owner")
)
_ROUSE = update(lease).where(*_ONE).values(rouse=lease.c.rouse + 1)
_ROUSE_OTHERS = update(lease).where(lease.c.owner != bindparam("of_owner")).values(rouse=lease.c.rouse + 1)
_UNFINISHED = (
    select(unit_op.c.window).where(unit_op.c.run == bindparam("of_run"), unit_op.c.finished_at.is_(None)).distinct()
)
_ARE_OPEN = select(window_run.c.window).where(
    window_run.c.run == bindparam("of_run"), window_run.c.state == WindowState.OPEN.value
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """`until` is wall time. `rouse` grows whenever somebody else made room that units of this cohort may wait for."""

    run: RunId
    window: WindowId
    owner: str
    generation: int
    until: datetime
    rouse: int


def load_leases(conn: Connection, run: RunId) -> dict[WindowId, Lease]:
    """All leases of a run, by window."""
    found = (_to_lease(*row) for row in ask(conn, _OF_RUN, of_run=run))
    return {each.window: each for each in found}


def list_held(conn: Connection) -> tuple[Lease, ...]:
    """Every lease that somebody holds, of all runs, by run and window."""
    query = select(lease).where(lease.c.owner != _NOBODY).order_by(lease.c.run, lease.c.window)
    return tuple(_to_lease(*row) for row in conn.execute(query))


def load_marks(conn: Connection, run: RunId, owner: str) -> dict[WindowId, tuple[int, int]]:
    """Of the leases that `owner` has, by window: generation and `rouse`."""
    found = ask(conn, _MARKS, of_run=run, of_owner=owner)
    return {WindowId(window): (generation, rouse) for window, generation, rouse in found}


def take_lease(  # noqa: PLR0913 - a lease has that many sides
    conn: Connection,
    run: RunId,
    window: WindowId,
    owner: str,
    *,
    now: datetime,
    until: datetime,
    is_gone: Callable[[str], bool],
) -> Lease | None:
    """The lease, if it is free, over, or ours already; None while somebody else holds it.

    `is_gone`: true of owners who are known to have ended; their leases are over at once.
    """
    rows = ask(conn, _OF_WINDOW, of_run=run, of_window=window)
    if not rows:
        made = Lease(run=run, window=window, owner=owner, generation=1, until=until, rouse=0)
        conn.execute(
            insert(lease).values(run=run, window=window, owner=owner, generation=1, until=until, rouse=made.rouse)
        )
        return made
    found = _to_lease(*rows[0])
    if found.owner != owner and found.until > now and not is_gone(found.owner):
        return None
    generation = found.generation + (found.owner != owner)
    change(conn, _TAKE, of_run=run, of_window=window, taker=owner, taken_as=generation, taken_until=until)
    return Lease(run=run, window=window, owner=owner, generation=generation, until=until, rouse=found.rouse)


def set_until(conn: Connection, run: RunId, windows: Collection[WindowId], owner: str, until: datetime) -> None:
    """Moves the end of leases that `owner` holds: further away to keep them, to now to let others have them."""
    held = (lease.c.run == run, lease.c.window.in_(sorted(windows)), lease.c.owner == owner)
    conn.execute(update(lease).where(*held).values(until=until))


def end_lease(conn: Connection, run: RunId, window: WindowId | None = None) -> None:
    """Nothing is left to conduct in a window, or, with None, in the whole run. Of a window the number stays: its units
    may be taken out again, and their targets remember the newest generation that they heard of.
    """
    if window is None:
        conn.execute(delete(lease).where(lease.c.run == run))
        return
    ended = update(lease).where(lease.c.run == run, lease.c.window == window)
    conn.execute(ended.values(owner=_NOBODY, until=_LONG_AGO))


def rouse_others(conn: Connection, owner: str) -> None:
    """There is room again under a limit that all cohorts share: whoever waits for it looks again."""
    change(conn, _ROUSE_OTHERS, of_owner=owner)


def rouse_lead(conn: Connection, run: RunId) -> None:
    """A cohort did something that the lead of its run waits for."""
    change(conn, _ROUSE, of_run=run, of_window=LEAD)


def cohorts(conn: Connection, run: RunId) -> tuple[WindowId, ...]:
    """The windows in which something is left to do, by id."""
    names = (row[0] for asked in (_UNFINISHED, _ARE_OPEN) for row in ask(conn, asked, of_run=run))
    return tuple(sorted({WindowId(name) for name in names}))


def _to_lease(run: str, window: str, owner: str, generation: int, until: datetime, rouse: int) -> Lease:
    return Lease(run=RunId(run), window=WindowId(window), owner=owner, generation=generation, until=until, rouse=rouse)


def outdate(conn: Connection) -> None:
    """Of a store that came back: whoever held a lease before holds none now, and is older than all who will."""
    conn.execute(update(lease).values(generation=lease.c.generation + AHEAD, owner=""))
