"""The nodes of a window on which an isolated update runs at any instant stay within its bound.

By fault domain: at most so many domains. By percent: at most that share of the window's nodes, rounded down, and at
least one. Concurrent batches count together. Protects against one bad update that takes everything at once.
"""

from collections.abc import Iterator

import numpy as np

from fermata.domain.ids import UpdateId
from fermata.domain.plans import DeviceApplyStep, NodeApplyStep
from fermata.domain.updates import IsolationBy, Update
from fermata.planning.case import CheckCase, at
from fermata.planning.columns import NO_NUMBERS, Numbers
from fermata.planning.encoding import Facts, Steps
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading, WindowReading

CODE = "ISOLATION"


def check(reading: Reading) -> Iterator[Violation]:
    """Instants at which an update's batches take too many domains or nodes; work on a device takes those behind it."""
    nodes = reading.case.columns.nodes
    for view in reading.windows:
        for update, works in _isolated(reading.case, view):
            for step, _ in works:
                groups = [taken for other, taken in works if other.start <= step.start < other.end]
                running = np.sort(groups[0]) if len(groups) == 1 else np.unique(np.concatenate([NO_NUMBERS, *groups]))
                fault = _fault(update, len(view.window.nodes), nodes.fault_domain[running])
                if fault:
                    sentence = f"Window {view.window.id}: {update.id} runs {fault} at {at(step.start)}."
                    yield Violation(rule=CODE, sentence=sentence, window=view.window.id, nodes=nodes.named(running))
                    break


def _isolated(
    case: CheckCase, view: WindowReading
) -> Iterator[tuple[Update, list[tuple[NodeApplyStep | DeviceApplyStep, Numbers]]]]:
    updates = case.inputs.catalogue.updates
    isolated = {name for name, update in updates.items() if update.isolation.by is not IsolationBy.NONE}
    found: dict[UpdateId, list[tuple[NodeApplyStep | DeviceApplyStep, Numbers]]] = {}
    for run in view.runs:
        if isinstance(run.step, NodeApplyStep) and run.step.update in isolated:
            found.setdefault(run.step.update, []).append((run.step, view.ordered[run.places]))
    for work in (step for step in view.device_steps if step.update in isolated):
        behind = np.intersect1d(case.columns.behind_any(work.devices), view.numbers)
        found.setdefault(work.update, []).append((work, behind))
    for name, works in found.items():
        yield updates[name], works


def _fault(update: Update, total: int, domains: Numbers) -> str | None:
    """What is wrong with running on nodes of these fault domains at once."""
    at_once = update.isolation.at_once
    match update.isolation.by:
        case IsolationBy.NONE:
            return None
        case IsolationBy.FAULT_DOMAIN:
            taken = len(np.unique(domains))
            return f"in {taken} fault domains, {at_once} may be" if taken > at_once else None
        case IsolationBy.PERCENT:
            most = max(1, total * at_once // 100)
            return f"on {len(domains):,} nodes, {most:,} may be" if len(domains) > most else None


def encode(facts: Facts) -> Steps:
    """The isolation of each update that has one."""
    ready = facts.inputs.catalogue.rolled_out
    return Steps(isolated={u.id: u.isolation for u in ready if u.isolation.by is not IsolationBy.NONE})
