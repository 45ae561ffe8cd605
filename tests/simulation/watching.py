"""Looks at store, world and journal at every instant, and only at what changed; a breach ends the simulation."""

from collections.abc import Callable, Sequence
from datetime import datetime

from tests.simulation.facts import Effect, Instant, Line, Planned, Truth, Words
from tests.simulation.invariants import INVARIANTS
from tests.simulation.mirror import AnyRow, Mirror, Trace

from fermata.domain.ids import DeviceId, FreezeId, NodeId
from fermata.domain.plans import Plan
from fermata.sim.machines import Machine
from fermata.sim.mishaps import Command
from fermata.sim.world import World
from fermata.store import consent, inventory
from fermata.store.database import Database


class Broken(AssertionError):
    """An invariant does not hold."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant
        self.what = what


class Watcher:
    """Keeps a mirror of the rows and asks every invariant about whatever is new."""

    def __init__(
        self, world: World, database: Database, trace: Trace, mirror: Mirror, now: Callable[[], datetime]
    ) -> None:
        self.ticks = 0
        self.moves = 0
        self.on_its_way: tuple[FreezeId | None, frozenset[str]] = (None, frozenset())
        self.mirror = mirror
        self._world = world
        self._database = database
        self._trace = trace
        self._now = now
        self._effects: list[Effect] = []
        self._line = 0
        self._words: Words | None = None
        self._moved = [i for i in INVARIANTS if i.of_move.__name__ != "_nothing"]
        self._acted = [i for i in INVARIANTS if i.of_effect.__name__ != "_nothing"]
        world.witness = self._see

    def hear(self) -> None:
        """Customers may have said something."""
        self._words = None

    def words(self) -> Words:
        """What customers say now."""
        if self._words is None:
            with self._database.read() as conn:
                policy, ledger = inventory.load_policy(conn), consent.load_ledger(conn)
            self._words = Words(policy=policy, ledger=tuple(ledger))
        return self._words

    def _see(self, commands: Sequence[Command], now: datetime) -> None:
        seq, believed, words = self._trace.latest(), self._now(), self.words()
        self._effects += [self._effect(command, seq, believed, words, now) for command in commands]

    def _effect(self, command: Command, seq: int, believed: datetime, words: Words, now: datetime) -> Effect:
        window, unit, rest = command.key.split("/", 2)
        step, attempt = rest.rsplit("/", 1)
        came_after, keys = self.on_its_way
        device = self._world.fleet.devices.get(DeviceId(unit))
        behind = () if device is None or command.update is None else self._world.fleet.nodes_behind(device)
        node = self._world.fleet.nodes.get(NodeId(unit)) if command.op in ("give_back", "release") else None
        over = () if node is None else self._world.fleet.devices_of(node)
        return Effect(
            seq=seq,
            op=command.op,
            window=window,
            unit=unit,
            step=step,
            attempt=int(attempt),
            now=believed,
            update=command.update,
            truth=self._truth_of(unit, now),
            words=words,
            sent_before=came_after if command.key in keys else None,
            behind=tuple(self._truth_of(each.name, now) for each in behind),
            over=tuple(self._truth_of(each.name, now) for each in over),
        )

    def _truth_of(self, unit: str, now: datetime) -> Truth:
        machine = self._world.machine(unit)
        assert machine is not None
        machine.settle(now)
        return tell_truth(machine)

    def look(self, now: datetime, true_now: datetime, *, is_done: bool) -> Instant:
        """Asks every invariant about what is new. Raises Broken."""
        self.ticks += 1
        effects, self._effects = self._effects, []
        moves: list[tuple[AnyRow | None, AnyRow]] = []
        waiting = list(reversed(effects))
        for seq, after in self._trace.fresh():
            while waiting and waiting[-1].seq < seq:
                self._ask_effect(waiting.pop())
            moves.append((self.mirror.take(after), after))
            self._ask_move(*moves[-1], now)
        while waiting:
            self._ask_effect(waiting.pop())
        self.moves += len(moves)
        lines = [Line(seq=s, event=e, subject=o, data=d, why=w) for s, e, o, d, w in self._trace.lines(self._line)]
        instant = Instant(
            now=now,
            moves=tuple(moves),
            effects=tuple(effects),
            lines=tuple(lines),
            last_line=self._line,
            is_done=is_done,
            mirror=self.mirror,
            truth_of=lambda unit: self._truth_of(unit, true_now),
        )
        self._line = lines[-1].seq if lines else self._line
        for invariant in INVARIANTS:
            for what in invariant.of_instant(instant):
                raise Broken(invariant.name, what)
        return instant

    def finish(self, now: datetime, true_now: datetime, plan: Plan) -> None:
        """What must hold in the end. Raises Broken."""
        instant = self.look(now, true_now, is_done=False)
        planned = tuple(Planned(window=w.id, nodes=frozenset(w.nodes)) for w in plan.windows)
        for invariant in INVARIANTS:
            for what in invariant.of_end(instant, planned):
                raise Broken(invariant.name, what)

    def _ask_move(self, before: AnyRow | None, after: AnyRow, now: datetime) -> None:
        for invariant in self._moved:
            for what in invariant.of_move(before, after, self.mirror, now):
                raise Broken(invariant.name, what)

    def _ask_effect(self, effect: Effect) -> None:
        for invariant in self._acted:
            for what in invariant.of_effect(effect, self.mirror):
                raise Broken(invariant.name, what)


def tell_truth(machine: Machine) -> Truth:
    """The machine as it is now."""
    step = machine.current
    return Truth(
        name=machine.name,
        versions=dict(machine.versions),
        staged=dict(machine.staged),
        in_service=machine.in_service,
        locked=machine.locked,
        drained=machine.drained,
        busy_with="" if step is None else str(step.update or step.op),
        changed_at=machine.changed_at,
        healthy_at=machine.healthy_at,
        targets=dict(machine.targets),
        repaired_at=machine.repaired_at,
    )
