"""A window's confidence in its end is a probability.

Protects whoever reads it as one.
"""

from collections.abc import Iterator

from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "END_CONFIDENCE"
WRITTEN = "It is the share of rehearsals that kept the promise, and is read off them."


def check(reading: Reading) -> Iterator[Violation]:
    """Values outside 0..1, and values that are no number."""
    for window in reading.selected:
        if not 0 <= window.end_confidence <= 1:
            sentence = f"Window {window.id} states an end confidence of {window.end_confidence:g}."
            yield Violation(rule=CODE, sentence=sentence, window=window.id)
