"""Each part of a rolled cluster takes between the minimum and maximum share, the last at most the maximum.

The share is of the cluster's nodes with work, those that were served already included. Where a re-plan carries parts
over, what is left may be small. Protects capacity against a part that is too big, and the calendar
against crumbs.
"""

from collections.abc import Iterator
from fractions import Fraction
from math import ceil, floor

from fermata.domain.plans import Mode
from fermata.planning.case import exactly
from fermata.planning.encoding import Facts, Parts
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "ROLLING_PART_SIZE"


def check(reading: Reading) -> Iterator[Violation]:
    """Parts outside the campaign's `rolling` shares."""
    case = reading.case
    rolling = case.inputs.campaign.rolling
    for window in reading.selected:
        if window.mode is not Mode.ROLLING or window.cluster not in case.in_scope:
            continue
        total = len(case.working_in(window.cluster) | case.served.get(window.cluster, frozenset()))
        most = floor(exactly(rolling.max_fraction_per_day) * total)
        is_rest = any(other.id in reading.carried for other in reading.by_cluster[window.cluster])
        is_last = is_rest or window.part == window.parts
        least = 1 if is_last else ceil(exactly(rolling.min_fraction_per_day) * total)
        if not least <= len(window.nodes) <= most:
            place = "what is left" if is_rest else "the last part" if is_last else "a part"
            sentence = (
                f"Window {window.id} takes {len(window.nodes):,} of {total:,} nodes of {window.cluster} with work:"
                f" {place} takes {least:,} to {most:,}."
            )
            yield Violation(rule=CODE, sentence=sentence, window=window.id)


def encode(facts: Facts) -> Parts:
    """The shares as written, so that 0.07 of 100 is 7."""
    rolling = facts.inputs.campaign.rolling
    low, high = (Fraction(str(share)) for share in (rolling.min_fraction_per_day, rolling.max_fraction_per_day))
    return Parts(sizes=lambda nodes: (ceil(low * nodes), floor(high * nodes)))
