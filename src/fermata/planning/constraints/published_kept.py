"""A re-plan keeps what ran as it ran, and inside the notice period moves nothing that was told to a customer.

Nothing else starts inside the notice period either, since nobody could be told in time. Nodes that cannot go when they
were told wait for a new consent, where one is needed. Protects the customer's word, and ours.
"""

from collections.abc import Iterator

from fermata.domain.ids import NodeId
from fermata.domain.replanning import needs_asking
from fermata.planning.case import CheckCase, at, some
from fermata.planning.encoding import Calendar, Facts
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "PUBLISHED_KEPT"


def check(reading: Reading) -> Iterator[Violation]:
    """Windows that ran and are missing or changed, windows told too late, promised nodes that go at another time."""
    case = reading.case
    if case.inputs.parent is None:
        return
    if reading.only is None:
        for ran in case.standing.history:
            if ran.id not in reading.past:
                yield Violation(rule=CODE, sentence=f"Window {ran.id} ran and is not in the plan as it ran.")
    settled_until = case.inputs.now + case.inputs.lead
    for window in reading.selected:
        untold = tuple(name for name in window.nodes if case.promised.get(name) != window.start)
        if window.start < settled_until and untold:
            sentence = (
                f"Window {window.id} takes {some(untold)} at {at(window.start)}, which they were not told before"
                f" {at(settled_until)}."
            )
            yield Violation(rule=CODE, sentence=sentence, window=window.id, nodes=untold)
        moved = tuple(name for name in window.nodes if _is_moved(case, name, window.start))
        if moved:
            sentence = f"Window {window.id} takes {some(moved)} at another time than told, without a new consent."
            yield Violation(rule=CODE, sentence=sentence, window=window.id, nodes=moved)


def _is_moved(case: CheckCase, name: NodeId, start: object) -> bool:
    if case.promised.get(name, start) == start or name not in case.fleet.nodes:
        return False
    node = case.fleet.nodes[name]
    updates = [case.inputs.catalogue.updates[update] for update in case.dues.of_node(name)]
    return needs_asking(case.inputs.policy, node, case.fleet.clusters[node.cluster], updates)


def encode(facts: Facts) -> Calendar:
    """What is told now starts after the notice. What was told before is kept by `planning.replan_agenda`."""
    inputs = facts.inputs
    return Calendar() if inputs.parent is None else Calendar(not_before=inputs.now + inputs.lead)
