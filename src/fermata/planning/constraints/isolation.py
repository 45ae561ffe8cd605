"""The nodes of a window on which an isolated update runs at any instant stay within its bound.

By fault domain: at most so many domains. By percent: at most that share of the window's nodes, rounded down, and at
least one. Concurrent batches count together. Protects against one bad update that takes everything at once.
"""

from collections.abc import Iterator

from fermata.domain.fleet import Node
from fermata.domain.ids import UpdateId
from fermata.domain.plans import DeviceApplyStep, NodeApplyStep
from fermata.domain.updates import IsolationBy, Update
from fermata.planning.case import CheckCase, at
from fermata.planning.encoding import Facts, Steps
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading, WindowReading

CODE = "ISOLATION"


def check(reading: Reading) -> Iterator[Violation]:
    """Instants at which an update's batches take too many domains or nodes; work on a device takes those behind it."""
    for view in reading.windows:
        for update, works in _isolated(reading.case, view):
            for step, _ in works:
                running = {n.name: n for s, nodes in works if s.start <= step.start < s.end for n in nodes}
                fault = _fault(update, len(view.window.nodes), list(running.values()))
                if fault:
                    sentence = f"Window {view.window.id}: {update.id} runs {fault} at {at(step.start)}."
                    yield Violation(rule=CODE, sentence=sentence, window=view.window.id, nodes=tuple(sorted(running)))
                    break


def _isolated(
    case: CheckCase, view: WindowReading
) -> Iterator[tuple[Update, list[tuple[NodeApplyStep | DeviceApplyStep, tuple[Node, ...]]]]]:
    updates = case.inputs.catalogue.updates
    isolated = {name for name, update in updates.items() if update.isolation.by is not IsolationBy.NONE}
    found: dict[UpdateId, list[tuple[NodeApplyStep | DeviceApplyStep, tuple[Node, ...]]]] = {}
    for step, members in view.members:
        if isinstance(step, NodeApplyStep) and step.update in isolated:
            found.setdefault(step.update, []).append((step, members))
    for work in (step for step in view.device_steps if step.update in isolated):
        known = (case.fleet.devices[name] for name in work.devices if name in case.fleet.devices)
        behind = tuple(n for d in known for n in case.fleet.nodes_behind(d) if n.name in view.node_names)
        found.setdefault(work.update, []).append((work, behind))
    for name, works in found.items():
        yield updates[name], works


def _fault(update: Update, total: int, running: list[Node]) -> str | None:
    at_once = update.isolation.at_once
    match update.isolation.by:
        case IsolationBy.NONE:
            return None
        case IsolationBy.FAULT_DOMAIN:
            domains = len({node.fault_domain for node in running})
            return f"in {domains} fault domains, {at_once} may be" if domains > at_once else None
        case IsolationBy.PERCENT:
            most = max(1, total * at_once // 100)
            return f"on {len(running):,} nodes, {most:,} may be" if len(running) > most else None


def encode(facts: Facts) -> Steps:
    """The isolation of each update that has one."""
    ready = facts.inputs.catalogue.production_ready
    return Steps(isolated={u.id: u.isolation for u in ready if u.isolation.by is not IsolationBy.NONE})
