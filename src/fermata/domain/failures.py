"""What went wrong while conducting, by kind. Pure: reads the conductor's lines in the journal."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from fermata.domain.reasons import Code
from fermata.domain.report import FailureLine

FAILURE_EVENTS = frozenset({"step.failed", "unit.failed", "unit.stopped", "unit.tail"})  # stopped: of old, for failed


class FailureKind(StrEnum):
    """What was seen to go wrong. The first three are tried again, up to a limit."""

    STEP_FAILED = "step_failed"
    FALSE_DONE = "false_done"
    HUNG = "hung"
    NOT_BACK = "not_back"
    GAVE_UP = "gave_up"
    LATE = "late"


MEANINGS = {
    FailureKind.STEP_FAILED: "An update, reboot, reset or health check ended and said that it failed.",
    FailureKind.FALSE_DONE: "A step claimed success while the version did not change.",
    FailureKind.HUNG: "A step gave no answer within its limit.",
    FailureKind.NOT_BACK: "A node could not be reached after a reboot or reset: it waits for a repair.",
    FailureKind.GAVE_UP: "A step was tried as often as allowed: the unit waits for a repair.",
    FailureKind.LATE: "A unit was not back when its window's capacity was promised; work on it went on.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One line of the journal with one of FAILURE_EVENTS."""

    event: str
    unit: str
    why: str


def count_failures(failures: Iterable[Failure], *, held: frozenset[str]) -> tuple[FailureLine, ...]:
    """Counts by kind, in the order of FailureKind; kinds not seen are left out. `held`: units still held now."""
    seen: Counter[FailureKind] = Counter()
    units: dict[FailureKind, set[str]] = defaultdict(set)
    for failure in failures:
        kind = kind_of(failure)
        seen[kind] += 1
        units[kind].add(failure.unit)
    return tuple(
        FailureLine(
            kind=kind.value,
            sentence=MEANINGS[kind],
            seen=seen[kind],
            nodes=len(units[kind]),
            ended_in_tail=len(units[kind] & held),
        )
        for kind in FailureKind
        if seen[kind]
    )


def kind_of(failure: Failure) -> FailureKind:
    """The kind of one failure, from its event and the conductor's words."""
    match failure.event:
        case "unit.tail":
            return FailureKind.LATE
        case "unit.failed" | "unit.stopped":
            return FailureKind.NOT_BACK if failure.why.startswith(Code.NODE_UNREACHABLE) else FailureKind.GAVE_UP
        case _:
            if "claimed success" in failure.why:
                return FailureKind.FALSE_DONE
            return FailureKind.HUNG if failure.why.startswith("no answer") else FailureKind.STEP_FAILED
