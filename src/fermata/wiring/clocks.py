"""The time that commands, servers and conductors live in, and names that nothing else has."""

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Protocol

from fermata.ports import Clock
from fermata.sim.clock import IdleClock, SharedClock, SystemClock, VirtualClock

__all__ = ["CampaignClock", "IdleClock", "PacedClock", "SharedClock", "SystemClock", "UtcClock", "mint_id", "utc_now"]

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class PacedClock(Clock, Protocol):
    """A clock that can tell how long a wait takes in real time."""

    def seconds_until(self, instant: datetime) -> float:
        """Of real time."""
        ...

    def working(self) -> AbstractContextManager[None]:
        """Around everything that is due at an instant."""
        ...

    def note(self, due: Mapping[str, datetime | None]) -> None:
        """When there is something to do, by who does it; None: never again."""
        ...


class CampaignClock:
    """The virtual clock that server and conductor share; it can be set forward while nothing is conducted."""

    def __init__(self, start: datetime, speed: float) -> None:
        self._speed = speed
        self._clock: VirtualClock | IdleClock = VirtualClock(start, speed)

    def now(self) -> datetime:
        """Aware UTC."""
        return self._clock.now()

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        """Returns at `instant`, or earlier when `stop` turns true: the time it is then."""
        return self._clock.wait_until(instant, stop)

    def jump_to(self, instant: datetime) -> None:
        """It is `instant` from now on."""
        self._clock = VirtualClock(instant, self._speed)

    def flow_from(self, instant: datetime) -> IdleClock:
        """It is `instant` now, and time goes on by itself while nobody works, until it is set forward again."""
        self._clock = clock = IdleClock(instant, self._speed)
        return clock


class UtcClock:
    """`utc_now` as a clock that nobody waits on, for commands that do one thing and end."""

    def now(self) -> datetime:
        """Aware UTC."""
        return utc_now()

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        """Returns at once."""
        return utc_now()


def utc_now() -> datetime:
    """The wall clock. Commands that work on real time take their `now` from here, once."""
    return datetime.now(UTC)


def mint_id(prefix: str) -> str:
    """`<prefix>_<ULID>`: 48 bits of milliseconds, 80 random bits; sorts by the time it was minted."""
    number = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    digits = (_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))
    return f"{prefix}_{''.join(digits)}"
