"""Nodes that a policy or an approval lets go at some times only are out at those times, and at no other.

Protects the hours that a customer keeps for itself.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta

from fermata.domain.allowances import Allowance, closed_for_any, covers
from fermata.domain.closures import say_outside
from fermata.domain.consent import find_consent
from fermata.domain.fleet import Cluster, Node
from fermata.domain.ids import NodeId
from fermata.domain.plans import ConsentBasis
from fermata.domain.windows import Interval
from fermata.planning.case import at, some
from fermata.planning.encoding import Calendar, Closed, Facts
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "ALLOWED_WINDOWS"
AROUND = timedelta(days=4)  # beyond the campaign, where nothing lies: zones and nights stay well within


def check(reading: Reading) -> Iterator[Violation]:
    """Windows that are not wholly within what each allowance of each of their nodes opens."""
    if reading.plan.consent is ConsentBasis.ASSUMED:
        return
    times = reading.case.closings.allowed_times
    for view in reading.windows if times else ():
        window = view.window
        bound: dict[frozenset[Allowance], list[NodeId]] = {}
        for node in window.nodes:
            if node in times:
                bound.setdefault(times[node], []).append(node)
        for allowances, nodes in bound.items():
            if not covers(allowances, Interval(window.start, window.end)):
                sentence = (
                    f"Window {window.id} takes {some(nodes)} from {at(window.start)} to {at(window.end)}, and"
                    f" that is allowed only {' and '.join(sorted(map(str, allowances)))}."
                )
                yield Violation(rule=CODE, sentence=sentence, window=window.id, nodes=tuple(nodes))


def encode(facts: Facts) -> Calendar:
    """All that the allowances leave shut between the campaign's first and last day."""
    inputs = facts.inputs
    if inputs.ledger is None:
        return Calendar()
    times = find_consent(inputs.fleet, inputs.policy, facts.pending, inputs.ledger).times
    groups: dict[frozenset[Allowance], set[NodeId]] = {}
    for node, allowances in times.items():
        groups.setdefault(allowances, set()).add(node)
    first = datetime.combine(inputs.campaign.first_day, time(), UTC) - AROUND
    until = datetime.combine(inputs.campaign.extension_until, time(), UTC) + AROUND
    closed: list[Closed] = []
    for number, (allowances, members) in enumerate(sorted(groups.items(), key=lambda group: min(group[1]))):
        customer = inputs.fleet.clusters[inputs.fleet.nodes[min(members)].cluster].customer
        scope, touches = f"{len(members):,} node(s), {min(members)} first", _Touching(frozenset(members))
        clusters = frozenset(inputs.fleet.nodes[name].cluster for name in members)
        for shut in closed_for_any(allowances, first, until):
            why = say_outside(allowances, customer, scope, after=shut.start, length=timedelta(0))
            name = f"{CODE} {number} {shut.start:%Y-%m-%dT%H:%MZ}"
            closed.append(Closed(name=name, touches=touches, time=shut, why=why, clusters=clusters))
    return Calendar(closed=tuple(closed))


class _Touching:
    """True for any of these nodes."""

    def __init__(self, nodes: frozenset[NodeId]) -> None:
        self._nodes = nodes

    def __call__(self, nodes: Sequence[Node], _cluster: Cluster) -> bool:
        return any(node.name in self._nodes for node in nodes)
