"""No window takes a node that a work order keeps for itself: one that may go comes first, one that runs holds it.

Protects a part that is being replaced from having its firmware written too soon, and a node from two hands at once.
"""

from collections.abc import Iterator

from fermata.planning.case import some
from fermata.planning.encoding import Facts, Takes
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "WORK_ORDERS"


def check(reading: Reading) -> Iterator[Violation]:
    """Windows to come that hold such nodes; what runs already goes on."""
    held = reading.case.inputs.held
    for window in reading.selected:
        names = tuple(name for name in window.nodes if name in held)
        if names:
            sentence = f"Window {window.id} takes {some(names)}. {held[names[0]].sentence}"
            yield Violation(rule=CODE, sentence=sentence, window=window.id, nodes=names)


def encode(facts: Facts) -> Takes:
    """What orders keep is kept out."""
    return Takes(blocked=facts.inputs.held)
