"""Looks at the world in bulk before anything is decided: how far steps are, what nodes and devices report."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from fermata.domain.decide import NOTHING_SEEN, Seen
from fermata.domain.ids import DeviceId, NodeId, StepKey
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.observations import DeviceSeen, Failed, NeverAsked, NodeSeen, Progress, Running, Succeeded
from fermata.domain.operations import UnitOp
from fermata.execution.perform import Caller, key_of
from fermata.ports import CALL_SIZE_MAX, Ask, OutcomeUnknown, Refused, Site, TryLater

A = TypeVar("A")
K = TypeVar("K")
V = TypeVar("V")
S = TypeVar("S", NodeSeen, DeviceSeen)
_IDLE = frozenset({UnitState.DRAINED, UnitState.PROVEN})  # what comes next must meet an empty node
_NEEDS_NO_LOOK = frozenset({UnitState.PENDING, UnitState.LOCKED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """`seen`: what there is to know about each row, by row id. `nodes`: every node that was looked at, also
    those of which only service and lock are known.
    """

    seen: Mapping[int, Seen]
    nodes: Mapping[NodeId, NodeSeen]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Nodes and devices as they are; those about which the inventory says nothing right now are absent."""

    nodes: Mapping[NodeId, NodeSeen]
    devices: Mapping[DeviceId, DeviceSeen]

    def device_versions(self) -> Mapping[DeviceId, str]:
        """What the devices run that answer."""
        return {name: seen.version for name, seen in self.devices.items() if seen.reachable}


def observe(
    caller: Caller,
    ops: Sequence[UnitOp],
    now: datetime,
    behind: Mapping[int, Sequence[NodeId]],
    *,
    also: Collection[int] = frozenset(),
) -> Looked:
    """`behind`: by row id of a device, the nodes that must be empty for work on it: looked at if something begins.
    `also`: rows whose units are asked for a report in any case.
    """
    asked = [op for op in ops if not op.is_idle]
    site = caller.site
    progress = _observe_progress(caller, asked)
    to_look = [op for op in ops if op.id in also or _needs_a_look(op, progress.get(op.id), now)]
    names = [NodeId(op.unit) for op in to_look if op.kind is not UnitKind.DEVICE]
    names += [name for op in ops if may_begin(op, progress.get(op.id), now) for name in behind.get(op.id, ())]
    nodes = observe_service(site, tuple(dict.fromkeys(names)))
    devices = observe_devices(site, [DeviceId(op.unit) for op in to_look if op.kind is UnitKind.DEVICE])
    looked_at = {op.id for op in to_look}
    seen: dict[int, Seen] = {}
    for op in ops:
        if op.id in looked_at:
            since = _since(op, progress.get(op.id))
            seen[op.id] = Seen(
                progress=progress.get(op.id),
                node=_fresh(_whole(nodes.get(NodeId(op.unit))), since),
                device=_fresh(devices.get(DeviceId(op.unit)), since),
                looked=True,
            )
        else:
            seen[op.id] = Seen(progress=progress[op.id]) if op.id in progress else NOTHING_SEEN
    return Looked(seen=seen, nodes=nodes)


def _since(op: UnitOp, progress: Progress | None) -> datetime | None:
    """What was seen before this says nothing: the end of the step that is judged, else its beginning."""
    if isinstance(progress, Succeeded | Failed):
        return progress.at
    return op.step_started_at


def _whole(seen: NodeSeen | None) -> NodeSeen | None:
    return seen if seen is not None and seen.whole else None


def _fresh(seen: S | None, since: datetime | None) -> S | None:
    return None if seen is None or (since is not None and seen.observed_at < since) else seen


def observe_nodes(site: Site, names: Sequence[NodeId]) -> Mapping[NodeId, NodeSeen]:
    """Nodes as they are; those about which the inventory says nothing right now, or not all, are absent."""
    return {name: seen for name, seen in observe_service(site, names).items() if seen.whole}


def observe_service(site: Site, names: Sequence[NodeId]) -> Mapping[NodeId, NodeSeen]:
    """As `observe_nodes`, and those of which only service and lock are known: `whole` tells them apart."""
    return _in_chunks(names, site.inventory.observe_nodes)


def observe_devices(site: Site, names: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceSeen]:
    """Devices as they are; those about which the inventory says nothing right now are absent."""
    return _in_chunks(names, site.inventory.observe_devices)


def _needs_a_look(op: UnitOp, progress: Progress | None, now: datetime) -> bool:
    if op.state in (UnitState.FAILED, UnitState.IN_REPAIR):
        return True
    if op.kind is UnitKind.NODE and op.state in _IDLE:
        return True
    return op.state not in _NEEDS_NO_LOOK and may_begin(op, progress, now)


def may_begin(op: UnitOp, progress: Progress | None, now: datetime) -> bool:
    """True when the step under way is over, was never asked for, or is taken for hung, so that one may begin."""
    if op.is_idle or isinstance(progress, NeverAsked | Succeeded | Failed):
        return True
    return op.limit_at is not None and now >= op.limit_at


def _observe_progress(caller: Caller, ops: Iterable[UnitOp]) -> Mapping[int, Progress]:
    groups: dict[UnitState, list[UnitOp]] = {}
    for op in ops:
        groups.setdefault(op.state, []).append(op)
    found: dict[int, Progress] = {}
    for state, members in groups.items():
        by_key = _in_chunks([caller.ask(op) for op in members], _observer(caller.site, state))
        found.update({op.id: by_key.get(key_of(op), Running()) for op in members})
    return found


def _observer(site: Site, state: UnitState) -> Callable[[Sequence[Ask]], Mapping[StepKey, Progress]]:
    match state:
        case UnitState.APPLYING | UnitState.RECOVERING:
            return site.firmware.observe
        case UnitState.REBOOTING | UnitState.RESETTING:
            return site.power.observe
        case UnitState.VERIFYING:
            return site.verifier.observe
        case _:
            return site.workloads.observe


def _in_chunks(keys: Sequence[A], call: Callable[[Sequence[A]], Mapping[K, V]]) -> dict[K, V]:
    """A target that cannot answer now leaves its items out: nothing is decided about what was not seen."""
    found: dict[K, V] = {}
    for start in range(0, len(keys), CALL_SIZE_MAX):
        try:
            found.update(call(keys[start : start + CALL_SIZE_MAX]))
        except (TryLater, Refused, OutcomeUnknown):
            continue
    return found
