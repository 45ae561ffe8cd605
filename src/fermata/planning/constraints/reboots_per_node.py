"""A window states the most reboots that any of its nodes goes through.

Protects whoever weighs the outage by it.
"""

from collections.abc import Iterator

from fermata.domain.plans import RebootStep
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "REBOOTS_PER_NODE"
WRITTEN = "It is counted from the steps."


def check(reading: Reading) -> Iterator[Violation]:
    """Windows whose `reboots_per_node` is not what the steps say."""
    for view in reading.windows:
        counts = (sum(isinstance(step, RebootStep) for step in group.steps) for group in view.classes)
        most = max(counts, default=0)
        if view.window.reboots_per_node != most:
            sentence = f"Window {view.window.id} states {view.window.reboots_per_node} reboots a node, not {most}."
            yield Violation(rule=CODE, sentence=sentence, window=view.window.id)
