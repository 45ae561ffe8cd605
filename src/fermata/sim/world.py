"""The simulated fleet: a pure function of its seed, the commands it was given, and virtual now. It forbids what must
never be done to a real one. `sim.site` puts the ports in front of it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fermata.domain.ahead import Ahead
from fermata.domain.fleet import Device, Fleet, Node, NodeState
from fermata.domain.ids import DeviceId, NodeId, UpdateId
from fermata.domain.updates import Catalogue, Impact, Update
from fermata.domain.versions import is_at_least
from fermata.ports import ApplyAsk, Ask
from fermata.sim.fates import Dice, Faults
from fermata.sim.kept_free import KeptFree, compare, from_item, name_of, to_item
from fermata.sim.log import CommandLog
from fermata.sim.machines import WORK, Machine, Step, WorldBroken
from fermata.sim.mishaps import INSTANT, MINUTE, Command, Fates

FLAPS_FOR = timedelta(hours=3)
FIRST = 1  # the generation of whoever has a lease first: there is no older one to tell it from, so it is not kept


class World:
    """Machines and everything that was ever done to them. Not for two threads at once.

    `witness` is called with new commands before any of them is carried out. `happened` counts what went wrong.
    """

    def __init__(
        self,
        fleet: Fleet,
        catalogue: Catalogue,
        faults: Faults,
        seed: int,
        log: CommandLog,
        grain: timedelta = MINUTE,
    ) -> None:
        self.fleet = fleet
        self.catalogue = catalogue
        self.faults = faults
        self._dice = Dice(seed)
        self.happened: Counter[str] = Counter()
        self._fates = Fates(self._dice, faults, catalogue, self.happened, grain)
        self._log = log
        self.witness: Callable[[Sequence[Command], datetime], None] = _see_nothing
        self.steps: dict[str, Step] = {}
        self.turned_away: set[str] = set()
        self.generations: dict[str, int] = {}
        self.notices: dict[str, str] = {}
        self.kept_free: dict[str, list[KeptFree]] = {}
        self.standing: dict[str, KeptFree] = {}
        self.nodes = {n.name: _machine(n) for n in fleet.nodes.values()}
        self.devices = {
            d.name: Machine(name=d.name, versions={d.component: d.version}, in_service=True)
            for d in fleet.devices.values()
        }
        self._conflicts = {u.id: _conflicts_of(u.id, catalogue) for u in catalogue.updates.values()}

    def machine(self, unit: str) -> Machine | None:
        """The node or device of that name, or None."""
        return self.nodes.get(NodeId(unit)) or self.devices.get(DeviceId(unit))

    def do(self, op: str, commands: Sequence[Command], now: datetime) -> None:
        """Carries out new commands; whatever happens later follows from them. Raises WorldBroken before any is done."""
        fresh = [c for c in commands if c.key not in self.steps]
        for command in fresh:
            self._forbid(command, now)
        if fresh:
            items = [[c.key, c.unit, _name(c.update, self.catalogue)] for c in fresh]
            self._log.append({"at": int(now.timestamp()), "op": op, "items": items})
            self.witness(fresh, now)
            for command in fresh:
                self._start(command, now)

    def turn_away(self, keys: Sequence[str], now: datetime) -> None:
        """Remembers that these were lost or postponed once, so that they are not again."""
        if keys:
            self._log.append({"at": int(now.timestamp()), "op": "turned_away", "items": [[k, "", ""] for k in keys]})
            self.turned_away.update(keys)

    def is_overtaken(self, ask: Ask | ApplyAsk) -> bool:
        """True when a newer generation was heard of for this unit in this window of this run."""
        return ask.generation < self.generations.get(unit_of_key(ask.key), 0)

    def hear(self, asks: Iterable[Ask | ApplyAsk], now: datetime) -> None:
        """Remembers the newest generation that asked, or asked about, each unit."""
        newer = {unit_of_key(ask.key): ask for ask in asks}
        newer = {name: ask for name, ask in newer.items() if ask.generation > self.generations.get(name, 0)}
        self.generations |= {name: ask.generation for name, ask in newer.items()}
        items = [[name, ask.unit, str(ask.generation)] for name, ask in newer.items() if ask.generation > FIRST]
        if items:
            self._log.append({"at": int(now.timestamp()), "op": "generation", "items": items})

    def ask_repair(self, key: str, unit: str, now: datetime) -> None:
        """Somebody is sent to repair `unit`, once per key."""
        if key not in self.notices:
            self._log.append({"at": int(now.timestamp()), "op": "repair", "items": [[key, unit, ""]]})
            self._start_repair(key, unit, now)

    def keep_free(self, run: str, wanted: Sequence[Ahead], now: datetime) -> None:
        """Nodes that are kept free of jobs for a run from now on: these, and no others."""
        gone, fresh = compare(self.standing, run, wanted)
        at = int(now.timestamp())
        if gone:
            self._log.append({"at": at, "op": "ahead_gone", "items": [[name, "", ""] for name in gone]})
        if fresh:
            self._log.append({"at": at, "op": "ahead", "items": [to_item(run, ahead) for ahead in fresh]})
        for name in gone:
            self._give_up(name, now)
        for ahead in fresh:
            self._keep_free(name_of(run, ahead), ahead, now)

    def _keep_free(self, name: str, ahead: Ahead, now: datetime) -> None:
        self.standing[name] = free = KeptFree(ahead=ahead, made_at=now)
        for node in ahead.nodes:
            self.kept_free.setdefault(node, []).append(free)

    def _give_up(self, name: str, now: datetime) -> None:
        self.standing.pop(name).gone_at = now

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Around every call: other processes wait, and what they did before is known here."""
        with self._log.turn():
            for entry in self._log.news():
                self.replay(entry)
            yield

    def scale_in(self, unit: str, now: datetime, *, keeps_lock: bool = False) -> None:
        """Somebody scales a node in behind everybody's back, with our lock still on it or without."""
        op = "scale_in_locked" if keeps_lock else "scale_in"
        self._log.append({"at": int(now.timestamp()), "op": op, "items": [["", unit, ""]]})
        self._meddle(op, unit, now)

    def scale_out(self, unit: str, now: datetime) -> None:
        """Somebody takes it out again: no workload is on it, and nobody drained or locked it."""
        self._log.append({"at": int(now.timestamp()), "op": "scale_out", "items": [["", unit, ""]]})
        self._meddle("scale_out", unit, now)

    def _meddle(self, op: str, unit: str, now: datetime) -> None:
        machine = self.nodes[NodeId(unit)]
        machine.settle(now)
        if op == "scale_out":
            machine.in_service = False
        else:
            machine.scale_in(now, keeps_lock=op == "scale_in_locked")

    def replay(self, entry: dict[str, Any]) -> None:
        """One line of the log, as it happened."""
        at = datetime.fromtimestamp(entry["at"], UTC)
        for key, unit, update in entry["items"]:
            match entry["op"]:
                case "turned_away":
                    self.turned_away.add(key)
                case "generation":
                    self.generations[key] = int(update)
                case "ahead":
                    self._keep_free(key, from_item(key, unit, update), at)
                case "ahead_gone":
                    self._give_up(key, at)
                case "repair":
                    self._start_repair(key, unit, at)
                case "scale_in" | "scale_in_locked" | "scale_out":
                    self._meddle(entry["op"], unit, at)
                case op:
                    found = _find(update, self.catalogue) if update else None
                    self._start(Command(op=op, key=key, unit=unit, update=found), at)

    def _start_repair(self, key: str, unit: str, now: datetime) -> None:
        self.notices[key] = unit
        machine = self.machine(unit)
        if machine is not None:
            machine.settle(now)
            if machine.repair_at is None:
                machine.repair_at = now + self._dice.repair(self.faults.mean_days_to_repair, key)

    def _start(self, command: Command, now: datetime) -> None:
        machine = self.machine(command.unit)
        assert machine is not None
        machine.settle(now)
        step = self._fates.of(command, machine, now)
        self.steps[command.key] = step
        match command.op:
            case "lock":
                machine.touched = machine.touched and machine.locked
                machine.emptied = machine.emptied and machine.locked
                machine.locked = True
            case "give_back":
                machine.current = None  # of a drain that went on
                machine.locked = machine.drained = False
                machine.in_service = True
            case "release":
                machine.current = None
                machine.locked = machine.drained = False
            case _:
                machine.current = step
        if command.op in WORK:
            machine.touched = True
        if command.op == "drain":
            machine.in_service = False
        rides = command.unit in self.nodes and machine.in_service and not machine.locked
        if command.update is not None and not rides:
            machine.targets[command.update.component] = command.update.to_version
        if command.op == "reboot":
            self._reboot(command, machine, step, now)

    def _reboot(self, command: Command, machine: Machine, step: Step, now: datetime) -> None:
        machine.reboots += 1
        if step.ends_at is None:
            machine.gone_since = now
            machine.repair_at = now + self._dice.repair(self.faults.mean_days_to_repair, command.key)
        elif self._dice.draw(command.key, "flaps") < self.faults.flaps:
            self.happened["node flaps"] += 1
            machine.flaps_until = step.ends_at + FLAPS_FOR

    def _forbid(self, command: Command, now: datetime) -> None:
        """What no conductor may ever ask."""
        machine = self.machine(command.unit)
        if machine is None:
            raise WorldBroken("one_owner", f"{command.unit} does not exist")
        machine.settle(now)
        is_node = command.unit in self.nodes
        ends_drain = command.op in INSTANT and machine.current is not None and machine.current.op == "drain"
        if machine.current is not None and command.op != "reset" and not ends_drain:
            raise WorldBroken("no_double_effect", f"{command.key}: {machine.current.key} still goes on")
        if machine.gone_since is not None and command.op != "reset":
            raise WorldBroken("no_double_effect", f"{command.key}: {command.unit} cannot be reached")
        in_use = machine.in_service and not machine.locked
        rides = in_use and command.update is not None and command.update.impact is Impact.IMPACTLESS
        is_work = command.op in ("apply", "reboot", "reset", "check")
        if is_node and is_work and not rides and not (machine.drained and machine.locked):
            raise WorldBroken("one_owner", f"{command.key}: {command.unit} is not locked and drained")
        if is_node and command.op == "drain" and not machine.locked:
            raise WorldBroken("one_owner", f"{command.key}: {command.unit} is not locked")
        if command.update is not None:
            self._forbid_apply(command, command.update, machine, now)
        if command.op in ("give_back", "release") and (lack := machine.lack_of_proof()):
            raise WorldBroken("proof_of_return", f"{command.key}: {command.unit} {lack}")

    def _forbid_apply(self, command: Command, update: Update, machine: Machine, now: datetime) -> None:
        known = (machine.versions, machine.staged, machine.targets)
        if all(found.get(update.component, update.to_version) == update.to_version for found in known):
            raise WorldBroken("no_double_effect", f"{command.key}: {update.id} runs there already")
        if machine.staged.get(update.component) == update.to_version:
            raise WorldBroken(
                "no_double_effect", f"{command.key}: {update.id} is written already and waits for a reboot"
            )
        device = self.fleet.devices.get(DeviceId(command.unit))
        if device is not None:
            self._forbid_on_device(command, update, device, now)
        else:
            self._forbid_on_node(command, update, now)

    def _forbid_on_device(self, command: Command, update: Update, device: Device, now: datetime) -> None:
        for node in self.fleet.nodes_behind(device):
            near = self._settled(self.nodes[node.name], now)
            if update.needs_drain and not near.drained:
                raise WorldBroken("shared_device", f"{command.key}: {node.name} behind it is not drained")
            self._forbid_conflict(command, update, near)

    def _forbid_on_node(self, command: Command, update: Update, now: datetime) -> None:
        for device in self.fleet.devices_of(self.fleet.nodes[NodeId(command.unit)]):
            near = self._settled(self.devices[device.name], now)
            self._forbid_conflict(command, update, near)
            for needed in update.requires:
                version = near.versions.get(needed.component)
                if version is not None and not is_at_least(version, needed.min_version):
                    raise WorldBroken("shared_device", f"{command.key}: {near.name} runs {needed.component} {version}")

    def _forbid_conflict(self, command: Command, update: Update, near: Machine) -> None:
        if near.current is not None and near.current.update in self._conflicts[update.id]:
            raise WorldBroken(
                "shared_device", f"{command.key}: {near.current.update} is written on {near.name} at the same time"
            )

    def _settled(self, machine: Machine, now: datetime) -> Machine:
        machine.settle(now)
        return machine

    def is_cut_off(self, unit: str, now: datetime) -> bool:
        """True while nothing of the unit's cluster can be reached."""
        place = self.fleet.nodes.get(NodeId(unit)) or self.fleet.devices.get(DeviceId(unit))
        return place is not None and self._dice.is_out(f"cluster {place.cluster}", self.faults.cut_off, now)

    def has_no_bmc(self, unit: str, now: datetime) -> bool:
        """True while the unit takes no power command and says nothing of those that it was given."""
        return self._dice.is_out(f"bmc {unit}", self.faults.no_bmc, now)

    def draw(self, what: str, purpose: str) -> float:
        """A number of this world for its ports; see `Dice.draw`."""
        return self._dice.draw(what, purpose)

    def unplaceable(self, units: Sequence[str]) -> str | None:
        """The first of several nodes that its placement group cannot place together with others, or None."""
        grouped = (unit for unit in units if self._is_grouped(unit)) if len(units) > 1 else ()
        return next((u for u in grouped if self._dice.draw(u, "placement") < self.faults.unplaceable), None)

    def _is_grouped(self, unit: str) -> bool:
        node = self.fleet.nodes.get(NodeId(unit))
        return node is not None and self.fleet.clusters[node.cluster].single_placement_group

    def lost(self, key: str) -> str:
        """How a call goes astray the first time: "", "busy", "lost" (never arrived) or "answer_lost" (done)."""
        if key in self.turned_away or key in self.steps:
            return ""
        luck = self._dice.draw(key, "way")
        if luck < self.faults.busy:
            return "busy"
        if luck < self.faults.busy + self.faults.lost:
            return "lost" if self._dice.draw(key, "lost") < 0.5 else "answer_lost"  # a coin
        return ""


def _see_nothing(_commands: Sequence[Command], _now: datetime) -> None:
    """Nobody watches."""


def open_world(
    fleet: Fleet,
    catalogue: Catalogue,
    *,
    faults: Faults,
    seed: int,
    path: Path | None,
    grain: timedelta = MINUTE,
) -> World:
    """The world as its log says it is; `fleet` is what it was in the beginning. `path` None keeps no log.

    `grain`: steps end on multiples of it, so that a large campaign has fewer instants.
    """
    log = CommandLog(path)
    world = World(fleet, catalogue, faults, seed, log, grain)
    with world.turn():
        return world


def commands(op: str, asks: Iterable[Ask | ApplyAsk], find: Callable[[UpdateId], Update]) -> list[Command]:
    """Asks as commands; the run's own id is cut off the key, so that equal runs meet equal fates."""
    return [
        Command(
            op=op,
            key=cut_key(ask.key),
            unit=ask.unit,
            update=replace(find(ask.update), to_version=ask.to_version) if isinstance(ask, ApplyAsk) else None,
        )
        for ask in asks
    ]


def _name(update: Update | None, catalogue: Catalogue) -> str:
    """What the log calls it: a roll-back writes another version than the catalogue has."""
    if update is None:
        return ""
    is_usual = catalogue.updates[update.id].to_version == update.to_version
    return update.id if is_usual else f"{update.to_version} {update.id}"


def _find(name: str, catalogue: Catalogue) -> Update:
    if UpdateId(name) in catalogue.updates:
        return catalogue.updates[UpdateId(name)]
    version, _, update = name.partition(" ")
    return replace(catalogue.updates[UpdateId(update)], to_version=version)


def unit_of_key(key: str) -> str:
    """Of a step key: its run, window and unit."""
    return "/".join(key.split("/", 3)[:3])


def cut_key(key: str) -> str:
    """A step key without its run."""
    return key.split("/", 1)[1]


def _machine(node: Node) -> Machine:
    return Machine(name=node.name, versions=dict(node.versions), in_service=node.state is NodeState.IN_SERVICE)


def _conflicts_of(update: UpdateId, catalogue: Catalogue) -> frozenset[UpdateId]:
    return frozenset(other for pair in catalogue.conflicts if update in pair for other in pair if other != update)
