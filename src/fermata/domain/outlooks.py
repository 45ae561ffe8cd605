"""Whether a window that could open now should: how likely it keeps the day's promise, against what the plan knew."""

from dataclasses import dataclass
from enum import StrEnum


class Answer(StrEnum):
    """Open it, let it wait for teams that are busy elsewhere, or stop: time alone will not make it likelier."""

    OPEN = "open"
    WAIT = "wait"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Shares, 0 to 1, of rehearsals in which enough nodes are back by the time that was promised for the day.

    `planned`: opened when planned, with all teams; `now`: opened when it can be, with the teams that overrunning
    windows leave; `with_teams`: the same with all teams.
    """

    planned: float
    now: float
    with_teams: float


def judge_outlook(outlook: Outlook, wanted: float) -> Answer:
    """A plan that knew of a smaller chance than `wanted` was published with it: more than that is not asked now."""
    least = min(wanted, outlook.planned)
    if outlook.now >= least:
        return Answer.OPEN
    return Answer.WAIT if outlook.with_teams >= least else Answer.STOP
