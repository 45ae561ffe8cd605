"""A freeze that touches a window's cluster, supercomputer, rack or nodes between start and end forbids it.

Freezes beat approvals. Protects what a customer cannot have interrupted.
"""

from collections.abc import Iterator

from fermata.domain.fleet import Node
from fermata.domain.ids import ClusterId
from fermata.domain.windows import Interval
from fermata.planning.case import at, some
from fermata.planning.encoding import Calendar, Closed, Facts
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "FREEZE"


def check(reading: Reading) -> Iterator[Violation]:
    """Windows that share an instant with a freeze whose scope holds one of their nodes."""
    case = reading.case
    for view in reading.windows:
        window = view.window
        clusters = case.fleet.clusters
        members: dict[ClusterId, list[Node]] = {}
        for node in view.nodes:
            members.setdefault(node.cluster, []).append(node)
        for freeze in case.inputs.policy.freezes:
            if max(window.start, freeze.start) >= min(window.end, freeze.end):
                continue
            if not any(freeze.scope.covers_any(nodes, clusters[name]) for name, nodes in members.items()):
                continue
            frozen = tuple(n.name for n in view.nodes if freeze.scope.covers(n, clusters[n.cluster]))
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
