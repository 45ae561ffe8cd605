"""Updates that conflict never run at the same time on a node, nor on a device and a node behind it.

Protects a node from a driver that is replaced while the switch below it restarts.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from fermata.domain.plans import DeviceApplyStep, NodeApplyStep
from fermata.planning.case import CheckCase, some
from fermata.planning.columns import Numbers
from fermata.planning.encoding import Facts, Steps
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading, WindowReading

CODE = "CONFLICT"


def check(reading: Reading) -> Iterator[Violation]:
    """Pairs of steps that conflict, overlap in time and meet on a node."""
    conflicts = reading.case.inputs.catalogue.conflicts
    for view in reading.windows:
        for (first, nodes), (second, others) in combinations(_works(reading.case, view), 2):
            if first.update == second.update or frozenset((first.update, second.update)) not in conflicts:
                continue
            if isinstance(first, DeviceApplyStep) and isinstance(second, DeviceApplyStep):
                continue
            if max(first.start, second.start) >= min(first.end, second.end):
                continue
            met = reading.case.columns.nodes.named(np.intersect1d(nodes, others))
            if met:
                sentence = (
                    f"Window {view.window.id}: {first.update} and {second.update} conflict and run at the same"
                    f" time on {some(met)}."
                )
                yield Violation(rule=CODE, sentence=sentence, window=view.window.id, nodes=met)


def _works(case: CheckCase, view: WindowReading) -> Iterator[tuple[NodeApplyStep | DeviceApplyStep, Numbers]]:
    """Every step that may conflict with any, with the nodes it is felt on."""
    risky = frozenset().union(*case.inputs.catalogue.conflicts)
    for run in view.runs:
        if isinstance(run.step, NodeApplyStep) and run.step.update in risky:
            yield run.step, view.ordered[run.places]
    for work in view.device_steps:
        if work.update in risky:
            yield work, case.columns.behind_any(work.devices)


def encode(facts: Facts) -> Steps:
    """The catalogue's pairs."""
    return Steps(apart=facts.inputs.catalogue.conflicts)
