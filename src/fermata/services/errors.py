"""How a service says no: an expected refusal carries its reasons; CLI and API turn it into their own form."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from fermata.domain.names import Names
from fermata.domain.reasons import Code, Reason, reason
from fermata.store.database import NotStored, serves_a_part

NAMES_SHOWN = 5


class Refusal(Exception):
    """The verb was refused, nothing was changed. `reason` is the first of `reasons`; bulk verbs give them all."""

    def __init__(self, reason: Reason, *more: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.reasons = (reason, *more)


def refuse_all(reasons: Iterable[Reason]) -> None:
    """Raises Refusal with every reason; returns when there is none."""
    found = tuple(reasons)
    if found:
        raise Refusal(*found)


@contextmanager
def refusing_unknown() -> Iterator[None]:
    """What the store does not hold becomes a refusal that says what to do about it."""
    try:
        yield
    except NotStored as missing:
        match missing.kind:
            case "campaign":
                why = reason(Code.CAMPAIGN_UNKNOWN, campaign=missing.name, nearest="")
            case "plan":
                why = reason(Code.PLAN_UNKNOWN, plan=missing.name, nearest="")
            case _:
                why = reason(Code.NOT_IMPORTED, kind=_INPUTS.get(missing.kind, missing.kind))
        raise Refusal(why) from missing


def nearest(wrong: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: `; the nearest is X`, or nothing. Nothing too in a change for who
    sees a part of the fleet: the nearest may be out of sight.
    """
    return say_nearest(lambda: Names(known).nearest(wrong))


def say_nearest(find: Callable[[], str | None]) -> str:
    """As `nearest`, of what `find` finds; it is not asked where nothing is said."""
    found = None if serves_a_part() else find()
    return f"; the nearest is {found}" if found else ""


def shorten(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


_INPUTS = {"catalogue": "updates"}  # what the command line calls them
