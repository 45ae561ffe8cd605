"""Nothing is planned before the planner's now.

Protects against a plan that is already late when it is read.
"""

from collections.abc import Iterator

from fermata.planning.case import at
from fermata.planning.encoding import Calendar, Facts
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "NOT_BEFORE_NOW"


def check(reading: Reading) -> Iterator[Violation]:
    """Windows that start before `now`; who judges a plan that is under way passes the time it was made for."""
    now = reading.case.inputs.now
    for window in reading.selected:
        if window.start < now:
            sentence = f"Window {window.id} starts at {at(window.start)}, before {at(now)}."
            yield Violation(rule=CODE, sentence=sentence, window=window.id)


def encode(facts: Facts) -> Calendar:
    """The planner's now."""
    return Calendar(not_before=facts.inputs.now)
