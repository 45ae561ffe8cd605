"""A node that was approved only together with others is out only in a window that takes all of those.

Those are the nodes with work of the scope that the approval names. Protects a customer from paying twice for an
outage that was to be one.
"""

from collections.abc import Iterator

from fermata.domain.consent import find_consent
from fermata.domain.ids import NodeId
from fermata.domain.plans import ConsentBasis
from fermata.planning.case import some
from fermata.planning.encoding import Facts, Takes
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "COMPANIONS"


def check(reading: Reading) -> Iterator[Violation]:
    """Windows to come that take a node and leave a companion of it."""
    companions = reading.case.consent.companions
    if reading.plan.consent is ConsentBasis.ASSUMED or not companions:
        return
    for window in reading.selected:
        taken = frozenset(window.nodes)
        parted: dict[frozenset[NodeId], list[NodeId]] = {}
        for name in window.nodes:
            left = companions.get(name, frozenset()) - taken
            if left:
                parted.setdefault(left, []).append(name)
        for left, names in parted.items():
            sentence = (
                f"Window {window.id} takes {some(names)} without {some(left)}, and they were approved only together."
            )
            yield Violation(rule=CODE, sentence=sentence, window=window.id, nodes=tuple(names))


def encode(facts: Facts) -> Takes:
    """The companions that the consent on record names."""
    inputs = facts.inputs
    if inputs.ledger is None:
        return Takes()
    return Takes(companions=find_consent(inputs.fleet, inputs.policy, facts.pending, inputs.ledger).companions)
