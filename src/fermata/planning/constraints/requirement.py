"""An update starts only where the versions it requires run, reported or brought by an update finished before.

The component is looked for on the node, else on the devices it hangs on, and all of those must have it; none at all
is not enough. Protects against combinations that were never tested together.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import product

from fermata.domain.fleet import Device, Node
from fermata.domain.ids import NodeId, UpdateId
from fermata.domain.plans import DeviceApplyStep
from fermata.domain.updates import Requirement
from fermata.domain.versions import is_at_least
from fermata.planning.case import CheckCase, some
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading, WindowReading

CODE = "REQUIREMENT"
Unmet = tuple[UpdateId, Requirement, NodeId]


def check(reading: Reading) -> Iterator[Violation]:
    """Updates that start before what they require runs, on nodes and on devices."""
    for view in reading.windows:
        unmet: dict[tuple[UpdateId, Requirement], list[NodeId]] = {}
        for update, need, node in _find_unmet(reading.case, reading, view):
            unmet.setdefault((update, need), []).append(node)
        for (update, need), found in unmet.items():
            nodes = tuple(sorted(set(found)))
            sentence = (
                f"Window {view.window.id}: {update} starts before {need.component} {need.min_version} or later runs"
                f" for {some(nodes)}."
            )
            yield Violation(rule=CODE, sentence=sentence, window=view.window.id, nodes=nodes)


def _find_unmet(case: CheckCase, reading: Reading, view: WindowReading) -> Iterator[Unmet]:
    for group in view.classes:
        for name in group.due:
            step = group.applied(name)
            if step is not None:
                for need, node in product(case.inputs.catalogue.updates[name].requires, group.nodes):
                    if not _is_met(case, reading, view, node, need, step.start):
                        yield name, need, node.name
    for work in view.device_steps:
        update = case.update(work.update)
        devices = [case.fleet.devices[name] for name in work.devices if name in case.fleet.devices]
        for need, device in product(update.requires if update is not None else (), devices):
            yield from _unmet_behind(case, reading, view, work, device, need)


def _unmet_behind(
    case: CheckCase, reading: Reading, view: WindowReading, work: DeviceApplyStep, device: Device, need: Requirement
) -> Iterator[Unmet]:
    """Work on a device asks the device itself where it has the component, else every node behind it."""
    for node in case.fleet.nodes_behind(device):
        if device.component == need.component:
            met = _runs_on_device(case, reading, device, need, work.start)
        else:
            met = _is_met(case, reading, view, node, need, work.start)
        if not met:
            yield work.update, need, node.name


def _is_met(
    case: CheckCase, reading: Reading, view: WindowReading, node: Node, need: Requirement, start: datetime
) -> bool:
    if need.component in node.versions:
        return _runs_on_node(case, view, node, need, start)
    carriers = [device for device in case.devices_of(node) if device.component == need.component]
    return bool(carriers) and all(_runs_on_device(case, reading, device, need, start) for device in carriers)


def _runs_on_node(case: CheckCase, view: WindowReading, node: Node, need: Requirement, start: datetime) -> bool:
    if is_at_least(node.versions[need.component], need.min_version):
        return True
    active = view.class_of[node.name].active_at if node.name in view.class_of else {}
    for name, instant in active.items():
        update = case.inputs.catalogue.updates[name]
        brings = update.component == need.component and is_at_least(update.to_version, need.min_version)
        if brings and instant <= start:
            return True
    return any(case.inputs.catalogue.updates[name].component == need.component for name in view.unreadable)


def _runs_on_device(case: CheckCase, reading: Reading, device: Device, need: Requirement, start: datetime) -> bool:
    if is_at_least(device.version, need.min_version):
        return True
    due = case.device_due.get(device.name)
    if due is None or not is_at_least(due.to_version, need.min_version):
        return False
    end = reading.applied_on(device.name, due.id)
    if end is None:
        return not reading.is_blocked(device.name)  # due and forgotten: DEVICES_APPLIED tells
    return end <= start
