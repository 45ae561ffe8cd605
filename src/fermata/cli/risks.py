"""What is said of updates that never ran together: beside a request, a plan, a plan that is put in force."""

from collections.abc import Sequence

from fermata.cli import output
from fermata.domain.reasons import Reason

RISKS_SHOWN = 3


def print_risks(risks: Sequence[Reason]) -> None:
    """The first of them, most nodes first, and how many more there are."""
    for why in risks[:RISKS_SHOWN]:
        output.say(f"{why.code}: {why.sentence}")
    if len(risks) > RISKS_SHOWN:
        output.say(f"... and {len(risks) - RISKS_SHOWN:,} more: fermata updates combinations lists all of them.")
