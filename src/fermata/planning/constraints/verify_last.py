"""Verification comes last, once, after every other step has ended.

Protects the promise that a node returned is a node proven.
"""

from collections.abc import Iterator

from fermata.domain.plans import VerifyStep
from fermata.planning.case import at
from fermata.planning.encoding import DRAIN, REBOOT, VERIFY, Facts, Steps
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "VERIFY_LAST"


def check(reading: Reading) -> Iterator[Violation]:
    """Windows without exactly one verify step, and steps that end after it has started."""
    for window in reading.selected:
        verifies = [step for step in window.steps if isinstance(step, VerifyStep)]
        if len(verifies) != 1:
            sentence = f"Window {window.id} verifies {len(verifies)} times; once, at the end, is right."
            yield Violation(rule=CODE, sentence=sentence, window=window.id)
            continue
        late = [step for step in window.steps if step is not verifies[0] and step.end > verifies[0].start]
        for step in late:
            sentence = (
                f"Window {window.id} has a {step.step} step until {at(step.end)}, after verification began at"
                f" {at(verifies[0].start)}."
            )
            yield Violation(rule=CODE, sentence=sentence, window=window.id)


def encode(facts: Facts) -> Steps:
    """Verification waits for everything else."""
    ready = facts.inputs.catalogue.rolled_out
    return Steps(before={VERIFY: frozenset({DRAIN, REBOOT, *(update.id for update in ready)})})
