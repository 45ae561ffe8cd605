"""An update starts only where the versions it requires run, reported or brought by an update finished before.

The component is looked for on the node, else on the devices it hangs on, and all of those must have it; none at all
is not enough. Protects against combinations that were never tested together.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import product

import numpy as np

from fermata.domain.ids import NodeId, UpdateId
from fermata.domain.plans import NodeApplyStep
from fermata.domain.updates import Requirement
from fermata.domain.versions import is_at_least
from fermata.planning.case import CheckCase, some
from fermata.planning.columns import NOBODY, Numbers, is_among
from fermata.planning.encoding import Facts, Steps
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading, WindowReading

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
    for run in view.runs:
        if isinstance(run.step, NodeApplyStep):
            name = run.step.update
            for need in case.inputs.catalogue.updates[name].requires:
                for node in _unmet_of_batch(reading, view, view.ordered[run.places], need, run.step.start):
                    yield name, need, case.columns.nodes.nodes[node].name


def _unmet_of_batch(
    reading: Reading, view: WindowReading, nodes: Numbers, need: Requirement, start: datetime
) -> Iterator[int]:
    """Nodes without the component are judged by where they stand, each place once."""
    columns = reading.case.columns
    is_on_node = reading.case.reporting(need.component)[nodes]
    yield from (node for node in nodes[is_on_node].tolist() if not _is_met(reading, view, node, need, start))
    others = nodes[~is_on_node]
    stands = columns.nodes.places[:, others]
    has_carrier = reading.case.has_carrier(need.component)[stands]
    places = np.unique(stands[has_carrier])
    is_met = np.array([_by(instant, start) for instant in reading.ready_at(need, places.tolist())], np.bool_)
    is_late = ~has_carrier.any(axis=0) | is_among(stands, places[~is_met]).any(axis=0)
    yield from others[is_late].tolist()


def _of_devices(case: CheckCase, reading: Reading, view: WindowReading) -> Iterator[Unmet]:
    for work in view.device_steps:
        update = case.update(work.update)
        devices = [number for number in case.columns.devices.find(work.devices).tolist() if number != NOBODY]
        for need, device in product(update.requires if update is not None else (), devices):
            for node in case.columns.behind(device).tolist():
                if not _is_met_behind(reading, view, device, node, need, work.start):
                    yield work.update, need, case.columns.nodes.nodes[node].name


def _is_met(reading: Reading, view: WindowReading, number: int, need: Requirement, start: datetime) -> bool:
    node = reading.case.columns.nodes.nodes[number]
    if need.component not in node.versions:
        carriers = reading.case.carriers_at(need.component)
        places = [place for place in reading.case.columns.nodes.places[:, number].tolist() if place in carriers]
        return bool(places) and all(_by(instant, start) for instant in reading.ready_at(need, places))
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
    reading: Reading, view: WindowReading, device: int, node: int, need: Requirement, start: datetime
) -> bool:
    """Work on a device asks the device itself where it has the component, else every node behind it."""
    if reading.case.columns.devices.devices[device].component == need.component:
        return _by(reading.device_ready_from(device, need), start)
    return _is_met(reading, view, node, need, start)


def _by(instant: datetime | None, start: datetime) -> bool:
    return instant is not None and instant <= start


def encode(facts: Facts) -> Steps:
    """Each update waits for every other that brings what it requires, even where the reported version would do."""
    ready = facts.inputs.catalogue.rolled_out
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
