"""What a rule that can keep a plan from existing is to `explain`: its words, and ways to loosen it step by step."""

from collections.abc import Callable
from dataclasses import dataclass

from fermata.planning.inputs import PlanningInput

Loosen = Callable[[PlanningInput, int], tuple[PlanningInput, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """One way to loosen a rule: `loosen(inputs, step)` gives, for 1..`steps`, ever looser inputs and words for it.

    Steps beyond `offered` cannot be written in a file: they tell only whether the rule matters. None: all can.
    """

    steps: int
    loosen: Loosen
    offered: int | None = None

    @property
    def top(self) -> int:
        """The last step that may be offered."""
        return self.steps if self.offered is None else self.offered


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule, named in the words of the files. At the last step of its first ladder it forbids nothing any more."""

    name: str
    sentence: str
    ladders: tuple[Ladder, ...]

    def leave_out(self, inputs: PlanningInput) -> PlanningInput:
        """The inputs without this rule."""
        return self.ladders[0].loosen(inputs, self.ladders[0].steps)[0]
