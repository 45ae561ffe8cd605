"""The ports in front of the simulated world: what adapters are to a real site."""

import threading
from collections.abc import Mapping, Sequence
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
    Progress,
    Running,
    Succeeded,
    Unsure,
)
from fermata.domain.updates import Update
from fermata.ports import CALL_SIZE_MAX, ApplyAsk, Ask, Clock, Notice, NoticeKind, Refused, Site
from fermata.sim.world import World, commands, cut_key

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
            answers: dict[StepKey, Answer] = {}
            to_do: list[Ask | ApplyAsk] = []
            astray: list[str] = []
            for ask in asks:
                way = self._way(ask, op, answers)
                if way != "ok":
                    astray.append(cut_key(ask.key))
                if way in ("ok", "answer_lost"):
                    to_do.append(ask)
            self._world.turn_away(astray, now)
            self._world.do(op, commands(op, to_do, self._find), now)
            for ask in to_do:
                if ask.key not in answers:
                    answers[ask.key] = self._accepted(ask.key, now)
            return answers

    def _way(self, ask: Ask | ApplyAsk, op: str, answers: dict[StepKey, Answer]) -> str:
        if self._world.machine(ask.unit) is None:
            answers[ask.key] = Denied(why=f"{ask.unit} is unknown here")
            return "denied"
        match self._world.lost(cut_key(ask.key)):
            case "busy":
                answers[ask.key] = Later(after=BUSY_FOR)
                return "busy"
            case ("lost" | "answer_lost") as way:
                answers[ask.key] = Unsure()
                return way
            case _:
                return "ok"

    def _find(self, update: UpdateId) -> Update:
        return self._world.catalogue.updates[update]

    def _accepted(self, key: StepKey, now: datetime) -> Accepted:
        step = self._world.steps[cut_key(key)]
        return Accepted(check_again_at=step.ends_at if step.ends_at is not None and step.ends_at > now else None)

    def observe(self, keys: Sequence[StepKey]) -> Mapping[StepKey, Progress]:
        """How far each step is."""
        _check_size(keys)
        with self._lock:
            now = self._clock.now()
            return {key: self._progress(key, now) for key in keys}

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
            return {name: self._node(name, now) for name in nodes if name in self._world.nodes}

    def observe_devices(self, devices: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceSeen]:
        """See the port."""
        _check_size(devices)
        with self._lock:
            now = self._clock.now()
            return {name: self._device(name, now) for name in devices if name in self._world.devices}

    def _node(self, name: NodeId, now: datetime) -> NodeSeen:
        machine = self._world.nodes[name]
        machine.settle(now)
        return NodeSeen(
            node=name,
            reachable=machine.gone_since is None,
            state=NodeState.IN_SERVICE if machine.in_service else NodeState.OUT_OF_SERVICE,
            versions=dict(machine.versions),
            repaired_at=machine.repaired_at,
            observed_at=now,
            locked=machine.locked,
        )

    def _device(self, name: DeviceId, now: datetime) -> DeviceSeen:
        machine = self._world.devices[name]
        machine.settle(now)
        (version,) = machine.versions.values()
        return DeviceSeen(
            device=name,
            reachable=machine.gone_since is None,
            version=version,
            repaired_at=machine.repaired_at,
            observed_at=now,
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


def open_site(world: World, clock: Clock) -> Site:
    """All ports of the simulated site."""
    lock = _Turns(world)
    return Site(
        inventory=SimInventory(world, clock, lock),
        workloads=SimWorkloads(world, clock, lock),
        firmware=SimFirmware(world, clock, lock),
        power=SimPower(world, clock, lock),
        verifier=SimVerifier(world, clock, lock),
        notifier=SimNotifier(world, clock, lock),
    )


def _check_size(items: Sequence[object]) -> None:
    if len(items) > CALL_SIZE_MAX:
        raise ValueError(f"{len(items)} items in a call, at most {CALL_SIZE_MAX} are allowed")
