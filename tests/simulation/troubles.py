"""What goes wrong around the conductor, by seed: its store, its process, its clock, and what customers do meanwhile."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import event
from tests.simulation.cases import SmallCase
from tests.simulation.crashing import Killed

from fermata.domain.ids import DeviceId, FreezeId, NodeId
from fermata.domain.orders import Terms
from fermata.domain.policy import Scope, ScopeLevel, Verdict
from fermata.domain.request_kinds import RequestKind
from fermata.domain.updates import NODE_TARGET
from fermata.domain.work_orders import Target, TargetLevel
from fermata.ports import Ask
from fermata.services import consent, freezes, gates, recovery, runs, work_orders
from fermata.services.errors import Refusal
from fermata.store.database import Connection, Database, StoreUnavailable
from fermata.store.inventory import load_policy

HOUR = timedelta(hours=1)
CALLS = frozenset(
    f"before {port}.{verb}"
    for port, verbs in (
        ("workloads", ("lock", "drain", "give_back", "release")),
        ("firmware", ("apply",)),
        ("power", ("reboot", "reset")),
        ("verifier", ("check",)),
    )
    for verb in verbs
)  # the intent is stored, the leases were looked at, and the target has heard nothing yet
OUTSIDE = ("observed", "intended", "performed", "recorded")  # points at which no transaction is open


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubles:
    """How often, as shares: of transactions that the store refuses (`store`) and before which a customer speaks
    (`interrupted`), of points at which the process is `killed` or `doubled` (paused while another goes on), of calls
    before which it is paused while one of their units is frozen and another process goes on (`late`), of instants at
    which the clock is set (`clock`), customers speak (`customers`) or, where that is tried, an operator rolls a device
    back (`undone`), and of those just before a window opens at which a customer says no (`worst`).
    """

    store: float = 0.006
    interrupted: float = 0.004
    killed: float = 0.003
    doubled: float = 0.006
    late: float = 0.08
    clock: float = 0.01
    customers: float = 0.02
    worst: float = 0.25
    undone: float = 0.04


QUIET = Troubles(store=0, interrupted=0, killed=0, doubled=0, late=0, clock=0, customers=0, worst=0, undone=0)


class ShakyDatabase(Database):
    """A store that is restarted now and then: before a transaction began, or after it was committed and before anybody
    heard of it.
    """

    def __init__(
        self, url: str, before_write: Callable[[], None], luck: Callable[[], str], happened: Counter[str]
    ) -> None:
        super().__init__(url)
        self._before_write = before_write
        self._luck = luck
        self._happened = happened
        event.listen(self.engine, "connect", hurry)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        self._before_write()
        fate = self._luck()
        if fate == "before":
            self._happened["store restarted before a transaction"] += 1
            raise StoreUnavailable("restarted")
        with super().begin() as conn:
            yield conn
        if fate == "after":
            self._happened["store restarted after a commit"] += 1
            raise StoreUnavailable("restarted just after the commit")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        if self._luck() == "before":
            self._happened["store restarted before a transaction"] += 1
            raise StoreUnavailable("restarted")
        with super().read() as conn:
            yield conn


def hurry(connection: object, _entry: object) -> None:
    """The store of a simulation need not survive a power failure of the machine that simulates."""
    connection.execute("PRAGMA synchronous=OFF")  # type: ignore[attr-defined]


class SetClock:
    """True time, and the conductor's clock beside it, which may be set forward or back; `on_wait` is called whenever
    the conductor has done all that is due. True time never goes back.
    """

    def __init__(self, start: datetime, on_wait: Callable[[datetime], None]) -> None:
        self.true = start
        self.skew = timedelta()
        self._on_wait = on_wait

    def now(self) -> datetime:
        return self.true + self.skew

    def wait_until(self, instant: datetime) -> None:
        """A process has nothing to do before `instant`."""
        self._on_wait(instant)
        self.true = max(self.true, instant - self.skew)


class ProcessClock:
    """The clock as one process reads it: what it read first after a wait is what it goes by until the next."""

    def __init__(self, clock: SetClock) -> None:
        self._clock = clock
        self._last: datetime | None = None

    @property
    def began(self) -> datetime:
        """What it goes by."""
        return self._last or self._clock.now()

    def now(self) -> datetime:
        found = self._clock.now()
        self._last = self._last or found
        return found

    def wait_until(self, instant: datetime, _stop: Callable[[], bool]) -> datetime:
        self._clock.wait_until(instant)
        self._last = self._clock.now()
        return self._last


class TrueClock:
    """What the world goes by."""

    def __init__(self, clock: SetClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.true

    def wait_until(self, _instant: datetime, _stop: Callable[[], bool]) -> datetime:
        return self._clock.true


class Process:
    """The conductor's process: killed at some points, at others paused while another one goes on with its work."""

    def __init__(self, dice: random.Random, troubles: Troubles, happened: Counter[str]) -> None:
        self.go_on_elsewhere: Callable[[], None] | None = None
        self.freeze_meanwhile: Callable[[Sequence[Ask]], Callable[[], None]] | None = None
        self._dice = dice
        self._troubles = troubles
        self._happened = happened
        self._is_paused = False

    def __call__(self, point: str, items: Sequence[Ask] = ()) -> None:
        luck, troubles = self._dice.random(), self._troubles
        if luck < troubles.killed:
            self._happened["process killed"] += 1
            raise Killed(point)
        luck -= troubles.killed
        is_outside = point in OUTSIDE or point.startswith(("before ", "after "))
        if luck < troubles.doubled and is_outside and not self._is_paused:
            self._happened["process doubled"] += 1
            self._pause()
        elif troubles.doubled <= luck < troubles.doubled + troubles.late and point in CALLS and not self._is_paused:
            self._happened["process paused between intent and call"] += 1
            assert self.freeze_meanwhile is not None
            come_back = self.freeze_meanwhile(items)
            self._pause()
            come_back()

    def _pause(self) -> None:
        self._is_paused = True
        try:
            assert self.go_on_elsewhere is not None
            self.go_on_elsewhere()
        finally:
            self._is_paused = False


class Customers:
    """They withdraw, decline, approve, freeze, thaw; operators pause, resume and open work orders."""

    def __init__(self, case: SmallCase, database: Database, dice: random.Random, happened: Counter[str]) -> None:
        self._case = case
        self._database = database
        self._dice = dice
        self._happened = happened
        self._numbers = 0
        self._is_speaking = False

    def speak(self, now: datetime, *, worst: bool = False) -> bool:
        """One of them says something; False when it was refused. `worst`: a no, as a window is about to open."""
        if self._is_speaking:
            return False
        self._is_speaking = True
        noes = (
            ("customer withdraws", self._withdraw),
            ("customer freezes", self._freeze),
            ("customer freezes", self._freeze),
        )
        words = (
            ("customer withdraws", self._withdraw),
            ("customer declines", self._decline),
            ("customer approves again", self._approve),
            ("customer freezes", self._freeze),
            ("customer ends a freeze", self._thaw),
            ("operator pauses", self._pause),
            ("operator resumes", self._resume),
            ("operator resumes", self._resume),
            ("somebody asks for a repair", self._repair),
        )
        name, say = self._dice.choice(noes if worst else words)
        try:
            say(now)
        except Refusal:
            return False
        finally:
            self._is_speaking = False
        self._happened[name] += 1
        return True

    def new_id(self, kind: str) -> str:
        self._numbers += 1
        return f"{kind}_{self._numbers:04d}"

    def _scope(self) -> Scope:
        node = self._case.fleet.nodes[self._dice.choice(sorted(self._case.fleet.nodes))]
        level, name = self._dice.choice(
            ((ScopeLevel.NODE, node.name), (ScopeLevel.RACK, node.rack), (ScopeLevel.CLUSTER, node.cluster))
        )
        return Scope(level=level, name=name)

    def _say(self, verdict: Verdict, now: datetime) -> None:
        order = consent.Order(scope=self._scope(), verdict=verdict, reason="because")
        consent.decide(self._database, [order], now=now, new_id=self.new_id)

    def _withdraw(self, now: datetime) -> None:
        self._say(Verdict.WITHDRAWN, now)

    def _approve(self, now: datetime) -> None:
        self._say(Verdict.APPROVED, now)

    def _decline(self, now: datetime) -> None:
        terms = Terms(until=now + self._dice.randint(2, 40) * HOUR)
        order = consent.Order(scope=self._scope(), verdict=Verdict.DECLINED, reason="not now", terms=terms)
        consent.decide(self._database, [order], now=now, new_id=self.new_id)

    def freeze_unit(self, unit: str, now: datetime) -> FreezeId | None:
        """A node, or the first behind a device, is frozen for some hours from now on; None when that was refused."""
        if self._is_speaking:
            return None
        fleet = self._case.fleet
        device = fleet.devices.get(DeviceId(unit))
        name = fleet.nodes_behind(device)[0].name if device is not None else unit
        end = now + self._dice.randint(2, 6) * HOUR
        try:
            return self._add_freeze(Scope(level=ScopeLevel.NODE, name=name), now, end, now)
        except Refusal:
            return None

    def thaw(self, freeze: FreezeId, now: datetime) -> None:
        """It ends, if it is not over."""
        with suppress(Refusal):
            freezes.end_freeze(self._database, freeze, now=now)

    def _freeze(self, now: datetime) -> None:
        start = now + self._dice.choice((0, 0, 1, 5)) * HOUR
        end = start + self._dice.randint(2, 30) * HOUR
        self._add_freeze(self._scope(), start, end, now)

    def _add_freeze(self, scope: Scope, start: datetime, end: datetime, now: datetime) -> FreezeId:
        order = freezes.FreezeOrder(scope=scope, start=start, end=end, reason="a launch")
        return freezes.add_freeze(self._database, order, now=now, new_id=self.new_id).id

    def _thaw(self, now: datetime) -> None:
        with self._database.read() as conn:
            lasting = sorted(f.id for f in load_policy(conn).freezes if f.end > now)
        freezes.end_freeze(self._database, self._dice.choice([*lasting, FreezeId("none")]), now=now)

    def _pause(self, now: datetime) -> None:
        runs.pause(self._database, self._case.campaign.id, now=now, actor="operator")

    def _resume(self, now: datetime) -> None:
        runs.resume(self._database, self._case.campaign.id, now=now, actor="operator")

    def roll_back(self, now: datetime) -> None:
        """An operator orders a device back, or an update of devices wherever it is, or says so of its gate."""
        updates = self._case.catalogue.updates.values()
        brought = sorted((u.id, u.target) for u in updates if u.target != NODE_TARGET)
        if not brought:
            return
        update, kind = self._dice.choice(brought)
        device = self._dice.choice(sorted(d.name for d in self._case.fleet.devices.values() if d.kind == kind))
        why, luck = "it drops packets", self._dice.random()
        try:
            run = gates.find_run(self._database, self._case.campaign.id)
            if luck < 0.1:
                word = gates.GateSaid(word=gates.GateWord.ROLL_BACK, actor="operator", why=why, at=now)
                gates.say(self._database, run, update, word)
            else:
                devices = frozenset({device}) if luck < 0.8 else frozenset()
                asked = recovery.Asked(updates=frozenset({update}), devices=devices)
                recovery.recover(self._database, run, asked, recovery.Word(actor="operator", why=why, at=now))
        except Refusal:
            return
        self._happened["operator rolls back"] += 1

    def _repair(self, now: datetime) -> None:
        self.ask_repair(NodeId(self._dice.choice(sorted(self._case.fleet.nodes))), now)

    def ask_repair(self, node: NodeId, now: datetime) -> None:
        """Opens a work order."""
        target = Target(level=TargetLevel.NODE, name=node)
        order = work_orders.NewOrder(kind=RequestKind.REPAIR, target=target, cause="a fan")
        work_orders.open_orders(self._database, [order], now=now, actor="operator", new_id=self.new_id)
