"""One seed: planned by the planner, conducted by the conductor on store and ports, watched at every instant."""

import random
import shutil
import sqlite3
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from functools import cache
from pathlib import Path

from sqlalchemy import event
from tests.simulation.cases import SmallCase, make_case
from tests.simulation.crashing import Killed, Saboteur
from tests.simulation.mirror import Mirror, Trace, install
from tests.simulation.preparing import prepare
from tests.simulation.troubles import (
    Customers,
    Process,
    ProcessClock,
    SetClock,
    ShakyDatabase,
    Troubles,
    TrueClock,
    hurry,
)
from tests.simulation.watching import Broken, Watcher

from fermata.domain.ids import RunId
from fermata.domain.plans import Plan
from fermata.domain.run_states import LIVE_RUNS
from fermata.domain.windows import local_to_utc
from fermata.execution.embedded import conduct
from fermata.execution.ownership import LEASE, Outdated, Ownership
from fermata.ports import Ask
from fermata.services import runs as run_service
from fermata.sim.fates import Faults
from fermata.sim.machines import WorldBroken
from fermata.sim.site import open_site
from fermata.sim.world import World, cut_key, open_world
from fermata.store.database import Database, StoreUnavailable, migrate

LAST_LINES = 15
AFTERWARDS = timedelta(days=5)  # after the last day of a campaign: repairs are over by then, or never come
WORKED_ELSEWHERE = 25  # instants, at most, that another process works while the first is paused
HARSH = Faults(
    fails=0.04, hangs=0.02, false_done=0.03, slow_drain=0.08, unhealthy=0.03, device_fails=0.08, lost=0.02, busy=0.02,
    fallout=0.06, mean_days_to_repair=0.3, half_done=0.02, done_anyway=0.02, device_dies=0.03, flaps=0.03, no_bmc=0.15,
    cut_off=0.03, no_answer=0.03, stale=0.02, missing=0.02, breaks=0.05, bad_update="gpu",
)  # fmt: skip


KINDS_OF_TROUBLE = (
    "bad update breaks a node",
    "call has no answer: answer lost",
    "call has no answer: never arrived",
    "call is put off",
    "clock set back",
    "clock set forward",
    "cluster is cut off",
    "customer approves again",
    "customer declines",
    "customer ends a freeze",
    "customer freezes",
    "customer withdraws",
    "drain is slow",
    "inventory is stale",
    "inventory leaves a unit out",
    "item has no answer",
    "item is put off",
    "late call is refused",
    "node flaps",
    "node has no BMC",
    "node is unhealthy",
    "node never returns",
    "operator pauses",
    "operator resumes",
    "operator rolls back",
    "process doubled",
    "process killed",
    "process paused between intent and call",
    "somebody asks for a repair",
    "store restarted after a commit",
    "store restarted before a transaction",
    "update fails",
    "update fails and is done anyway",
    "update hangs",
    "update is half done",
    "update is not taken by a part",
    "update kills its device",
    "update lies",
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one seed. `broken`: name and words of the invariant that did not hold, or None."""

    seed: int
    broken: tuple[str, str] | None
    happened: Counter[str]
    ticks: int = 0
    moves: int = 0
    windows: int = 0
    last_lines: tuple[str, ...] = ()
    trace: str = ""


@dataclass(kw_only=True)
class Play:
    """All that one seed needs."""

    case: SmallCase
    folder: Path
    faults: Faults
    troubles: Troubles
    happened: Counter[str] = field(default_factory=Counter)


def play(seed: int, *, faults: Faults = HARSH, troubles: Troubles | None = None) -> Outcome:
    """Simulates one seed to its end, or to the first breach."""
    with tempfile.TemporaryDirectory(prefix="fermata-simulate-") as name:
        made = Play(case=make_case(seed), folder=Path(name), faults=faults, troubles=troubles or Troubles())
        return _Simulation(made).run()


class _Simulation:
    def __init__(self, made: Play) -> None:
        self._made = made
        seed = made.case.seed
        self._path = made.folder / "store.sqlite"
        shutil.copy(_empty_store(), self._path)
        self._plain = Database(f"sqlite:///{self._path}")
        event.listen(self._plain.engine, "connect", hurry)
        self._dice = random.Random(f"clock {seed}")
        self._store_dice = random.Random(f"store {seed}")
        self._customers = Customers(made.case, self._plain, random.Random(f"customers {seed}"), made.happened)
        self._process = Process(random.Random(f"process {seed}"), made.troubles, made.happened)
        self._clock = SetClock(made.case.now, self._waits)
        self._watcher: Watcher | None = None
        self._world: World | None = None
        self._processes: list[ProcessClock] = []
        self._instants, self._end = 0, made.case.now
        self._wall, self._owners = made.case.now, 0  # leases go by a clock of their own
        self._shaky = ShakyDatabase(self._plain.url, self._before_write, self._store_fate, made.happened)

    def run(self) -> Outcome:
        """To the end, or to the first breach."""
        broken, trace, plan = None, "", None
        try:
            prepared = prepare(self._made.case.seed, self._plain, self._customers)
            if prepared is not None:
                self._made.case, plan = prepared
                self._conduct(plan)
        except (Broken, WorldBroken) as found:
            rule = found.invariant if isinstance(found, Broken) else found.rule
            broken, trace = (rule, str(found)), traceback.format_exc()
        except Exception as crashed:  # noqa: BLE001 - whatever ends the conductor is a breach: its work is lost
            broken, trace = ("no_lost_work", f"{type(crashed).__name__}: {crashed}"), traceback.format_exc()
        lines = self._last_lines()
        self._close()
        watcher, world = self._watcher, self._world
        return Outcome(
            seed=self._made.case.seed,
            broken=broken,
            happened=self._made.happened + (world.happened if world else Counter()),
            ticks=watcher.ticks if watcher else 0,
            moves=watcher.moves if watcher else 0,
            windows=len(plan.windows) if plan else 0,
            last_lines=lines,
            trace=trace,
        )

    def _conduct(self, plan: Plan) -> None:
        case = self._made.case
        install(str(self._path))
        run = run_service.start(
            self._plain, case.campaign.id, now=case.now, actor="operator", new_id=self._customers.new_id
        )
        log, faults = self._made.folder / "world.jsonl", replace(self._made.faults, bad_updates=case.bad)
        world = open_world(case.fleet, case.catalogue, faults=faults, seed=case.seed, path=log)
        mirror = Mirror(fleet=case.fleet, catalogue=case.catalogue, campaign=case.campaign)
        trace = Trace(str(self._path))
        self._world = world
        self._watcher = Watcher(world, self._plain, trace, mirror, self._clock.now)
        self._process.go_on_elsewhere = lambda: self._work_elsewhere(run.id)
        self._process.freeze_meanwhile = self._freeze_meanwhile
        end = self._end = local_to_utc(case.campaign.extension_until, time(0), case.campaign.timezone) + AFTERWARDS
        while self._clock.true < end and self._attempt(run.id, lambda: self._clock.true >= end):
            pass
        self._watcher.finish(self._clock.now(), self._clock.true, plan)
        trace.close()

    def _attempt(self, run: RunId, stop: Callable[[], bool]) -> bool:
        """Starts the conductor's process: True when it has to be started again."""
        assert self._world is not None
        site = _Points(self._process).around(open_site(self._world, TrueClock(self._clock)))
        clock = ProcessClock(self._clock)
        self._processes.append(clock)
        try:
            ended = conduct(self._shaky, site, clock, run, stop=stop, crash=self._process, ownership=self._own(run))
        except (Killed, StoreUnavailable, Outdated):
            self._look()
            return True
        finally:
            self._processes.pop()
        return ended.state in LIVE_RUNS and not stop()

    def _own(self, run: RunId) -> Ownership:
        """A new process comes when the leases of the one before are over: it is dead, or paused for too long."""
        self._wall += 2 * LEASE
        self._owners += 1
        wall = self._read_wall
        return Ownership(run=run, owner=f"process {self._owners}", wall=wall, date=wall)

    def _read_wall(self) -> datetime:
        return self._wall

    def _look(self, *, is_done: bool = False) -> None:
        """What the process that works has done so far."""
        assert self._watcher is not None
        self._watcher.look(self._processes[-1].began, self._clock.true, is_done=is_done)

    def _work_elsewhere(self, run: RunId) -> None:
        """Until so many instants are over; who is killed before the first has done nothing that matters here."""
        self._look()
        until = self._instants + self._dice.randint(1, WORKED_ELSEWHERE)
        while self._attempt(run, lambda: self._instants >= until or self._clock.true >= self._end):
            pass

    def _waits(self, instant: datetime) -> None:
        """All that was due is done: look at it, and let the world around the conductor go on."""
        self._look(is_done=True)
        self._instants += 1
        troubles, dice = self._made.troubles, self._dice
        if dice.random() < troubles.clock:
            self._set_clock()
        if dice.random() < troubles.customers:
            self._speak()
        if self._opens_at(instant) and dice.random() < troubles.worst:
            self._speak(worst=True)
        if self._made.case.rolls_back and dice.random() < troubles.undone:
            self._customers.roll_back(self._clock.now())

    def _opens_at(self, instant: datetime) -> bool:
        assert self._watcher is not None
        return any(w.planned_start == instant for w in self._watcher.mirror.windows.values())

    def _set_clock(self) -> None:
        jump = self._dice.choice((timedelta(hours=3), timedelta(minutes=40), timedelta(minutes=-20)))
        self._made.happened["clock set forward" if jump > timedelta() else "clock set back"] += 1
        if jump > timedelta():
            self._clock.true += jump
        else:
            self._clock.skew = jump if not self._clock.skew else timedelta()

    def _speak(self, *, worst: bool = False) -> None:
        assert self._watcher is not None
        if self._customers.speak(self._clock.now(), worst=worst):
            self._watcher.hear()

    def _freeze_meanwhile(self, asks: Sequence[Ask]) -> Callable[[], None]:
        """Freezes one of the units of a call that is on its way. Returns what happens when the process goes on: the
        freeze is over or stands, and the call is made.
        """
        watcher, customers = self._watcher, self._customers
        assert watcher is not None
        freeze = customers.freeze_unit(asks[0].unit, self._clock.now())
        watcher.hear()

        def come_back() -> None:
            if freeze is not None and self._dice.random() < 0.5:  # nothing but its owner speaks against the call now
                customers.thaw(freeze, self._clock.now())
                watcher.hear()
            elif freeze is not None:
                watcher.on_its_way = (freeze, frozenset(cut_key(ask.key) for ask in asks))

        return come_back

    def _before_write(self) -> None:
        if self._store_dice.random() < self._made.troubles.interrupted:
            self._speak()

    def _store_fate(self) -> str:
        luck = self._store_dice.random()
        if luck >= self._made.troubles.store:
            return ""
        return "before" if luck < self._made.troubles.store / 2 else "after"

    def _last_lines(self) -> tuple[str, ...]:
        with sqlite3.connect(self._path) as conn:
            query = "SELECT at, event, subject, data, why FROM journal ORDER BY seq DESC LIMIT ?"
            rows = conn.execute(query, (LAST_LINES,)).fetchall()
        conn.close()
        return tuple(
            " ".join((at[:16], event, subject, data[:150], why)) for at, event, subject, data, why in reversed(rows)
        )

    def _close(self) -> None:
        self._plain.close()
        self._shaky.close()


class _Points(Saboteur):
    """A point before and after every port call, where the process may be killed or doubled."""

    def __init__(self, process: Process) -> None:
        super().__init__(lambda _number, _point: False)
        self._process = process

    def __call__(self, point: str) -> None:
        self._process(point, self.items)


@cache
def _empty_store() -> Path:
    """A migrated store, made once in a process."""
    folder = Path(tempfile.mkdtemp(prefix="fermata-empty-"))
    migrate(f"sqlite:///{folder / 'empty.sqlite'}")
    return folder / "empty.sqlite"
