"""Every rebootful update is rebooted into before verification, and a reboot names what it makes active.

One reboot serves every update applied on the node since its last one. Protects against a node that is verified while
it still runs the old version.
"""

from collections.abc import Iterator

from fermata.domain.ids import UpdateId
from fermata.domain.plans import NodeApplyStep, RebootStep
from fermata.planning.case import CheckCase, at, some
from fermata.planning.encoding import Facts, Steps
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading, WindowReading
from fermata.planning.runs import NodeClass, fits

CODE = "REBOOTS"


def check(reading: Reading) -> Iterator[Violation]:
    """Reboots that are missing, that activate what was not applied, or whose node counts do not add up."""
    for view in reading.windows:
        faults = list(_count_faults(view))
        for fault in faults:
            yield Violation(rule=CODE, sentence=f"Window {view.window.id} {fault}.", window=view.window.id)
        for group in view.classes if not faults else ():
            for fault in _order_faults(reading.case, view, group):
                sentence = f"Window {view.window.id} {fault} on {some(group.names)}."
                yield Violation(rule=CODE, sentence=sentence, window=view.window.id, nodes=group.names)


def _count_faults(view: WindowReading) -> Iterator[str]:
    for steps, nodes in view.reboot_counts:
        if not fits(nodes, steps):
            sizes = " + ".join(str(step.nodes) for step in steps)
            told = ", ".join(sorted(steps[0].activates)) or "nothing"
            yield f"reboots {sizes} nodes into {told}; {nodes:,} need it"


def _order_faults(case: CheckCase, view: WindowReading, group: NodeClass) -> Iterator[str]:
    waiting: set[UpdateId] = set()
    for step in group.steps:
        if isinstance(step, NodeApplyStep):
            if step.update in case.rebootful:
                waiting.add(step.update)
        elif isinstance(step, RebootStep):
            told = set(step.activates) & set(group.due) - view.unreadable
            if told != waiting:
                yield (
                    f"reboots at {at(step.start)} into {', '.join(sorted(told)) or 'nothing'} with"
                    f" {', '.join(sorted(waiting)) or 'nothing'} waiting"
                )
            waiting.clear()
    if waiting:
        yield f"never reboots into {', '.join(sorted(waiting))}"


def encode(facts: Facts) -> Steps:
    """Updates that run only from a reboot on."""
    ready = facts.inputs.catalogue.rolled_out
    return Steps(rebooted=frozenset(update.id for update in ready if update.needs_reboot))
