"""What a target remembers of our steps on a node, where we can write there: which were asked, how they stand, and the
newest generation that asked. Pure; adapters put it into annotations or tags.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from fermata.domain.ids import StepKey

STEPS_KEPT_MAX = 16  # a node has few in a window
WORKS_KEPT_MAX = 8  # runs and windows of a node: it is in one at a time


class Op(StrEnum):
    """What a step asks."""

    LOCK = "lock"
    DRAIN = "drain"
    GIVE_BACK = "give_back"
    RELEASE = "release"


class Mark(StrEnum):
    """How a step stands. OVERTAKEN: its next step ended it."""

    ASKED = "asked"
    DONE = "done"
    OVERTAKEN = "overtaken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step as a node remembers it. `at`: when it was asked, and once DONE, when it was: UTC, whole seconds."""

    op: Op
    key: StepKey
    at: datetime
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """The steps of a node, oldest first. `heard`: by run, window and unit the newest generation that asked."""

    steps: tuple[Step, ...] = ()
    heard: Mapping[str, int] = field(default_factory=dict)

    @property
    def last(self) -> Step | None:
        """What was asked last."""
        return self.steps[-1] if self.steps else None

    def find(self, key: StepKey) -> Step | None:
        """The step of a key."""
        return next((step for step in self.steps if step.key == key), None)

    def newest(self, key: StepKey) -> int:
        """The newest generation that asked in the work that `key` is of; 0: none did."""
        return self.heard.get(work_of(key), 0)

    def hearing(self, key: StepKey, generation: int) -> "Trail":
        """With `generation` heard, unless a newer one was."""
        newest = max(self.newest(key), generation)
        others = [(work, number) for work, number in self.heard.items() if work != work_of(key)]
        return replace(self, heard=dict([*others, (work_of(key), newest)][-WORKS_KEPT_MAX:]))

    def adding(self, step: Step) -> "Trail":
        """With one more step, which ends what goes on."""
        ended = (replace(s, mark=Mark.OVERTAKEN) if s.mark is Mark.ASKED else s for s in self.steps)
        return replace(self, steps=(*ended, step)[-STEPS_KEPT_MAX:])

    def done(self, key: StepKey, at: datetime) -> "Trail":
        """With one of them done at `at`."""
        return replace(self, steps=tuple(replace(s, mark=Mark.DONE, at=at) if s.key == key else s for s in self.steps))


def work_of(key: StepKey) -> str:
    """Run, window and unit of a key."""
    return "/".join(key.split("/")[:3])


def window_of(key: StepKey) -> str:
    """The window that a key names; "" when it names none."""
    parts = key.split("/")
    return parts[1] if len(parts) >= 5 else ""


def write_trail(trail: Trail) -> str:
    """The text that keeps `trail`."""
    steps = [[s.op, s.key, int(s.at.timestamp()), s.mark] for s in trail.steps]
    return json.dumps({"steps": steps, "heard": trail.heard}, separators=(",", ":"))


def read_trail(text: str) -> Trail:
    """What the text keeps; what somebody wrote there that is none of ours is nothing."""
    try:
        found = json.loads(text or "{}")
        return Trail(
            steps=tuple(
                Step(op=Op(op), key=StepKey(str(key)), at=datetime.fromtimestamp(int(at), UTC), mark=Mark(mark))
                for op, key, at, mark in found.get("steps", ())
            ),
            heard={str(work): int(number) for work, number in found.get("heard", {}).items()},
        )
    except (ValueError, TypeError, AttributeError, OverflowError, OSError):
        return Trail()
