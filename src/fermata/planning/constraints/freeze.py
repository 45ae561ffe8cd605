"""A freeze that touches a window's cluster, supercomputer, rack or nodes between start and end forbids it.

Freezes beat approvals. Protects what a customer cannot have interrupted.
"""

from collections.abc import Iterator

from fermata.domain.windows import Interval
from fermata.planning.case import at, some
from fermata.planning.encoding import Calendar, Closed, Facts
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "FREEZE"


def check(reading: Reading) -> Iterator[Violation]:
    """Windows that share an instant with a freeze whose scope holds one of their nodes."""
    case = reading.case
    clusters = case.fleet.clusters
    for view in reading.windows:
        window = view.window
        for freeze in case.freezes_among(case.columns.clusters_of(view.numbers)):
            if max(window.start, freeze.start) >= min(window.end, freeze.end):
                continue
            nodes = (case.columns.nodes.nodes[number] for number in view.numbers.tolist())
            frozen = tuple(node.name for node in nodes if freeze.scope.covers(node, clusters[node.cluster]))
            if frozen:
                sentence = (
                    f"Window {window.id} touches freeze {freeze.id} of {freeze.scope} ({at(freeze.start)} to"
                    f" {at(freeze.end)}, {freeze.reason}): {some(frozen)}."
                )
                yield Violation(rule=CODE, sentence=sentence, window=window.id, nodes=frozen)


def encode(facts: Facts) -> Calendar:
    """Every freeze, closed to the nodes in its scope."""
    return Calendar(
        closed=tuple(
            Closed(freeze=freeze.id, touches=freeze.scope.covers_any, time=Interval(freeze.start, freeze.end))
            for freeze in facts.inputs.policy.freezes
        )
    )
