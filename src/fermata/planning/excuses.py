"""Which nodes with work no window may take, and by which fact: what a plan may give as reasons for leaving them out."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from datetime import timedelta

import numpy as np

from fermata.domain.fleet import Device, Node
from fermata.domain.ids import NodeId
from fermata.domain.reasons import AnyCode, Code
from fermata.domain.updates import Requirement, Update
from fermata.domain.versions import is_at_least
from fermata.planning.case import CheckCase
from fermata.planning.reading import Reading

CONSENT_CODES = frozenset(
    {
        Code.APPROVAL_MISSING,
        Code.APPROVAL_OUTDATED,
        Code.APPROVAL_WITHDRAWN,
        Code.APPROVAL_DECLINED,
        Code.APPROVAL_EXCLUDES,
        Code.OFFER_OPEN,
        Code.OFFER_REFUSED,
        Code.TOGETHER_UNMET,
        Code.COMPANIONS_MISSING,
        Code.POLICY_BLOCKS,
    }
)
ORDER_CODES = (Code.HELD_BY_ORDER, Code.LEAVES_BY_ORDER, Code.ORDER_FIRST)


def find_excused(case: CheckCase, reading: Reading, names: Iterable[NodeId], length: timedelta) -> frozenset[NodeId]:
    """Those of `names` that may not go, or cannot go without one that may not.

    `length` is how long a window of theirs takes: what is shut keeps a node only if it leaves no such gap on any day.
    """
    asked = frozenset(names)
    seeds = {name for name in case.reach(asked) if _own_excuse(case, reading, name, length)}
    return asked & case.spread(seeds)


def supports(case: CheckCase, reading: Reading, code: AnyCode, names: frozenset[NodeId]) -> frozenset[NodeId]:
    """Those of `names` of which `code` may be said; codes that are the planner's own judgement support all."""
    nodes = case.fleet.nodes
    if code in CONSENT_CODES:
        return names & reading.gaps.keys()
    reach = case.reach(names)
    if code is Code.VERSION_UNKNOWN:
        return names & case.spread(name for name in reach if name in case.unknown)
    if code is Code.REQUIREMENT_UNMET:
        return names & case.spread(name for name in reach if is_stuck(case, reading, nodes[name]))
    seeds: dict[AnyCode, AbstractSet[NodeId]] = {
        Code.SHARED_DEVICE_UNAPPROVED: reading.gaps.keys(),
        Code.WITHDRAWN: case.withdrawn.keys(),
        Code.CONSENT_AGAIN: case.waiting.keys() | case.promised.keys(),
        **{code: {name for name, why in case.inputs.held.items() if why.code is code} for code in ORDER_CODES},
    }
    if code in seeds:
        return names & case.spread(seeds[code])
    if code is Code.ONLY_ON_DEVICE:
        return names & frozenset(case.columns.nodes.named(np.flatnonzero(case.alone)))
    if code is Code.FROZEN:
        return names & case.spread(name for name in reach if case.closings.freezes_on(nodes[name]))
    if code is Code.OUTSIDE_WINDOWS:
        return names & case.spread(name for name in reach if name in case.closings.allowed_times)
    return names


def _own_excuse(case: CheckCase, reading: Reading, name: NodeId, length: timedelta) -> bool:
    if name in reading.gaps or name in case.unknown or name in case.withdrawn:
        return True
    if name in case.waiting or name in case.promised or name in case.inputs.held:
        return True
    node = case.fleet.nodes[name]
    return is_stuck(case, reading, node) or _is_shut_out(case, node, length)


def _is_shut_out(case: CheckCase, node: Node, length: timedelta) -> bool:
    shut = case.closings.shut_on(node)
    if not shut:
        return False
    for day in case.days:
        room = case.daily_interval(day)
        free_from = max(room.start, case.inputs.now)
        for time in shut:
            if min(time.start, room.end) - free_from >= length:
                return False
            free_from = max(free_from, time.end)
        if room.end - free_from >= length:
            return False
    return True


def is_stuck(case: CheckCase, reading: Reading, node: Node) -> bool:
    """True when an update due on `node`, or on a draining device it hangs on, needs what this campaign cannot bring."""
    devices = case.devices_of(case.columns.nodes.number[node.name])
    circular = case.circular[node.cluster]
    for name in case.dues.of_node(node.name):
        if name in circular:
            return True
        update = case.inputs.catalogue.updates[name]
        if any(_is_barred(case, reading, device, update) for device in devices):
            return True
        if not all(_node_can_meet(case, reading, node, need) for need in update.requires):
            return True
    return any(_is_device_stuck(case, reading, device) for device in devices if case.is_draining(device.name))


def _is_barred(case: CheckCase, reading: Reading, device: Device, update: Update) -> bool:
    """True when `update` comes after one on `device` that may never be applied there."""
    due = case.device_due(device.name)
    blocked = due is not None and due.id in update.after and reading.is_blocked(device.name)
    return blocked or not case.unknown_devices.get(device.name, frozenset()).isdisjoint(update.after)


def _node_can_meet(case: CheckCase, reading: Reading, node: Node, need: Requirement) -> bool:
    """Asked of the node where it has the component, else of every device with it; none at all is not enough."""
    if need.component in node.versions:
        return _node_can_reach(case, node, need)
    devices = case.devices_of(case.columns.nodes.number[node.name])
    carriers = [device for device in devices if device.component == need.component]
    return bool(carriers) and all(_device_can_reach(case, reading, device, need) for device in carriers)


def _node_can_reach(case: CheckCase, node: Node, need: Requirement) -> bool:
    due = (case.inputs.catalogue.updates[name] for name in case.dues.of_node(node.name))
    brought = [update.to_version for update in due if update.component == need.component]
    return any(is_at_least(version, need.min_version) for version in (node.versions[need.component], *brought))


def _device_can_reach(case: CheckCase, reading: Reading, device: Device, need: Requirement) -> bool:
    if is_at_least(device.version, need.min_version):
        return True
    due = case.device_due(device.name)
    return due is not None and not reading.is_blocked(device.name) and is_at_least(due.to_version, need.min_version)


def _is_device_stuck(case: CheckCase, reading: Reading, device: Device) -> bool:
    due = case.device_due(device.name)
    if due is None or due.id in case.circular[device.cluster]:
        return due is not None
    behind = case.fleet.nodes_behind(device)
    return not all(_behind_can_meet(case, reading, device, behind, need) for need in due.requires)


def _behind_can_meet(
    case: CheckCase, reading: Reading, device: Device, behind: tuple[Node, ...], need: Requirement
) -> bool:
    """For work on a device: itself, the nodes behind it, and what those hang on, wherever the component is found."""
    if device.component == need.component:
        return _device_can_reach(case, reading, device, need)
    return bool(behind) and all(_node_can_meet(case, reading, node, need) for node in behind)
