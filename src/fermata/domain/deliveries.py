"""Deliveries: a notice on its way to one subscriber. Pure: what a try came to decides when the next one is."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

SCHEDULE = tuple(
    timedelta(seconds=seconds) for seconds in (10, 30, 60, 300, 600, 1800, 3600)
)  # after each failed try; the last one again and again. As Event Grid's, so that its subscribers know it
ATTEMPTS_MAX = 30
LIVES = timedelta(hours=24)


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    SENDING = "sending"  # a try is on; one that never came back is tried again when its lease is over
    DELIVERED = "delivered"
    DEAD = "dead"  # nobody tries any more, until somebody replays it
    DROPPED = "dropped"  # its subscription was removed, or somebody dismissed it when it was dead


OPEN = frozenset({DeliveryState.PENDING, DeliveryState.SENDING})
MOVES: dict[DeliveryState, frozenset[DeliveryState]] = {
    DeliveryState.PENDING: frozenset({DeliveryState.SENDING, DeliveryState.DEAD, DeliveryState.DROPPED}),
    DeliveryState.SENDING: frozenset(
        {
            DeliveryState.SENDING,
            DeliveryState.PENDING,
            DeliveryState.DELIVERED,
            DeliveryState.DEAD,
            DeliveryState.DROPPED,
        }
    ),
    DeliveryState.DELIVERED: frozenset({DeliveryState.PENDING}),
    DeliveryState.DEAD: frozenset({DeliveryState.PENDING, DeliveryState.DROPPED}),
    DeliveryState.DROPPED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The other side took it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotNow:
    """It may work later, at the earliest after `after` if the other side named a time."""

    why: str
    after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """It will never be taken as it is."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The subscriber is not there any more and wants nothing further."""

    why: str


Outcome = Taken | NotNow | Rejected | Gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often and for how long a delivery is tried."""

    attempts_max: int = ATTEMPTS_MAX
    lives: timedelta = LIVES


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """What becomes of the delivery: `at` is the next try, None when there is none."""

    state: DeliveryState
    at: datetime | None = None
    why: str = ""


def decide_next(
    outcome: Outcome, *, attempt: int, first_at: datetime, now: datetime, patience: Patience | None = None
) -> Next:
    """What follows try number `attempt`, counted from 1, of a delivery first tried at `first_at`.

    A try that was refused for good is the last. Others follow the schedule, never sooner than the other side asked,
    until patience ends: then the delivery is dead, and says why.
    """
    bounds = patience or Patience()
    match outcome:
        case Taken():
            return Next(state=DeliveryState.DELIVERED)
        case Rejected(why=why) | Gone(why=why):
            return Next(state=DeliveryState.DEAD, why=why)
        case NotNow(why=why, after=after):
            pause = SCHEDULE[min(attempt, len(SCHEDULE)) - 1]
            at = now + max(pause, after or timedelta(0))
            if attempt >= bounds.attempts_max:
                return Next(state=DeliveryState.DEAD, why=f"{why}; tried {attempt} time(s)")
            if at - first_at > bounds.lives:
                return Next(state=DeliveryState.DEAD, why=f"{why}; tried for {say_hours(bounds.lives)}")
            return Next(state=DeliveryState.PENDING, at=at, why=why)


def say_hours(length: timedelta) -> str:
    """24 h, or minutes below one hour."""
    hours = length / timedelta(hours=1)
    return f"{hours:g} h" if hours >= 1 else f"{hours * 60:g} min"
