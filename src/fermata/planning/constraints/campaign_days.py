"""A window lies on a day from the campaign's first day to the end of its extension, both included.

Protects the time outside the campaign, which nobody agreed to.
"""

from collections.abc import Iterator

from fermata.planning.encoding import Calendar, Facts
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "CAMPAIGN_DAYS"


def check(reading: Reading) -> Iterator[Violation]:
    """Windows before `first_day` or after `extension_until`."""
    case = reading.case
    campaign = case.inputs.campaign
    for window in reading.selected:
        day = case.day_of(window.start)
        if not campaign.first_day <= day <= campaign.extension_until:
            sentence = (
                f"Window {window.id} lies on {day}; the campaign runs from {campaign.first_day} to"
                f" {campaign.extension_until}."
            )
            yield Violation(rule=CODE, sentence=sentence, window=window.id)


def encode(facts: Facts) -> Calendar:
    """The campaign's first day and the end of its extension."""
    campaign = facts.inputs.campaign
    return Calendar(first_day=campaign.first_day, last_day=campaign.extension_until)
