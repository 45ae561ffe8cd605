"""No window takes a node that still waits for a new consent since a plan took back the time it was told.

Protects a customer who said yes to another time from being taken at any.
"""

from collections.abc import Iterator

from fermata.domain.replanning import waiting_nodes
from fermata.planning.case import some
from fermata.planning.encoding import Facts, Takes
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "CONSENT_AGAIN"


def check(reading: Reading) -> Iterator[Violation]:
    """Windows to come that hold waiting nodes."""
    waiting = reading.case.waiting
    for window in reading.selected:
        names = tuple(name for name in window.nodes if name in waiting)
        if names:
            sentence = f"Window {window.id} takes {some(names)}, which wait for a new consent."
            yield Violation(rule=CODE, sentence=sentence, window=window.id, nodes=names)


def encode(facts: Facts) -> Takes:
    """Waiting nodes are kept out, for the reason that the parent gave."""
    inputs = facts.inputs
    return Takes(blocked=waiting_nodes(inputs.fleet, inputs.policy, facts.pending, inputs.parent, inputs.ledger))
