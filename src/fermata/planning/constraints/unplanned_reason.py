"""Nodes are left unplanned for the reason that really holds them.

Protects whoever acts on the reason: asking for an approval that is not missing helps nobody. That there is no room
is the planner's own judgement and is not retraced.
"""

from collections.abc import Iterator

from fermata.planning.case import some
from fermata.planning.excuses import supports
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "UNPLANNED_REASON"
WRITTEN = "The reason is the one by which the node was kept out when the scope was found."


def check(reading: Reading) -> Iterator[Violation]:
    """Groups that hold nodes of which the reason is not true."""
    case = reading.case
    if reading.only is not None:
        return
    for group in reading.plan.unplanned:
        named = frozenset(name for name in group.nodes if name in case.fleet.nodes)
        unsupported = tuple(sorted(named - supports(case, reading, group.reason.code, named)))
        if unsupported:
            sentence = f"{group.reason.code} is given for {some(unsupported)} of {group.cluster}, but does not hold."
            yield Violation(rule=CODE, sentence=sentence, nodes=unsupported)
