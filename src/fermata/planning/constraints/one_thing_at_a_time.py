"""A node goes through its steps one at a time: they never overlap.

Protects a node from two hands at once, and a plan from counting the same minutes twice.
"""

from collections.abc import Iterator
from itertools import pairwise

from fermata.domain.updates import NODE_TARGET
from fermata.planning.case import at, some
from fermata.planning.encoding import DRAIN, REBOOT, VERIFY, Facts, Steps
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "ONE_THING_AT_A_TIME"


def check(reading: Reading) -> Iterator[Violation]:
    """Nodes whose drain, updates, reboots and verification overlap; work on devices may run beside them."""
    for view in reading.windows:
        for group in view.classes:
            for first, second in pairwise(group.steps):
                if second.start < first.end:
                    sentence = (
                        f"Window {view.window.id}: a {second.step} step starts at {at(second.start)} on"
                        f" {some(group.names)}, whose {first.step} step ends at {at(first.end)}."
                    )
                    yield Violation(rule=CODE, sentence=sentence, window=view.window.id, nodes=group.names)


def encode(facts: Facts) -> Steps:
    """Node updates and the steps that no update owns; work on devices may run beside them."""
    ready = facts.inputs.catalogue.rolled_out
    on_nodes = (update.id for update in ready if update.target == NODE_TARGET)
    return Steps(alone=frozenset({DRAIN, REBOOT, VERIFY, *on_nodes}))
