"""Runs in parts: the lead of a run and each of its cohorts, conducted by whoever has the lease.

The activities of a durable engine call `tick`, for which each part has a stage of its own. The embedded worker's loop
takes parts one by one (`take`) and has all it took of a run on one stage (`tick_all`): units of several cohorts are
then decided, stored and asked for together.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from fermata.domain.ids import CampaignId, RunId, WindowId
from fermata.domain.run_states import LIVE_RUNS
from fermata.execution.conduct import Beat, next_instant, work
from fermata.execution.ownership import LEASE, Outdated, Ownership, SteadyWall, new_owner
from fermata.execution.patrol import PATROL, next_round
from fermata.execution.stage import Stage, set_stage
from fermata.formats.brake import BrakeFile
from fermata.ports import Clock, Site
from fermata.store import leases, runs
from fermata.store.database import Connection, Database
from fermata.store.leases import LEAD, Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What came of one look at a part. `is_over`: nothing will be left to do. `is_held`: another worker has it.
    `rouses`: it made room that other cohorts may wait for.

    `again_at`: when there is work again, at the latest. `cohorts`: of the lead, the windows in which something is left.
    """

    is_over: bool
    is_held: bool
    again_at: datetime
    rouses: bool = False
    cohorts: tuple[WindowId, ...] = ()


@dataclass(kw_only=True)
class _Part:
    stage: Stage
    beat: Beat = field(default_factory=Beat)
    loaded: dict[WindowId, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


_ALL = WindowId("*")  # in place of a window: all that was taken of a run, on one stage


@contextlib.contextmanager
def _forgetting(part: _Part) -> Iterator[None]:
    """After an error all is read again: what is in memory may be ahead of the rows."""
    try:
        yield
    except BaseException:
        part.loaded.clear()
        raise


@dataclass(kw_only=True)
class Parts:
    """What one process conducts of any run. Safe for several threads."""

    database: Database
    open_site: Callable[[CampaignId], Site]
    clock: Clock
    owner: str = field(default_factory=new_owner)
    wall: Callable[[], datetime] = field(default_factory=SteadyWall)
    lease: timedelta = LEASE
    crash: Callable[[str], None] | None = None
    brake: BrakeFile | None = None
    has_trains: bool = False
    _models: dict[RunId, Stage] = field(default_factory=dict)
    _parts: dict[tuple[RunId, WindowId], _Part] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tick(self, run: RunId, window: WindowId) -> Tick:
        """Does everything that is due now in one part, if its lease is to be had; it is kept for the next tick.

        Raises KeyError for an unknown run.
        """
        part = self._part(run, window)
        with part.lock, _forgetting(part):
            try:
                if not self._take(part, window):
                    return self._stand_by(part.stage, window)
                found = self._work(part)
            except Outdated:
                part.loaded.clear()
                part.stage.ownership.held.clear()
                return Tick(is_over=False, is_held=True, again_at=self.clock.now())
            with self.database.read() as conn:
                cohorts = leases.cohorts(conn, run) if window == LEAD and not found.is_over else ()
            return replace(found, is_over=found.is_over or window not in part.stage.ownership.held, cohorts=cohorts)

    def take(self, run: RunId, window: WindowId) -> bool:
        """Takes one part to those that `tick_all` conducts, if its lease is to be had and something is left to do in
        it. Raises KeyError for an unknown run.
        """
        part = self._part(run, _ALL)
        with part.lock:
            return self._take(part, window)

    def tick_all(self, run: RunId) -> Tick:
        """Does everything that is due now in the parts that were taken. What another worker has by now is let go of;
        with nothing left, it is over. Raises KeyError for an unknown run.
        """
        part = self._part(run, _ALL)
        with part.lock, _forgetting(part):
            try:
                found = self._work(part)
            except Outdated:
                part.stage.give_up()
                part.loaded.clear()
                return Tick(is_over=not part.stage.ownership.held, is_held=False, again_at=self.clock.now())
            return replace(found, is_over=found.is_over or not part.stage.ownership.held)

    def is_roused(self, run: RunId, window: WindowId, found: Lease | None) -> bool:
        """True when somebody did something, as its lease says, that this part waits for."""
        found_in = (self._parts.get((run, name)) for name in (window, _ALL))
        return found is not None and any(part is not None and part.stage.ownership.hears(found) for part in found_in)

    def keep(self) -> None:
        """Renews every lease that is held; called often, by a thread that port calls do not hold up."""
        for part in list(self._parts.values()):
            ownership = part.stage.ownership
            if ownership.held and ownership.is_due():
                with self.database.begin() as conn:
                    ownership.renew(conn)

    def release(self) -> None:
        """Lets others have everything at once."""
        for part in list(self._parts.values()):
            with part.lock, self.database.begin() as conn:
                part.stage.ownership.release(conn)

    def release_part(self, run: RunId, window: WindowId) -> None:
        """Lets others have one part. Until one of them does, what is in memory here stays good."""
        part = self._part(run, window)
        if part.stage.ownership.held:
            with part.lock, self.database.begin() as conn:
                part.stage.ownership.release(conn)

    def holds(self) -> tuple[tuple[RunId, WindowId], ...]:
        """The parts whose leases this process has."""
        parts = list(self._parts.items())
        return tuple((run, window) for (run, _), part in parts for window in part.stage.ownership.held)

    def _work(self, part: _Part) -> Tick:
        stage, now = part.stage, self.clock.now()
        held = stage.ownership.held
        if not held:
            return Tick(is_over=True, is_held=False, again_at=now)
        if held != part.loaded:
            if any(part.loaded.get(window) != generation for window, generation in held.items()):
                stage.reload()
                part.beat = Beat()
            part.loaded = dict(held)
        run = work(stage, part.beat, now)
        again_at = next_instant(stage, now)
        if (round_at := next_round(stage, part.beat.done_at.get(PATROL))) is not None:
            again_at = min(again_at, max(now, round_at))
        if stage.ownership.roused:
            again_at = now  # somebody said so while this was worked on
        rouses, stage.ownership.rousing = stage.ownership.rousing, False
        return Tick(is_over=run.state not in LIVE_RUNS, is_held=False, again_at=again_at, rouses=rouses)

    def _take(self, part: _Part, window: WindowId) -> bool:
        ownership = part.stage.ownership
        if window in ownership.held:
            return True
        with self.database.begin() as conn:
            return _is_there(conn, part.stage.run, window) and ownership.take(conn, window)

    def _stand_by(self, stage: Stage, window: WindowId) -> Tick:
        with self.database.read() as conn:
            is_there = _is_there(conn, stage.run, window)
        return Tick(is_over=not is_there, is_held=is_there, again_at=self.clock.now())

    def _part(self, run: RunId, window: WindowId) -> _Part:
        with self._lock:
            if run not in self._models:
                with self.database.read() as conn:
                    found = runs.load_run(conn, run)
                if found is None:
                    raise KeyError(run)
                ownership = Ownership(run=run, owner=self.owner, wall=self.wall, lease=self.lease, adopts=False)
                site = self.open_site(found.campaign)
                model = self._models[run] = set_stage(self.database, site, self.clock, run, ownership=ownership)
                model.brake = self.brake or model.brake
                model.has_trains = self.has_trains
            if (run, window) not in self._parts:
                stage = self._models[run].cast()
                if self.crash is not None:
                    stage.crash = self.crash
                self._parts[run, window] = _Part(stage=stage)
            return self._parts[run, window]


def _is_there(conn: Connection, run_id: RunId, window: WindowId) -> bool:
    """False when nothing is left to conduct."""
    if window != LEAD:
        return window in leases.cohorts(conn, run_id)
    run = runs.load_run(conn, run_id)
    return run is not None and run.state in LIVE_RUNS
