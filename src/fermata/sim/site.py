"""The ports in front of the simulated world: what adapters are to a real site."""

import threading
from collections.abc import Container, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta

from fermata.domain.fleet import NodeState
from fermata.domain.ids import DeviceId, NodeId, StepKey, UpdateId
from fermata.domain.observations import (
    Accepted,
    Answer,
    Denied,
    DeviceSeen,
    Failed,
    Later,
    NeverAsked,
    NodeSeen,
    Overtaken,
    Progress,
    Running,
    Succeeded,
    Unsure,
)
from fermata.domain.updates import Update
from fermata.ports import (
    CALL_SIZE_MAX,
    ApplyAsk,
    Ask,
    Clock,
    Notice,
    NoticeKind,
    OutcomeUnknown,
    Refused,
    Site,
    TryLater,
)
from fermata.sim.jobs import SimJobs
from fermata.sim.machines import Machine
from fermata.sim.mishaps import pick
from fermata.sim.world import World, commands, cut_key

POWER = ("reboot", "reset")
BUSY_FOR = timedelta(minutes=2)


class _Turns:
    """One call at a time, of this process's threads and of all processes that share the world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._turn = ExitStack()

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            self._turn.enter_context(self._world.turn())
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, *_: object) -> None:
        self._turn.close()
        self._lock.release()


class _Desk:
    """What all simulated ports share: the world, its clock, and whose turn it is."""

    def __init__(self, world: World, clock: Clock, lock: _Turns) -> None:
        self._world = world
        self._clock = clock
        self._lock = lock

    def _call(self, op: str, asks: Sequence[Ask] | Sequence[ApplyAsk]) -> dict[StepKey, Answer]:
        _check_size(asks)
        with self._lock:
            now = self._clock.now()
            fate = self._fate_of_call(op, [ask.key for ask in asks], now)
            if fate == "never arrived":
                raise OutcomeUnknown(op)
            answers: dict[StepKey, Answer] = {}
            to_do: list[Ask | ApplyAsk] = []
            astray: list[str] = []
            for ask in asks:
                way = self._way(ask, op, now, answers)
                if way not in ("ok", "denied"):
                    astray.append(cut_key(ask.key))
                if way in ("ok", "answer_lost"):
                    to_do.append(ask)
            self._world.turn_away(astray, now)
            self._world.hear(to_do, now)
            self._world.do(op, commands(op, to_do, self._find), now)
            for ask in to_do:
                if ask.key not in answers:
                    answers[ask.key] = self._accepted(ask.key, now)
            if fate == "answer lost":
                raise OutcomeUnknown(op)
            return answers

    def _fate_of_call(self, op: str, names: Sequence[str], now: datetime) -> str:
        """ "" when it goes through, "never arrived" or "answer lost". Raises TryLater: nothing was done then."""
        share = self._world.faults.no_answer
        if not names or share <= 0:
            return ""
        what = f"{op} {names[0].partition('/')[2]} {now:%m-%d %H:%M}"
        third = share / 3
        fates = (("call is put off", third), ("never arrived", third), ("answer lost", third))
        fate = pick(self._world.draw(what, "call"), fates)
        if fate:
            self._world.happened[{"call is put off": fate}.get(fate, f"call has no answer: {fate}")] += 1
        if fate == "call is put off":
            raise TryLater(BUSY_FOR)
        return fate

    def _way(self, ask: Ask | ApplyAsk, op: str, now: datetime, answers: dict[StepKey, Answer]) -> str:
        """ "ok", or how the item goes astray, with its answer."""
        machine = self._world.machine(ask.unit)
        if machine is None:
            answers[ask.key] = Denied(why=f"{ask.unit} is unknown here")
            return "denied"
        if self._world.is_overtaken(ask):
            self._world.happened["late call is refused"] += 1
            answers[ask.key] = Overtaken()
            return "denied"
        is_new = cut_key(ask.key) not in self._world.steps
        why = self._obstacle(ask.unit, machine, op, now) if is_new else None
        if why is not None:
            answers[ask.key] = why
            return "denied"
        match self._world.lost(cut_key(ask.key)):
            case "busy":
                self._world.happened["item is put off"] += 1
                answers[ask.key] = Later(after=BUSY_FOR)
                return "busy"
            case ("lost" | "answer_lost") as way:
                self._world.happened["item has no answer"] += 1
                answers[ask.key] = Unsure()
                return way
            case _:
                return "ok"

    def _obstacle(self, unit: str, machine: Machine, op: str, now: datetime) -> Answer | None:
        """What the unit's own state answers in place of the target; None: nothing stands in the way."""
        if self._world.is_cut_off(unit, now):
            self._world.happened["cluster is cut off"] += 1
            return Unsure()
        if op in POWER and self._world.has_no_bmc(unit, now):
            self._world.happened["node has no BMC"] += 1
            return Denied(why="its management controller does not answer")
        if machine.gone_since is None and not machine.is_reachable(now):
            return Later(after=BUSY_FOR)
        return None

    def _find(self, update: UpdateId) -> Update:
        return self._world.catalogue.updates[update]

    def _accepted(self, key: StepKey, now: datetime) -> Accepted:
        step = self._world.steps[cut_key(key)]
        return Accepted(check_again_at=step.ends_at if step.ends_at is not None and step.ends_at > now else None)

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """How far each step is."""
        _check_size(asks)
        with self._lock:
            now = self._clock.now()
            if self._fate_of_call("observe", [ask.key for ask in asks], now):
                raise OutcomeUnknown("observe")
            heard = [ask for ask in asks if not self._is_silent(ask, now)]
            self._world.hear(heard, now)
            return {ask.key: self._progress(ask.key, now) for ask in heard}

    def _is_silent(self, ask: Ask, now: datetime) -> bool:
        step = self._world.steps.get(cut_key(ask.key))
        if step is None:
            return False
        return self._world.is_cut_off(step.unit, now) or (step.op in POWER and self._world.has_no_bmc(step.unit, now))

    def _progress(self, key: StepKey, now: datetime) -> Progress:
        step = self._world.steps.get(cut_key(key))
        if step is None:
            return NeverAsked()
        machine = self._world.machine(step.unit)
        assert machine is not None
        machine.settle(now)
        if step.ends_at is None or step.ends_at > now:
            return Running(check_again_at=step.ends_at)
        return Failed(at=step.ends_at, why=step.failed) if step.failed else Succeeded(at=step.ends_at)


class SimWorkloads(_Desk):
    """WorkloadManager."""

    def lock(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return self._call("lock", asks)

    def drain(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return self._call("drain", asks)

    def give_back(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port."""
        with self._lock:
            bad = self._world.unplaceable([ask.unit for ask in asks])
        if bad is not None:
            raise Refused(f"the placement group cannot place {bad} with {len(asks) - 1} others")
        return self._call("give_back", asks)

    def release(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return self._call("release", asks)


class SimFirmware(_Desk):
    """Firmware."""

    def apply(self, asks: Sequence[ApplyAsk]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return self._call("apply", asks)


class SimPower(_Desk):
    """Power."""

    def reboot(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return self._call("reboot", asks)

    def reset(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return self._call("reset", asks)


class SimVerifier(_Desk):
    """Verifier."""

    def check(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return self._call("check", asks)


class SimInventory(_Desk):
    """Inventory."""

    def observe_nodes(self, nodes: Sequence[NodeId]) -> Mapping[NodeId, NodeSeen]:
        """See the port."""
        _check_size(nodes)
        with self._lock:
            now = self._clock.now()
            if self._fate_of_call("observe nodes", nodes, now):
                raise OutcomeUnknown("observe")
            at = f"{now:%m-%d %H:%M}"
            return {n: self._node(n, now, at) for n in nodes if self._is_seen(n, self._world.nodes, now, at)}

    def observe_devices(self, devices: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceSeen]:
        """See the port."""
        _check_size(devices)
        with self._lock:
            now = self._clock.now()
            if self._fate_of_call("observe devices", devices, now):
                raise OutcomeUnknown("observe")
            at = f"{now:%m-%d %H:%M}"
            return {n: self._device(n, now, at) for n in devices if self._is_seen(n, self._world.devices, now, at)}

    def _is_seen(self, name: str, known: Container[str], now: datetime, at: str) -> bool:
        if name not in known or self._world.is_cut_off(name, now):
            return False
        share = self._world.faults.missing
        is_missing = share > 0 and self._world.draw(f"{name} {at}", "missing") < share
        if is_missing:
            self._world.happened["inventory leaves a unit out"] += 1
        return not is_missing

    def _look(self, machine: Machine, now: datetime, at: str) -> tuple[Mapping[str, str], datetime]:
        """The versions it reports, and as of when."""
        machine.settle(now)
        changed_at = machine.changed_at
        share = self._world.faults.stale
        if changed_at is None or share <= 0 or self._world.draw(f"{machine.name} {at}", "stale") >= share:
            return dict(machine.versions), now
        self._world.happened["inventory is stale"] += 1
        return dict(machine.before), changed_at - timedelta(minutes=1)

    def _node(self, name: NodeId, now: datetime, at: str) -> NodeSeen:
        machine = self._world.nodes[name]
        versions, observed_at = self._look(machine, now, at)
        return NodeSeen(
            node=name,
            reachable=machine.is_reachable(now),
            state=NodeState.IN_SERVICE if machine.in_service else NodeState.OUT_OF_SERVICE,
            versions=versions,
            repaired_at=machine.repaired_at,
            observed_at=observed_at,
            locked=machine.locked,
        )

    def _device(self, name: DeviceId, now: datetime, at: str) -> DeviceSeen:
        machine = self._world.devices[name]
        versions, observed_at = self._look(machine, now, at)
        (version,) = versions.values()
        return DeviceSeen(
            device=name,
            reachable=machine.is_reachable(now),
            version=version,
            repaired_at=machine.repaired_at,
            observed_at=observed_at,
        )


class SimNotifier(_Desk):
    """Notifier: the repair crew listens, nobody else does."""

    def notify(self, notices: Sequence[Notice]) -> Mapping[StepKey, Answer]:
        """See the port."""
        _check_size(notices)
        with self._lock:
            now = self._clock.now()
            for notice in notices:
                if notice.kind is NoticeKind.NEEDS_REPAIR:
                    self._world.ask_repair(cut_key(notice.key), notice.subject, now)
            return {notice.key: Accepted() for notice in notices}


def open_site(world: World, clock: Clock, *, with_jobs: bool = False) -> Site:
    """All ports of the simulated site; its jobs only where somebody looks at them."""
    lock = _Turns(world)
    return Site(
        inventory=SimInventory(world, clock, lock),
        workloads=SimWorkloads(world, clock, lock),
        firmware=SimFirmware(world, clock, lock),
        power=SimPower(world, clock, lock),
        verifier=SimVerifier(world, clock, lock),
        notifier=SimNotifier(world, clock, lock),
        jobs=SimJobs(world, clock, lock) if with_jobs else None,
    )


def _check_size(items: Sequence[object]) -> None:
    if len(items) > CALL_SIZE_MAX:
        raise ValueError(f"{len(items)} items in a call, at most {CALL_SIZE_MAX} are allowed")
