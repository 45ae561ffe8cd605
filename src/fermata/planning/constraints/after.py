"""An update starts on a unit only when every update it comes `after` is active there: applied, and rebooted into.

What is not due on the unit any more counts as active; an unknown version does not. Protects the order that was tested.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

import numpy as np

from fermata.domain.fleet import Device
from fermata.domain.ids import NodeId, UpdateId
from fermata.domain.plans import DeviceApplyStep
from fermata.domain.updates import NODE_TARGET
from fermata.planning.case import CheckCase, some
from fermata.planning.columns import NOBODY, Numbers
from fermata.planning.encoding import Facts, Steps
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading, WindowReading
from fermata.planning.runs import NodeClass

CODE = "AFTER"


def check(reading: Reading) -> Iterator[Violation]:
    """Updates that start too early, on nodes and on devices, by the update they should have waited for."""
    case = reading.case
    for view in reading.windows:
        early: dict[tuple[UpdateId, UpdateId], set[NodeId]] = {}
        for group in view.classes:
            for update, first, names in _of_nodes(case, reading, view, group):
                early.setdefault((update, first), set()).update(names)
        for step in view.device_steps:
            for update, first, names in _of_devices(case, reading, view, step):
                early.setdefault((update, first), set()).update(names)
        for (update, first), found in early.items():
            nodes = tuple(sorted(found))
            sentence = f"Window {view.window.id}: {update} starts before {first} is active on {some(nodes)}."
            yield Violation(rule=CODE, sentence=sentence, window=view.window.id, nodes=nodes)


Early = tuple[UpdateId, UpdateId, tuple[NodeId, ...]]


def _of_nodes(case: CheckCase, reading: Reading, view: WindowReading, group: NodeClass) -> Iterator[Early]:
    for name in group.due:
        step, update = group.applied.get(name), case.update(name)
        if step is None or update is None:
            continue
        for first in update.after:
            if first in group.due:
                if first not in view.unreadable and not _by(group.active_at.get(first), step.start):
                    yield name, first, group.names
                continue
            if not _is_on_nodes(case, first):
                late = _find_late(case, reading, group.numbers, first, step.start)
                if late.size:
                    yield name, first, case.columns.nodes.named(late)


def _find_late(case: CheckCase, reading: Reading, nodes: Numbers, first: UpdateId, start: datetime) -> Numbers:
    """The nodes with a device on which `first` is not done; those that hang on the same devices are judged once."""
    spots, one, spot = np.unique(case.columns.nodes.spot[nodes], return_index=True, return_inverse=True)
    done = [_devices_done(case, reading, case.devices_of(node), first, start) for node in nodes[one].tolist()]
    return nodes[~np.array(done, np.bool_)[spot]] if len(spots) else nodes


def _of_devices(case: CheckCase, reading: Reading, view: WindowReading, step: DeviceApplyStep) -> Iterator[Early]:
    update = case.update(step.update)
    for first in update.after if update is not None else ():
        late: list[NodeId] = []
        for device in case.columns.devices.find(step.devices).tolist():
            for node in case.columns.behind(device).tolist() if device != NOBODY else ():
                others = [d for d in case.devices_of(node) if d is not case.columns.devices.devices[device]]
                done = _node_done(case, reading, view, node, first, step.start)
                if not done or not _devices_done(case, reading, others, first, step.start):
                    late.append(case.columns.nodes.nodes[node].name)
        if late:
            yield step.update, first, tuple(late)


def _node_done(
    case: CheckCase, reading: Reading, view: WindowReading, node: int, first: UpdateId, start: datetime
) -> bool:
    name = case.columns.nodes.nodes[node].name
    if not _is_on_nodes(case, first) or first not in case.dues.of_node(name) or first in view.unreadable:
        return True
    if name in view.class_of:
        return _by(view.class_of[name].active_at.get(first), start)
    return _by(reading.back_from(node), start)


def _devices_done(
    case: CheckCase, reading: Reading, devices: Iterable[Device], first: UpdateId, start: datetime
) -> bool:
    if _is_on_nodes(case, first):
        return True
    for device in devices:
        if first in case.unknown_devices.get(device.name, ()):
            return False
        due = case.device_due(device.name)
        if due is not None and due.id == first:
            end = reading.applied_on(case.columns.devices.number[device.name])
            if not _by(end, start) and (end is not None or reading.is_blocked(device.name)):
                return False
    return True


def _by(instant: datetime | None, start: datetime) -> bool:
    return instant is not None and instant <= start


def _is_on_nodes(case: CheckCase, first: UpdateId) -> bool:
    update = case.update(first)
    return update is not None and update.target == NODE_TARGET


def encode(facts: Facts) -> Steps:
    """Each update waits for those it comes after."""
    return Steps(before={u.id: frozenset(u.after) for u in facts.inputs.catalogue.rolled_out if u.after})
