"""Jobs on the nodes of a window in words, the same on the board, on its page and in `fermata status`. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime

from fermata.domain.ahead import JobsAhead, Keeping
from fermata.domain.jobs import DrainCost
from fermata.services.words import span_words

USERS_NAMED = 3


def say_cost(one: JobsAhead, clock: Callable[[datetime], str]) -> str:
    """What a drain would cost; empty while the window is more than a day away. `clock`: how a time is told."""
    cost = one.cost
    if cost is None:
        return ""
    if not cost.job_count:
        return "no job on its nodes"
    told = (
        f"{_count(cost.job_count, 'job')} of {_users(cost.users)} on {cost.node_count:,} of {_count(one.nodes, 'node')}"
    )
    return f"{told}; {_say_lasting(cost, clock)}"


def say_keeping(one: JobsAhead) -> str:
    """How others are kept off."""
    where = f"kept off {one.kept:,} of {_count(one.nodes, 'node')}"
    match one.keeping:
        case Keeping.UNTIL_START:
            return f"jobs that would run into its start are {where}"
        case Keeping.FLOATING:
            longer = f" longer than {span_words(one.floats)}" if one.floats is not None else ""
            return f"jobs{longer} are {where}"
        case Keeping.NONE:
            return "no jobs are kept off"


def _say_lasting(cost: DrainCost, clock: Callable[[datetime], str]) -> str:
    if not cost.lasting:
        return "all are over before it begins"
    told = f"{cost.lasting:,} may outlast its start"
    if cost.endless:
        return f"{told}, {cost.endless:,} without a limit"
    return f"{told}, the last until {clock(cost.over_at)}" if cost.over_at is not None else told


def _users(users: Mapping[str, int]) -> str:
    named = ", ".join(list(users)[:USERS_NAMED])
    others = len(users) - USERS_NAMED
    return f"{named} and {_count(others, 'other')}" if others > 0 else named


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
