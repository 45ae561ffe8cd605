"""A window's list of updates names exactly what its steps apply.

Protects approvers and teams, who read the list and not the steps.
"""

from collections.abc import Iterator

from fermata.domain.plans import DeviceApplyStep, NodeApplyStep
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "WINDOW_UPDATES"
WRITTEN = "The list is gathered from the steps."


def check(reading: Reading) -> Iterator[Violation]:
    """Updates listed and not applied, applied and not listed, or listed twice."""
    for window in reading.selected:
        applied = {s.update for s in window.steps if isinstance(s, NodeApplyStep | DeviceApplyStep)}
        listed = set(window.updates)
        faults = [
            *(f"{name} is listed and not applied" for name in sorted(listed - applied)),
            *(f"{name} is applied and not listed" for name in sorted(applied - listed)),
            *(["an update is listed twice"] if len(listed) != len(window.updates) else []),
        ]
        for fault in faults:
            yield Violation(rule=CODE, sentence=f"Window {window.id}: {fault}.", window=window.id)
