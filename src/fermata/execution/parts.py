"""Runs in parts: the lead of a run and each of its cohorts on a stage of its own, conducted by whoever has the lease.

Both drivers for several workers call `tick`: the embedded worker's loop, and the activities of a durable engine.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
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
    generation: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


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
        with part.lock:
            try:
                return self._tick(part, window)
            except Outdated:
                part.generation = 0
                part.stage.ownership.held.clear()
                return Tick(is_over=False, is_held=True, again_at=self.clock.now())
            except BaseException:
                part.generation = 0  # what is in memory may be ahead of the rows
                raise

    def is_roused(self, run: RunId, window: WindowId, found: Lease | None) -> bool:
        """True when somebody did something, as its lease says, that this part waits for."""
        part = self._parts.get((run, window))
        return part is not None and found is not None and part.stage.ownership.hears(found)

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
        return tuple(key for key, part in list(self._parts.items()) if part.stage.ownership.held)

    def _tick(self, part: _Part, window: WindowId) -> Tick:
        stage, now = part.stage, self.clock.now()
        if not self._take(part, window):
            return self._stand_by(stage, window)
        run = work(stage, part.beat, now)
        is_over = run.state not in LIVE_RUNS or window not in stage.ownership.held
        again_at = next_instant(stage, now)
        if (round_at := next_round(stage, part.beat.done_at.get(PATROL))) is not None:
            again_at = min(again_at, max(now, round_at))
        if stage.ownership.roused:
            again_at = now  # somebody said so while this was worked on
        with stage.database.read() as conn:
            cohorts = leases.cohorts(conn, stage.run) if window == LEAD and not is_over else ()
        rouses, stage.ownership.rousing = stage.ownership.rousing, False
        return Tick(is_over=is_over, is_held=False, again_at=again_at, rouses=rouses, cohorts=cohorts)

    def _take(self, part: _Part, window: WindowId) -> bool:
        ownership = part.stage.ownership
        if window not in ownership.held:
            with self.database.begin() as conn:
                if not _is_there(conn, part.stage.run, window) or not ownership.take(conn, window):
                    return False
        if ownership.held[window] != part.generation:
            part.stage.reload()
            part.beat = Beat()
            part.generation = ownership.held[window]
        return True

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
