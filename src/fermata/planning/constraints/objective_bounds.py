"""No term of the objective is better than its own bound.

Protects the claim of how far from the best a plan is.
"""

from collections.abc import Iterator

from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "OBJECTIVE_BOUNDS"
WRITTEN = "A bound is written no higher than the value that it bounds."
TOLERANCE = 1e-6  # shares are written as decimals


def check(reading: Reading) -> Iterator[Violation]:
    """Bounds above the value they bound, negative bounds, and bounds that are no number."""
    if reading.only is not None:
        return
    for term in reading.plan.objective:
        if not 0 <= term.bound <= term.value + TOLERANCE:
            sentence = f"The objective states {term.term} {term.value:g} with a bound of {term.bound:g}."
            yield Violation(rule=CODE, sentence=sentence)
