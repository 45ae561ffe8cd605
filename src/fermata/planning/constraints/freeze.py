"""A freeze that touches a window's cluster, supercomputer, rack or nodes between start and end forbids it.

Freezes beat approvals; only a node whose work two people exempted may be out. Protects what a customer cannot have
interrupted.
"""

from collections.abc import Callable, Iterator, Sequence

from fermata.domain.closures import say_frozen
from fermata.domain.fleet import Cluster, Node
from fermata.domain.ids import ClusterId, NodeId
from fermata.domain.pending import work_on
from fermata.domain.policy import Freeze, ScopeLevel
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
        for freeze in case.closings.freezes_among(case.columns.clusters_of(view.numbers)):
            if max(window.start, freeze.start) >= min(window.end, freeze.end):
                continue
            nodes = (case.columns.nodes.nodes[number] for number in view.numbers.tolist())
            frozen = tuple(node.name for node in nodes if case.closings.holds(freeze, node))
            if frozen:
                sentence = (
                    f"Window {window.id} touches freeze {freeze.id} of {freeze.scope} ({at(freeze.start)} to"
                    f" {at(freeze.end)}, {freeze.reason}): {some(frozen)}."
                )
                yield Violation(rule=CODE, sentence=sentence, window=window.id, nodes=frozen)


def encode(facts: Facts) -> Calendar:
    """Every freeze, closed to the nodes in its scope that nobody exempted."""
    return Calendar(
        closed=tuple(
            Closed(
                name=freeze.id,
                touches=_touching(facts, freeze),
                time=Interval(freeze.start, freeze.end),
                why=say_frozen(freeze),
                clusters=_clusters_of(facts, freeze),
            )
            for freeze in facts.inputs.policy.freezes
        )
    )


def _clusters_of(facts: Facts, freeze: Freeze) -> frozenset[ClusterId] | None:
    """The clusters that a freeze can touch, where its scope tells without a search."""
    match freeze.scope.level:
        case ScopeLevel.CLUSTER:
            return frozenset([ClusterId(freeze.scope.name)])
        case ScopeLevel.NODE:
            node = facts.inputs.fleet.nodes.get(NodeId(freeze.scope.name))
            return frozenset([node.cluster] if node is not None else [])
        case ScopeLevel.SUPERCOMPUTER | ScopeLevel.RACK | ScopeLevel.GROUP:
            return None


def _touching(facts: Facts, freeze: Freeze) -> Callable[[Sequence[Node], Cluster], bool]:
    policy, fleet = facts.inputs.policy, facts.inputs.fleet
    if not any(exemption.freeze == freeze.id for exemption in policy.exemptions):
        return freeze.scope.covers_any

    def touches(nodes: Sequence[Node], cluster: Cluster) -> bool:
        held = (node for node in nodes if freeze.scope.covers(node, cluster))
        return any(not policy.lets_out(freeze, work_on(fleet, facts.pending, node)) for node in held)

    return touches
