"""A window starts and ends inside the daily window of one calendar day, in the campaign's zone.

The planned end is at or before `back_in_service_by`; `hard_stop` bounds execution only. Protects the promise of
capacity back the same evening.
"""

from collections.abc import Iterator
from datetime import date

from fermata.domain.windows import Interval, day_interval
from fermata.planning.case import at
from fermata.planning.encoding import Calendar, Facts
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "DAILY_WINDOW"


def check(reading: Reading) -> Iterator[Violation]:
    """Windows that start before the daily window opens or end after it closes; DST changes are honoured."""
    case = reading.case
    for window in reading.selected:
        day = case.day_of(window.start)
        allowed = case.daily_interval(day)
        if window.start < allowed.start or window.end > allowed.end:
            sentence = (
                f"Window {window.id} lies over {at(window.start)} to {at(window.end)}; on {day} work is allowed from"
                f" {at(allowed.start)} to {at(allowed.end)}."
            )
            yield Violation(rule=CODE, sentence=sentence, window=window.id)


def encode(facts: Facts) -> Calendar:
    """The room of a day: from the daily window's start until nodes are promised back."""
    hours, zone = facts.inputs.campaign.daily_window, facts.inputs.campaign.timezone

    def room(day: date) -> Interval:
        return day_interval(day, hours.start, hours.back_in_service_by, zone)

    return Calendar(room=room)
