"""The drain comes first, once, and is over before any work that a workload would feel.

Protects running jobs.
"""

from collections.abc import Iterator

from fermata.domain.plans import DeviceApplyStep, DrainStep, NodeApplyStep, RebootStep, Step, Window
from fermata.planning.case import CheckCase, at
from fermata.planning.encoding import DRAIN, REBOOT, Facts, Steps
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "DRAIN_FIRST"


def check(reading: Reading) -> Iterator[Violation]:
    """Felt work without a drain or before its end, steps before the drain starts, more than one drain."""
    for window in reading.selected:
        for fault in _faults(reading.case, window):
            yield Violation(rule=CODE, sentence=f"Window {window.id} {fault}.", window=window.id)


def _faults(case: CheckCase, window: Window) -> Iterator[str]:
    drains = [step for step in window.steps if isinstance(step, DrainStep)]
    felt = [step for step in window.steps if _is_felt(case, step)]
    if len(drains) > 1:
        yield f"drains {len(drains)} times"
    if not drains:
        if felt:
            yield f"has {felt[0].step} work that a workload would feel, and no drain"
        return
    early = [step for step in felt if step.start < drains[0].end]
    early += [step for step in window.steps if step.start < drains[0].start and step not in early]
    for step in early:
        yield f"has a {step.step} step at {at(step.start)}, before its drain is over at {at(drains[0].end)}"


def _is_felt(case: CheckCase, step: Step) -> bool:
    if isinstance(step, NodeApplyStep | DeviceApplyStep):
        update = case.update(step.update)
        return update is not None and update.needs_drain
    return isinstance(step, RebootStep)


def encode(facts: Facts) -> Steps:
    """What a workload would feel waits until the drain is over; so do reboots."""
    felt = frozenset(update.id for update in facts.inputs.catalogue.rolled_out if update.needs_drain)
    return Steps(drained=felt, before={REBOOT: frozenset({DRAIN})})
