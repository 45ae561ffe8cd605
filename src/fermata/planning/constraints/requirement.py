"""An update starts only where the versions it requires run, reported or brought by an update finished before.

The component is looked for on the node, else on the devices it hangs on, and all of those must have it; none at all
is not enough. Protects against combinations that were never tested together.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import product

from fermata.domain.fleet import Device, Node
from fermata.domain.ids import NodeId, UpdateId
from fermata.domain.updates import Requirement
from fermata.domain.versions import is_at_least
from fermata.planning.case import CheckCase, some
from fermata.planning.encoding import Facts, Steps
from fermata.planning.inputs import Violation
from fermata.planning.reading import NodeClass, Reading, WindowReading

CODE = "REQUIREMENT"
Unmet = tuple[UpdateId, Requirement, NodeId]


def check(reading: Reading) -> Iterator[Violation]:
    """Updates that start before what they require runs, on nodes and on devices."""
    for view in reading.windows:
        unmet: dict[tuple[UpdateId, Requirement], list[NodeId]] = {}
        for update, need, node in _find_unmet(reading, view):
            unmet.setdefault((update, need), []).append(node)
        for (update, need), found in unmet.items():
            nodes = tuple(sorted(set(found)))
            sentence = (
                f"Window {view.window.id}: {update} starts before {need.component} {need.min_version} or later runs"
                f" for {some(nodes)}."
            )
            yield Violation(rule=CODE, sentence=sentence, window=view.window.id, nodes=nodes)


def _find_unmet(reading: Reading, view: WindowReading) -> Iterator[Unmet]:
    yield from _of_nodes(reading.case, reading, view)
    yield from _of_devices(reading.case, reading, view)


def _of_nodes(case: CheckCase, reading: Reading, view: WindowReading) -> Iterator[Unmet]:
    for group in view.classes:
        for name in group.due:
            step = group.applied(name)
            if step is not None:
                for need in case.inputs.catalogue.updates[name].requires:
                    for node in _unmet_of_class(reading, view, group, need, step.start):
                        yield name, need, node.name


def _unmet_of_class(
    reading: Reading, view: WindowReading, group: NodeClass, need: Requirement, start: datetime
) -> Iterator[Node]:
    """Nodes of a class that report the same, or hang on the same devices, are judged once."""
    judged: dict[tuple[str | None, ...], bool] = {}
    for node in group.nodes:
        reported = node.versions.get(need.component)
        alike = (reported,) if reported is not None else (None, node.cluster, node.rack, node.scalable_unit)
        if alike not in judged:
            judged[alike] = _is_met(reading, view, node, need, start)
        if not judged[alike]:
            yield node


def _of_devices(case: CheckCase, reading: Reading, view: WindowReading) -> Iterator[Unmet]:
    for work in view.device_steps:
        update = case.update(work.update)
        devices = [case.fleet.devices[name] for name in work.devices if name in case.fleet.devices]
        for need, device in product(update.requires if update is not None else (), devices):
            for node in case.fleet.nodes_behind(device):
                if not _is_met_behind(reading, view, device, node, need, work.start):
                    yield work.update, need, node.name


def _is_met(reading: Reading, view: WindowReading, node: Node, need: Requirement, start: datetime) -> bool:
    if need.component not in node.versions:
        return _by(reading.ready_from(node, need), start)
    if is_at_least(node.versions[need.component], need.min_version):
        return True
    updates = reading.case.inputs.catalogue.updates
    for name, instant in view.class_of[node.name].active_at.items() if node.name in view.class_of else ():
        update = updates[name]
        brings = update.component == need.component and is_at_least(update.to_version, need.min_version)
        if brings and instant <= start:
            return True
    return any(name in updates and updates[name].component == need.component for name in view.unreadable)


def _is_met_behind(
    reading: Reading, view: WindowReading, device: Device, node: Node, need: Requirement, start: datetime
) -> bool:
    """Work on a device asks the device itself where it has the component, else every node behind it."""
    if device.component == need.component:
        return _by(reading.device_ready_from(device, need), start)
    return _is_met(reading, view, node, need, start)


def _by(instant: datetime | None, start: datetime) -> bool:
    return instant is not None and instant <= start


def encode(facts: Facts) -> Steps:
    """Each update waits for every other that brings what it requires, even where the reported version would do."""
    ready = facts.inputs.catalogue.production_ready
    return Steps(
        before={
            update.id: frozenset(
                other.id
                for other in ready
                for need in update.requires
                if other is not update
                and other.component == need.component
                and is_at_least(other.to_version, need.min_version)
            )
            for update in ready
            if update.requires
        }
    )
