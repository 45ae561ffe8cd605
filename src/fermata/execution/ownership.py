"""Who may save what: the leases that one worker holds on one run. Every write transaction of its stage checks them."""

import os
import secrets
import socket
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fermata.domain.ids import RunId, WindowId
from fermata.domain.reasons import Code, Reason, reason
from fermata.store import leases, wakes
from fermata.store.database import Connection, Database
from fermata.store.leases import LEAD, Lease

LEASE = timedelta(seconds=10)  # how long a killed worker's cohorts stand still; a paused one loses them after that
INTENT_LASTS = timedelta(seconds=30)  # from what was decided to its call: words and freezes may have come since
KEEP_SHARE = 3  # a lease is renewed when a third of it is over: two renewals may fail


class Outdated(Exception):
    """Somebody else conducts this by now: nothing was saved, and nothing more is to be done about it here."""

    def __init__(self, why: Reason) -> None:
        super().__init__(str(why))
        self.why = why


class HeldElsewhere(Exception):
    """Another worker, who is alive, conducts this."""

    def __init__(self, why: Reason) -> None:
        super().__init__(str(why))
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One moment by two clocks: `steady` never jumps, but stands while the machine sleeps; `date` may be set."""

    steady: datetime
    date: datetime


def _read_date() -> datetime:
    return datetime.now(UTC)


class SteadyWall:
    """Wall time that never jumps: read once, then carried on by the monotonic clock."""

    def __init__(self) -> None:
        self._read = datetime.now(UTC)
        self._at = time.monotonic()

    def __call__(self) -> datetime:
        """Aware UTC."""
        return self._read + timedelta(seconds=time.monotonic() - self._at)


@dataclass(kw_only=True)
class Ownership:
    """The leases of one stage. `adopts`: windows that this lead opens are its own cohorts from the start.

    `wall` and `date`: a clock that never jumps, and one that goes on while the machine sleeps.
    `held` has the generation each was taken with; `roused`: somebody made room since this was last set to False, and
    `rousing` that this one did.
    """

    run: RunId
    owner: str
    wall: Callable[[], datetime]
    lease: timedelta = LEASE
    date: Callable[[], datetime] = _read_date
    adopts: bool = True
    held: dict[WindowId, int] = field(default_factory=dict)
    roused: bool = False
    rousing: bool = False
    _rouse: dict[WindowId, int] = field(default_factory=dict, init=False)
    _until: datetime | None = field(default=None, init=False)

    @property
    def leads(self) -> bool:
        """True when this worker opens the run's windows."""
        return LEAD in self.held

    def take(self, conn: Connection, window: WindowId) -> bool:
        """Takes the lease if it is to be had."""
        now = self.wall()
        until = now + self.lease
        found = leases.take_lease(conn, self.run, window, self.owner, now=now, until=until, is_gone=is_gone)
        if found is None:
            return False
        self._until = until if self._until is None or not self.held else min(until, self._until)
        self.held[window] = found.generation
        self._look_roused(window, found.rouse)  # whatever room was made while somebody else had it, or nobody
        return True

    def take_all(self, conn: Connection) -> None:
        """Takes the lead and every cohort of the run. Raises HeldElsewhere."""
        for window in (LEAD, *leases.cohorts(conn, self.run)):
            if not self.take(conn, window):
                owner = leases.load_leases(conn, self.run)[window].owner
                raise HeldElsewhere(say_held(self.run, window, owner))

    def check(self, conn: Connection) -> None:
        """Within a write transaction: all that is held is still ours, and is kept. Raises Outdated."""
        if not self.held:
            return
        self._compare(conn)
        if self.is_due():
            self._keep(conn)

    def _compare(self, conn: Connection) -> None:
        found = leases.load_marks(conn, self.run, self.owner)
        for window, generation in self.held.items():
            now, rouse = found.get(window, (None, 0))
            if now != generation:
                raise Outdated(say_outdated(self.run, window))
            self._look_roused(window, rouse)

    def generation(self, window: WindowId) -> int:
        """Under which what is asked of units of `window` is asked. Trains have no lease: the lead conducts them."""
        return self.held.get(window, self.held.get(LEAD, 0))

    def hears(self, found: Lease) -> bool:
        """True when the lease, as it is now, says that there is news since this was last looked at."""
        return found.window in self.held and self._rouse.get(found.window) != found.rouse

    def _look_roused(self, window: WindowId, rouse: int) -> None:
        if self._rouse.get(window) != rouse:
            self._rouse[window] = rouse
            self.roused = True

    def is_due(self) -> bool:
        """True when the leases should be renewed."""
        return self._until is not None and self.wall() > self._until - self.lease + self.lease / KEEP_SHARE

    def keep(self, database: Database) -> None:
        """Renews the leases when that is due. Raises Outdated."""
        if self.held and self.is_due():
            with database.begin() as conn:
                self.check(conn)

    def ensure(self, database: Database) -> None:
        """Right before a call to the world: all is still ours by the store's own word, and the leases are not over, or
        they are renewed. Raises Outdated.
        """
        if self._until is not None and self.wall() >= self._until:
            self.keep(database)
        elif self.held:
            with database.read() as conn:
                self._compare(conn)

    def moment(self) -> Moment:
        """Now."""
        return Moment(steady=self.wall(), date=self.date())

    def age(self, moment: Moment) -> timedelta:
        """How long ago that was, by the clock by which it is longer; a date that was set back counts by how far."""
        now = self.moment()
        return max(now.steady - moment.steady, abs(now.date - moment.date))

    def renew(self, conn: Connection) -> None:
        """Keeps what is still ours, without looking whether all of it is: the next write does."""
        self._keep(conn)

    def _keep(self, conn: Connection) -> None:
        until = self.wall() + self.lease
        leases.set_until(conn, self.run, self.held, self.owner, until)
        self._until = until

    def drop_lost(self, conn: Connection) -> None:
        """Forgets what somebody else has taken."""
        found = leases.load_marks(conn, self.run, self.owner)
        for window, generation in list(self.held.items()):
            if window not in found or found[window][0] != generation:
                self.forget(window)

    def forget(self, window: WindowId) -> None:
        """Holds it no longer; the row stays."""
        self.held.pop(window, None)

    def rouse_others(self, conn: Connection) -> None:
        """There is room again under a limit that all cohorts share."""
        leases.rouse_others(conn, self.owner)
        wakes.hint(conn)
        self.rousing = True

    def begin_cohort(self, conn: Connection, window: WindowId) -> None:
        """A window opens: it is this worker's cohort, or whoever is free hears of it."""
        if self.adopts:
            self.take(conn, window)
        else:
            wakes.hint(conn)

    def end_cohort(self, conn: Connection, window: WindowId) -> None:
        """Nothing is left to do in a window: its lead looks whether the run is over."""
        leases.end_lease(conn, self.run, window)
        leases.rouse_lead(conn, self.run)
        wakes.hint(conn)

    def end(self, database: Database) -> None:
        """The run is over: nothing is left to hold."""
        with database.begin() as conn:
            leases.end_lease(conn, self.run)
        self.held.clear()

    def release(self, conn: Connection, windows: Collection[WindowId] | None = None) -> None:
        """Lets others have these, or all, at once. What is taken back before they do keeps its generation."""
        leaving = list(self.held) if windows is None else [window for window in windows if window in self.held]
        if leaving:
            leases.set_until(conn, self.run, leaving, self.owner, self.wall())
        for window in leaving:
            self.forget(window)


def say_outdated(run: RunId, window: WindowId) -> Reason:
    """Why a worker gives up."""
    return reason(Code.WORKER_OUTDATED, what=name_part(run, window))


def say_held(run: RunId, window: WindowId, owner: str) -> Reason:
    """Why a worker does not begin."""
    return reason(Code.HELD_BY_WORKER, what=name_part(run, window), owner=name_owner(owner))


def name_owner(owner: str) -> str:
    """A worker as a person looks for it."""
    host, _, pid, *_ = (*owner.split("/"), "", "")
    return f"process {pid} on {host}" if pid else owner


def name_part(run: RunId, window: WindowId) -> str:
    """What a lease is on, in words."""
    return f"the lead of {run}" if window == LEAD else f"window {window} of {run}"


def new_owner() -> str:
    """A name for one worker: where and as what it runs, and something that no other has."""
    return "/".join((socket.gethostname(), _space(), str(os.getpid()), _born(os.getpid()), secrets.token_hex(4)))


def is_gone(owner: str) -> bool:
    """True when `owner` was a process of this machine that has ended; False when that cannot be known."""
    parts = owner.split("/")
    if len(parts) != 5 or not parts[1] or parts[1] != _space():
        return False
    return not parts[3] or _born(int(parts[2])) != parts[3]


def _space() -> str:
    """Where process numbers mean the same: this boot of this machine, and this container of it. Empty: unknown."""
    boot, space = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    try:
        return f"{boot.read_text().strip()[:13]}.{space.readlink().name}"
    except OSError:
        return ""


def _born(pid: int) -> str:
    """When the process started, in ticks since boot; empty when there is none, or only what its parent has not read."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else fields[18]
