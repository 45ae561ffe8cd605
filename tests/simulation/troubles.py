"""What goes wrong around the conductor, by seed: its store, its process, its clock, and what customers do meanwhile."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import event
from tests.simulation.cases import SmallCase
from tests.simulation.crashing import Killed

from fermata.domain.ids import FreezeId, NodeId
from fermata.domain.orders import Terms
from fermata.domain.policy import Scope, ScopeLevel, Verdict
from fermata.domain.request_kinds import RequestKind
from fermata.domain.work_orders import Target, TargetLevel
from fermata.services import consent, freezes, runs, work_orders
from fermata.services.errors import Refusal
from fermata.store.database import Connection, Database, StoreUnavailable
from fermata.store.inventory import load_policy

HOUR = timedelta(hours=1)
OUTSIDE = ("observed", "intended", "performed", "recorded")  # points at which no transaction is open


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubles:
    """How often, as shares: of transactions that the store refuses (`store`) and before which a customer speaks
    (`interrupted`), of points at which the process is `killed` or `doubled` (paused while another goes on), of
    instants at which the clock is set (`clock`) or customers speak (`customers`), and of those just before a window
    opens at which one says no (`worst`).
    """

    store: float = 0.006
    interrupted: float = 0.004
    killed: float = 0.003
    doubled: float = 0.006
    clock: float = 0.01
    customers: float = 0.02
    worst: float = 0.25


QUIET = Troubles(store=0, interrupted=0, killed=0, doubled=0, clock=0, customers=0, worst=0)


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
        self._last = None
        return self._clock.now()


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
        self._dice = dice
        self._troubles = troubles
        self._happened = happened
        self._is_paused = False

    def __call__(self, point: str) -> None:
        luck = self._dice.random()
        if luck < self._troubles.killed:
            self._happened["process killed"] += 1
            raise Killed(point)
        is_outside = point in OUTSIDE or point.startswith(("before ", "after "))
        if luck < self._troubles.killed + self._troubles.doubled and is_outside and not self._is_paused:
            self._happened["process doubled"] += 1
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

    def _freeze(self, now: datetime) -> None:
        start = now + self._dice.choice((0, 0, 1, 5)) * HOUR
        end = start + self._dice.randint(2, 30) * HOUR
        freezes.add_freeze(
            self._database,
            freezes.FreezeOrder(scope=self._scope(), start=start, end=end, reason="a launch"),
            now=now,
            new_id=self.new_id,
        )

    def _thaw(self, now: datetime) -> None:
        with self._database.read() as conn:
            lasting = sorted(f.id for f in load_policy(conn).freezes if f.end > now)
        freezes.end_freeze(self._database, self._dice.choice([*lasting, FreezeId("none")]), now=now)

    def _pause(self, now: datetime) -> None:
        runs.pause(self._database, self._case.campaign.id, now=now, actor="operator")

    def _resume(self, now: datetime) -> None:
        runs.resume(self._database, self._case.campaign.id, now=now, actor="operator")

    def _repair(self, now: datetime) -> None:
        self.ask_repair(NodeId(self._dice.choice(sorted(self._case.fleet.nodes))), now)

    def ask_repair(self, node: NodeId, now: datetime) -> None:
        """Opens a work order."""
        target = Target(level=TargetLevel.NODE, name=node)
        order = work_orders.NewOrder(kind=RequestKind.REPAIR, target=target, cause="a fan")
        work_orders.open_orders(self._database, [order], now=now, actor="operator", new_id=self.new_id)
