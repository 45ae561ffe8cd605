"""How far a search is, told to whoever watches: a person at a terminal. What is told changes nothing of the plan."""

from collections.abc import Callable
from enum import StrEnum


class Stage(StrEnum):
    """What goes on, in the order in which it does."""

    READING = "reading"
    LENGTHS = "how long windows take"
    FIRST = "a first plan"
    BETTER = "better plans"
    PROVING = "how good it can get"
    CHECKING = "checking the plan"
    EXPLAINING = "why there is no plan"


Watch = Callable[[Stage, str], None]  # the stage that begins, and what of it, "" for all of it


def ignore_stage(_stage: Stage, _detail: str) -> None:
    """For those who do not watch."""
