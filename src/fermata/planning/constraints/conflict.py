"""Updates that conflict never run at the same time on a node, nor on a device and a node behind it.

Protects a node from a driver that is replaced while the switch below it restarts.
"""

from collections.abc import Iterator

from fermata.domain.fleet import Node
from fermata.domain.ids import NodeId
from fermata.domain.plans import DeviceApplyStep, NodeApplyStep
from fermata.planning.case import CheckCase, some
from fermata.planning.encoding import Facts, Steps
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading, WindowReading

CODE = "CONFLICT"


def check(reading: Reading) -> Iterator[Violation]:
    """Pairs of steps that conflict, overlap in time and meet on a node."""
    case = reading.case
    conflicts = case.inputs.catalogue.conflicts
    for view in reading.windows:
        works = list(_works(case, view))
        for index, (first, nodes) in enumerate(works):
            for second, others in works[index + 1 :]:
                if first.update == second.update or frozenset((first.update, second.update)) not in conflicts:
                    continue
                if isinstance(first, DeviceApplyStep) and isinstance(second, DeviceApplyStep):
                    continue
                met = nodes & others
                if met and max(first.start, second.start) < min(first.end, second.end):
                    sentence = (
                        f"Window {view.window.id}: {first.update} and {second.update} conflict and run at the same"
                        f" time on {some(met)}."
                    )
                    yield Violation(rule=CODE, sentence=sentence, window=view.window.id, nodes=tuple(sorted(met)))


def _works(case: CheckCase, view: WindowReading) -> Iterator[tuple[NodeApplyStep | DeviceApplyStep, frozenset[NodeId]]]:
    """Every step that may conflict with any, with the nodes it is felt on."""
    risky = frozenset().union(*case.inputs.catalogue.conflicts)
    for step, members in view.members:
        if isinstance(step, NodeApplyStep) and step.update in risky:
            yield step, _names(members)
    for work in view.device_steps:
        if work.update in risky:
            known = (case.fleet.devices[name] for name in work.devices if name in case.fleet.devices)
            yield work, frozenset().union(*(_names(case.fleet.nodes_behind(device)) for device in known))


def _names(nodes: tuple[Node, ...]) -> frozenset[NodeId]:
    return frozenset(node.name for node in nodes)


def encode(facts: Facts) -> Steps:
    """The catalogue's pairs."""
    return Steps(apart=facts.inputs.catalogue.conflicts)
