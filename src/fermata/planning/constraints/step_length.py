"""No step is shorter than the median time one unit takes.

Protects the promised end against a plan that is shorter than the work.
"""

from collections.abc import Iterator
from datetime import timedelta
from math import ceil

from fermata.domain.plans import DrainStep, RebootStep, Step, VerifyStep
from fermata.domain.updates import Duration
from fermata.planning.case import CheckCase
from fermata.planning.encoding import DRAIN, REBOOT, VERIFY, Facts, Steps
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "STEP_LENGTH"


def check(reading: Reading) -> Iterator[Violation]:
    """Steps shorter than their p50."""
    for window in reading.selected:
        for step in window.steps:
            needs = _duration(reading.case, step)
            if needs is not None and step.end - step.start < timedelta(minutes=needs.p50):
                given = (step.end - step.start) / timedelta(minutes=1)
                sentence = (
                    f"Window {window.id} gives a {step.step} step {given:g} minutes; one unit takes {needs.p50:g}"
                    " in the median."
                )
                yield Violation(rule=CODE, sentence=sentence, window=window.id)


def _duration(case: CheckCase, step: Step) -> Duration | None:
    defaults = case.inputs.catalogue.defaults
    if isinstance(step, DrainStep):
        return defaults.drain_minutes
    if isinstance(step, RebootStep):
        return defaults.reboot_minutes
    if isinstance(step, VerifyStep):
        return defaults.verify_minutes
    update = case.update(step.update)
    return update.duration_minutes if update is not None else None


def encode(facts: Facts) -> Steps:
    """Medians in whole minutes, at least one."""
    catalogue = facts.inputs.catalogue
    medians: dict[str, float] = {
        DRAIN: catalogue.defaults.drain_minutes.p50,
        REBOOT: catalogue.defaults.reboot_minutes.p50,
        VERIFY: catalogue.defaults.verify_minutes.p50,
        **{update.id: update.duration_minutes.p50 for update in catalogue.rolled_out},
    }
    return Steps(minutes={name: max(1, ceil(median)) for name, median in medians.items()})
