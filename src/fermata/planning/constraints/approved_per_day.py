"""On a calendar day no more nodes of an approval go than it says that may go on one day.

A node counts on the day on which its window starts, whatever is due on it. Protects a customer who said yes to a few
nodes at a time from losing many.
"""

from collections.abc import Iterator
from datetime import date

from fermata.domain.daily_caps import find_daily_caps
from fermata.domain.ids import NodeId
from fermata.domain.plans import ConsentBasis, Window
from fermata.planning.case import some
from fermata.planning.encoding import Capacity, Facts, Resource, Taken, Use
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "APPROVED_PER_DAY"


def check(reading: Reading) -> Iterator[Violation]:
    """Days on which the windows together take more nodes of an approval than it allows."""
    case = reading.case
    caps = () if reading.plan.consent is ConsentBasis.ASSUMED else case.daily_caps
    asked = {window.id for window in reading.selected}
    days: dict[tuple[int, date], list[tuple[Window, int]]] = {}
    for window in reading.plan.windows if caps else ():
        members = frozenset(window.nodes)
        for number, cap in enumerate(caps):
            taken = len(members & cap.nodes)
            if taken:
                days.setdefault((number, case.day_of(window.start)), []).append((window, taken))
    for (number, day), found in sorted(days.items()):
        cap, total = caps[number], sum(taken for _, taken in found)
        if total > cap.most and any(window.id in asked for window, _ in found):
            sentence = (
                f"{total:,} nodes of {cap.entry.scope} go on {day}, {cap.most:,} may as {cap.entry.actor} approved"
                f" ({cap.id}): windows {some(window.id for window, _ in found)}."
            )
            yield Violation(rule=CODE, sentence=sentence, window=found[0][0].id)


def encode(facts: Facts) -> Capacity:
    """One resource an approval and day; a window uses as many units as it takes nodes of it."""
    inputs = facts.inputs
    caps = find_daily_caps(inputs.fleet, inputs.policy, inputs.catalogue.updates, inputs.ledger or ())
    bound_by: dict[NodeId, list[int]] = {}
    for index, cap in enumerate(caps):
        for name in cap.nodes:
            bound_by.setdefault(name, []).append(index)

    def count(taken: Taken) -> tuple[Use, ...]:
        units: dict[int, int] = {}
        for node in taken.nodes if bound_by else ():
            for index in bound_by.get(node.name, ()):
                units[index] = units.get(index, 0) + 1
        return tuple(taken.use(index, found) for index, found in sorted(units.items()))

    resources = tuple(
        Resource(
            source=cap.id,
            name=f"nodes a day of {cap.entry.scope}, approved by {cap.entry.actor}",
            capacity=cap.most,
            per_day=True,
        )
        for cap in caps
    )
    return Capacity(resources=resources, count=count)
