"""A window starts and ends inside the daily window of one calendar day, in the campaign's zone.

The planned end is at or before `back_in_service_by`; `hard_stop` bounds execution only. Protects the promise of
capacity back the same evening.
"""

from collections.abc import Iterator

from fermata.planning.case import at
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
