"""The batches of an update are numbered 1..batches and together hold every node of the window on which it is due.

Protects against a node that the window takes out and then forgets.
"""

from collections.abc import Iterator, Sequence

from fermata.domain.ids import UpdateId
from fermata.domain.plans import DeviceApplyStep, NodeApplyStep
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading, WindowReading

CODE = "BATCHES"
WRITTEN = "The layout of a window cuts the nodes on which an update is due into batches, all of them."


def check(reading: Reading) -> Iterator[Violation]:
    """Node counts that do not add up, due updates without a step, steps for what is not due, wrong numbers."""
    for view in reading.windows:
        for update in sorted(view.due_counts.keys() | view.node_batches.keys()):
            fault = _count_fault(view, update) or _number_fault(view.node_batches[update])
            if fault:
                sentence = f"Window {view.window.id}: {update} {fault}."
                nodes = view.names_due(update)
                yield Violation(rule=CODE, sentence=sentence, window=view.window.id, nodes=nodes)
        for update in sorted({step.update for step in view.device_steps}):
            fault = _number_fault([step for step in view.device_steps if step.update == update])
            if fault:
                sentence = f"Window {view.window.id}: {update} {fault}."
                yield Violation(rule=CODE, sentence=sentence, window=view.window.id)


def _count_fault(view: WindowReading, update: UpdateId) -> str | None:
    due = view.due_counts.get(update, 0)
    sizes = [step.nodes for step in view.node_batches.get(update, ())]
    if sum(sizes) == due and all(size > 0 for size in sizes):
        return None
    return f"is due on {due:,} nodes and its batches hold {' + '.join(map(str, sizes)) or 'none'}"


def _number_fault(steps: Sequence[NodeApplyStep | DeviceApplyStep]) -> str | None:
    numbers = sorted(step.batch for step in steps)
    if numbers == list(range(1, len(steps) + 1)) and {step.batches for step in steps} == {len(steps)}:
        return None
    told = ", ".join(f"{step.batch}/{step.batches}" for step in steps)
    return f"has {len(steps)} batches that call themselves {told}"
