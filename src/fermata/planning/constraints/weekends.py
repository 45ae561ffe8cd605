"""No window on a Saturday or Sunday when weekends are not staffed.

Protects the people who would have to come in, and the nodes nobody would be there for.
"""

from collections.abc import Iterator

from fermata.planning.encoding import EVERY_WEEKDAY, Calendar, Facts
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "WEEKENDS"
SATURDAY = 5


def check(reading: Reading) -> Iterator[Violation]:
    """Weekend windows of a campaign with `weekends: never`."""
    case = reading.case
    if case.inputs.campaign.weekends_staffed:
        return
    for window in reading.selected:
        day = case.day_of(window.start)
        if day.weekday() >= SATURDAY:
            sentence = f"Window {window.id} lies on {day:%A} {day}, and weekends are not staffed."
            yield Violation(rule=CODE, sentence=sentence, window=window.id)


def encode(facts: Facts) -> Calendar:
    """Monday to Friday, or every day where weekends are staffed."""
    is_staffed = facts.inputs.campaign.weekends_staffed
    return Calendar(weekdays=EVERY_WEEKDAY if is_staffed else EVERY_WEEKDAY - {5, 6})
