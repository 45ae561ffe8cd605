"""Every step lies inside its window.

Protects the promised end: what runs after it takes nodes that were promised back.
"""

from collections.abc import Iterator

from fermata.planning.case import at
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "STEPS_IN_WINDOW"
WRITTEN = "A window is as long as its steps."


def check(reading: Reading) -> Iterator[Violation]:
    """Steps that start before the window or end after it."""
    for window in reading.selected:
        for step in window.steps:
            if step.start < window.start or step.end > window.end:
                sentence = (
                    f"Window {window.id} ({at(window.start)} to {at(window.end)}) has a {step.step} step from"
                    f" {at(step.start)} to {at(step.end)}."
                )
                yield Violation(rule=CODE, sentence=sentence, window=window.id)
