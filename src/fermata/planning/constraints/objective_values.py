"""The objective names every preference of the campaign in its order, with the value the windows really reach.

A re-plan states before them what it breaks and moves of the plan that it follows. Protects whoever chooses between
plans by it.
"""

from collections.abc import Iterator
from math import isclose

from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading
from fermata.planning.scores import score, score_moves

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
    wanted = [*(term for term, _ in score_moves(case, reading.plan)), *(p.term for p in preferences)]
    if [term.term for term in stated] != wanted:
        told = ", ".join(term.term for term in stated) or "nothing"
        yield Violation(rule=CODE, sentence=f"The objective states {told}: not the campaign's preferences in order.")
        return
    values = [value for _, value in score_moves(case, reading.plan)]
    values += [score(case, reading.plan, preference) for preference in preferences]
    for term, value in zip(stated, values, strict=True):
        if not isclose(term.value, value, rel_tol=0, abs_tol=TOLERANCE):
            yield Violation(rule=CODE, sentence=f"The objective states {term.term} {term.value:g}; it is {value:g}.")
