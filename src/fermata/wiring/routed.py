"""The ports of a site over several adapters: a bulk call is split by unit, each part goes to who serves it, and the
answers are put together again. What fails of one adapter is Later, Denied or Unsure for its items; the others go on.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from fermata.domain.ahead import Ahead, Kept
from fermata.domain.ids import AdapterId, DeviceId, NodeId, RunId, StepKey, WindowId
from fermata.domain.jobs import Job
from fermata.domain.node_states import UnitKind
from fermata.domain.observations import Accepted, Answer, Denied, DeviceSeen, Later, NodeSeen, Progress, Unsure
from fermata.domain.routing import PortName, RouteTable, Unit, half_look, merge_looks, read_key, split
from fermata.ports import (
    CALL_SIZE_MAX,
    AdapterPorts,
    ApplyAsk,
    Ask,
    Notice,
    OutcomeUnknown,
    Refused,
    Site,
    TryLater,
)
from fermata.wiring.in_time import InTime

_log = logging.getLogger("fermata.site")
A = TypeVar("A", Ask, ApplyAsk, Notice)
T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")
P = TypeVar("P")


@dataclass(frozen=True, slots=True, kw_only=True)
class Switchboard:
    """Who serves what. `find_unit`: of the fleet, None when it does not know the name. `component_of`: what a step
    writes, None where that is not known.
    """

    adapters: Mapping[AdapterId, AdapterPorts]
    table: RouteTable
    find_unit: Callable[[str], Unit | None]
    component_of: Callable[[str], str | None]

    def ask(
        self,
        port: PortName,
        asks: Sequence[A],
        about: Callable[[A], tuple[str, str | None]],
        call: Callable[[AdapterPorts, Sequence[A]], Mapping[StepKey, Answer]],
    ) -> Mapping[StepKey, Answer]:
        """`about`: the unit and component of an item. If one adapter serves all items, its errors are passed on: a
        placement group that takes all or none says so with Refused.
        """
        _check_size(asks)
        parts = dict(split(asks, lambda item: self.find(port, *about(item))))
        answers: dict[StepKey, Answer] = {}
        for item in parts.pop(None, ()):
            answers[item.key] = Denied(why=self._say_unserved(port, *about(item)))
        if len(parts) == 1 and not answers:
            ((adapter, items),) = parts.items()
            assert adapter is not None
            found = self.reach(adapter, port, lambda ports: call(ports, items))
            return {item.key: found.get(item.key, Unsure()) for item in items}
        for adapter, items in parts.items():
            assert adapter is not None
            answers.update(self._ask_part(adapter, port, items, call))
        return answers

    def _ask_part(
        self,
        adapter: AdapterId,
        port: PortName,
        items: Sequence[A],
        call: Callable[[AdapterPorts, Sequence[A]], Mapping[StepKey, Answer]],
    ) -> Mapping[StepKey, Answer]:
        try:
            found = self.reach(adapter, port, lambda ports: call(ports, items))
        except TryLater as busy:
            return {item.key: Later(after=busy.after) for item in items}
        except Refused as refused:
            return {item.key: Denied(why=refused.why) for item in items}
        except OutcomeUnknown:
            return {item.key: Unsure() for item in items}
        return {item.key: found.get(item.key, Unsure()) for item in items}

    def look(
        self,
        port: PortName,
        parts: Mapping[AdapterId | None, Sequence[T]],
        call: Callable[[AdapterPorts, Sequence[T]], Mapping[K, V]],
    ) -> Mapping[AdapterId, Mapping[K, V]]:
        """What each adapter says of its items; nothing of those of an adapter that cannot answer now. Of a single
        adapter the errors are passed on.
        """
        asked = {adapter: items for adapter, items in parts.items() if adapter is not None}
        found: dict[AdapterId, Mapping[K, V]] = {}
        for adapter, items in asked.items():
            try:
                found[adapter] = self.reach(adapter, port, partial(_swap, call, items))
            except (TryLater, Refused, OutcomeUnknown):
                if len(asked) == 1:
                    raise
        return found

    def progress(
        self,
        port: PortName,
        asks: Sequence[Ask],
        call: Callable[[AdapterPorts, Sequence[Ask]], Mapping[StepKey, Progress]],
    ) -> Mapping[StepKey, Progress]:
        """Asks about units that nobody serves are left out: whether something was done under them cannot be told."""
        _check_size(asks)
        parts = split(asks, lambda ask: self._find_key(port, ask.key))
        found = self.look(port, parts, call)
        return {ask.key: said[ask.key] for adapter, said in found.items() for ask in parts[adapter] if ask.key in said}

    def serving(self, port: PortName) -> Sequence[AdapterId]:
        """Those that serve the port for some units, in the order of the routes."""
        routed = dict.fromkeys(route.adapter for route in self.table.routes if port in route.ports)
        return [adapter for adapter in routed if getattr(self.adapters[adapter], port) is not None]

    def find(self, port: PortName, unit: str, component: str | None = None) -> AdapterId | None:
        """Who serves the unit; None: nobody, or the fleet does not know it."""
        known = self.find_unit(unit)
        return self.table.find(port, known, component) if known is not None else None

    def _find_key(self, port: PortName, key: StepKey) -> AdapterId | None:
        subject = read_key(key, lambda name: self.find_unit(name) is not None)
        return self.find(port, subject.unit, self.component_of(subject.step)) if subject is not None else None

    def _say_unserved(self, port: PortName, unit: str, component: str | None) -> str:
        if self.find_unit(unit) is None:
            return f"{unit} is not in the fleet"
        what = f"{port} ({component})" if component is not None else str(port)
        return f"no adapter of the site serves {what} for {unit}: add it to the site's file"

    def reach(self, adapter: AdapterId, port: PortName, call: Callable[[AdapterPorts], P]) -> P:
        """Raises TryLater, Refused or OutcomeUnknown: a fault of the adapter itself is the last of these, so that it
        stops its units and not the fleet.
        """
        try:
            return call(self.adapters[adapter])
        except (TryLater, Refused, OutcomeUnknown):
            raise
        except Exception as error:
            _log.exception("adapter_failed adapter=%s port=%s", adapter, port)
            raise OutcomeUnknown(f"{adapter}: {type(error).__name__}") from error


def _swap(call: Callable[[AdapterPorts, Sequence[T]], V], items: Sequence[T], ports: AdapterPorts) -> V:
    return call(ports, items)


def _have(port: P | None) -> P:
    """What a route says the adapter serves."""
    if port is None:
        raise Refused("the adapter does not serve what its routes in the site's file say")
    return port


def _unit(ask: Ask) -> tuple[str, None]:
    return ask.unit, None


@dataclass(frozen=True, slots=True)
class RoutedInventory:
    """Inventory."""

    board: Switchboard

    def observe_nodes(self, nodes: Sequence[NodeId]) -> Mapping[NodeId, NodeSeen]:
        """See the port. A node of which one of its lookers says nothing is left out, unless it is known whether
        workloads are on it: then that is said, and nothing else. Half a look is no evidence.
        """
        _check_size(nodes)
        lookers = {name: self._lookers(name, UnitKind.NODE) for name in nodes}
        parts: dict[AdapterId | None, list[NodeId]] = {}
        for name, adapters in lookers.items():
            for adapter in adapters:
                parts.setdefault(adapter, []).append(name)
        said = self.board.look(
            PortName.INVENTORY, parts, lambda ports, items: _have(ports.inventory).observe_nodes(items)
        )
        merged: dict[NodeId, NodeSeen] = {}
        for name, adapters in lookers.items():
            looks = [
                (said[adapter][name], components)
                for adapter, components in adapters.items()
                if adapter in said and name in said[adapter]
            ]
            if looks and len(looks) == len(adapters):
                merged[name] = merge_looks(looks)
                continue
            workloads = self.board.find(PortName.WORKLOADS, name)
            if workloads is not None and workloads in adapters and name in said.get(workloads, {}):
                merged[name] = half_look(said[workloads][name])
        return merged

    def observe_devices(self, devices: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceSeen]:
        """See the port."""
        _check_size(devices)
        parts = split(devices, lambda name: next(iter(self._lookers(name, UnitKind.DEVICE)), None))
        said = self.board.look(
            PortName.INVENTORY, parts, lambda ports, items: _have(ports.inventory).observe_devices(items)
        )
        return {name: seen for found in said.values() for name, seen in found.items()}

    def _lookers(self, name: str, kind: UnitKind) -> Mapping[AdapterId, frozenset[str]]:
        unit = self.board.find_unit(name) or Unit(name=name, kind=kind, cluster=None)
        return self.board.table.find_lookers(unit)


@dataclass(frozen=True, slots=True)
class RoutedWorkloads:
    """WorkloadManager."""

    board: Switchboard

    def lock(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return self.board.ask(PortName.WORKLOADS, asks, _unit, lambda ports, items: _have(ports.workloads).lock(items))

    def drain(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return self.board.ask(PortName.WORKLOADS, asks, _unit, lambda ports, items: _have(ports.workloads).drain(items))

    def give_back(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return self.board.ask(
            PortName.WORKLOADS, asks, _unit, lambda ports, items: _have(ports.workloads).give_back(items)
        )

    def release(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return self.board.ask(
            PortName.WORKLOADS, asks, _unit, lambda ports, items: _have(ports.workloads).release(items)
        )

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """See the port."""
        return self.board.progress(PortName.WORKLOADS, asks, lambda ports, items: _have(ports.workloads).observe(items))


@dataclass(frozen=True, slots=True)
class RoutedFirmware:
    """Firmware."""

    board: Switchboard

    def apply(self, asks: Sequence[ApplyAsk]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return self.board.ask(
            PortName.FIRMWARE,
            asks,
            lambda ask: (ask.unit, ask.component),
            lambda ports, items: _have(ports.firmware).apply(items),
        )

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """See the port."""
        return self.board.progress(PortName.FIRMWARE, asks, lambda ports, items: _have(ports.firmware).observe(items))


@dataclass(frozen=True, slots=True)
class RoutedPower:
    """Power."""

    board: Switchboard

    def reboot(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return self.board.ask(PortName.POWER, asks, _unit, lambda ports, items: _have(ports.power).reboot(items))

    def reset(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return self.board.ask(PortName.POWER, asks, _unit, lambda ports, items: _have(ports.power).reset(items))

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """See the port."""
        return self.board.progress(PortName.POWER, asks, lambda ports, items: _have(ports.power).observe(items))


@dataclass(frozen=True, slots=True)
class RoutedVerifier:
    """Verifier."""

    board: Switchboard

    def check(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return self.board.ask(PortName.VERIFIER, asks, _unit, lambda ports, items: _have(ports.verifier).check(items))

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """See the port."""
        return self.board.progress(PortName.VERIFIER, asks, lambda ports, items: _have(ports.verifier).observe(items))


@dataclass(frozen=True, slots=True)
class RoutedNotifier:
    """Notifier."""

    board: Switchboard

    def notify(self, notices: Sequence[Notice]) -> Mapping[StepKey, Answer]:
        """See the port."""
        return self.board.ask(
            PortName.NOTIFIER,
            notices,
            lambda notice: (notice.subject, None),
            lambda ports, items: _have(ports.notifier).notify(items),
        )


@dataclass(frozen=True, slots=True)
class RoutedJobs:
    """Jobs. Nodes that nobody serves are left out: nothing is known of their jobs."""

    board: Switchboard

    def list_jobs(self, nodes: Sequence[NodeId]) -> Sequence[Job]:
        """See the port. A job that two adapters name is told twice."""
        _check_size(nodes)
        parts = split(nodes, partial(self.board.find, PortName.JOBS))
        return [
            job
            for adapter, items in parts.items()
            if adapter is not None
            for job in self.board.reach(adapter, PortName.JOBS, _listing(items))
        ]

    def keep_ahead(self, run: RunId, wanted: Sequence[Ahead]) -> Kept:
        """See the port. Every adapter is told its part, also one that has none: it may keep what is not wanted any
        more. What one does not answer is Unsure, under its own name where nothing of it is wanted.
        """
        answers: dict[WindowId, Answer] = {}
        left: dict[str, Answer] = {}
        for adapter in self.board.serving(PortName.JOBS):
            parts = [part for ahead in wanted if (part := self._part(adapter, ahead)) is not None]
            try:
                kept = self.board.reach(adapter, PortName.JOBS, _keeping(run, parts))
            except (TryLater, Refused, OutcomeUnknown) as error:
                said: Answer = Denied(why=error.why) if isinstance(error, Refused) else Unsure()
                kept = Kept(answers={part.window: said for part in parts}, left={str(adapter): said})
            left |= kept.left
            for window, answer in kept.answers.items():
                if isinstance(answers.get(window, Accepted()), Accepted):
                    answers[window] = answer
        return Kept(answers=answers, left=left)

    def _part(self, adapter: AdapterId, ahead: Ahead) -> Ahead | None:
        nodes = frozenset(name for name in ahead.nodes if self.board.find(PortName.JOBS, name) == adapter)
        return replace(ahead, nodes=nodes) if nodes else None


def _listing(nodes: Sequence[NodeId]) -> Callable[[AdapterPorts], Sequence[Job]]:
    return lambda ports: _have(ports.jobs).list_jobs(nodes)


def _keeping(run: RunId, wanted: Sequence[Ahead]) -> Callable[[AdapterPorts], Kept]:
    return lambda ports: _have(ports.jobs).keep_ahead(run, wanted)


def route_site(board: Switchboard) -> Site:
    """All ports of a site over the adapters of a board. Nobody waits long for a notifier."""
    patient = {
        name: ports if ports.notifier is None else replace(ports, notifier=InTime(ports.notifier))
        for name, ports in board.adapters.items()
    }
    return Site(
        jobs=RoutedJobs(board) if board.serving(PortName.JOBS) else None,
        inventory=RoutedInventory(board),
        workloads=RoutedWorkloads(board),
        firmware=RoutedFirmware(board),
        power=RoutedPower(board),
        verifier=RoutedVerifier(board),
        notifier=RoutedNotifier(replace(board, adapters=patient)),
        served=board.table,
    )


def _check_size(items: Sequence[object]) -> None:
    if len(items) > CALL_SIZE_MAX:
        raise ValueError(f"{len(items)} items in a call, at most {CALL_SIZE_MAX} are allowed")
