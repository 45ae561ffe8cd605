"""A plan is well formed: its own campaign, unique window ids, UTC times, and nothing that ends before it starts.

Protects every other rule, which reads times and names as they stand.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from operator import lt

from fermata.domain.plans import Window
from fermata.planning.case import at
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "PLAN_SHAPE"
WRITTEN = "Names, times and sorting are those in which every plan is written."


def check(reading: Reading) -> Iterator[Violation]:
    """Window ids twice, a foreign campaign, times that are not UTC, empty intervals, empty or unsorted node lists."""
    plan = reading.plan
    if plan.campaign != reading.case.inputs.campaign.id:
        yield Violation(rule=CODE, sentence=f"Plan {plan.id} is for campaign {plan.campaign}, not this one.")
    if not _is_utc(plan.created_at):
        yield Violation(rule=CODE, sentence=f"Plan {plan.id} was created at {plan.created_at}, which is not UTC.")
    counts = Counter(window.id for window in plan.windows)
    for window in reading.selected:
        faults = [*_faults(window), *(["shares its id with another window"] if counts[window.id] > 1 else [])]
        for fault in faults:
            yield Violation(rule=CODE, sentence=f"Window {window.id} {fault}.", window=window.id)


def _faults(window: Window) -> Iterator[str]:
    if not window.nodes or not all(map(lt, window.nodes, window.nodes[1:])):
        yield "does not list its nodes once each, sorted by name"
    if not (_is_utc(window.start) and _is_utc(window.end)):
        yield "has a time that is not UTC"
    if window.start >= window.end:
        yield f"ends at {at(window.end)}, not after its start at {at(window.start)}"
    for step in window.steps:
        if not (_is_utc(step.start) and _is_utc(step.end)):
            yield f"has a {step.step} step with a time that is not UTC"
        if step.start >= step.end:
            yield f"has a {step.step} step that ends at {at(step.end)}, not after its start at {at(step.start)}"


def _is_utc(instant: datetime) -> bool:
    return instant.utcoffset() == timedelta(0)
