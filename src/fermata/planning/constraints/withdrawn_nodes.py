"""No window takes a node that left the campaign.

Protects a customer who took part of the fleet back after the campaign began.
"""

from collections.abc import Iterator

from fermata.domain.observed import withdrawn_nodes
from fermata.planning.case import some
from fermata.planning.encoding import Facts, Takes
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "WITHDRAWN_NODES"


def check(reading: Reading) -> Iterator[Violation]:
    """Windows to come that hold withdrawn nodes; what runs already goes on."""
    withdrawn = reading.case.withdrawn
    for window in reading.selected:
        names = tuple(name for name in window.nodes if name in withdrawn)
        if names:
            sentence = f"Window {window.id} takes {some(names)}. {withdrawn[names[0]].sentence}"
            yield Violation(rule=CODE, sentence=sentence, window=window.id, nodes=names)


def encode(facts: Facts) -> Takes:
    """What was withdrawn is kept out."""
    return Takes(blocked=withdrawn_nodes(facts.inputs.fleet, facts.inputs.observed))
