"""The objective names every preference of the campaign in its order, with the value the windows really reach.

Protects whoever chooses between plans by it.
"""

from collections.abc import Iterator
from math import isclose

from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading
from fermata.planning.scores import score

CODE = "OBJECTIVE_VALUES"
WRITTEN = "Values are counted from the windows that were chosen."
TOLERANCE = 1e-6  # shares are written as decimals


def check(reading: Reading) -> Iterator[Violation]:
    """Terms that are missing, foreign or out of order, and values that are not what the windows give."""
    case = reading.case
    if reading.only is not None:
        return
    preferences = case.inputs.campaign.preferences
    stated = reading.plan.objective
    if [term.term for term in stated] != [preference.term for preference in preferences]:
        told = ", ".join(term.term for term in stated) or "nothing"
        yield Violation(rule=CODE, sentence=f"The objective states {told}: not the campaign's preferences in order.")
        return
    for term, preference in zip(stated, preferences, strict=True):
        value = score(case, reading.plan, preference)
        if not isclose(term.value, value, rel_tol=0, abs_tol=TOLERANCE):
            yield Violation(rule=CODE, sentence=f"The objective states {term.term} {term.value:g}; it is {value:g}.")
