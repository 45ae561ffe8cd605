"""The time that emulated controllers live in: real time, or virtual time that stands still until it is advanced."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

VIRTUAL_START = datetime(2026, 1, 5, tzinfo=UTC)


class Time(Protocol):
    """Read by the emulator alone."""

    def now(self) -> datetime:
        """Aware UTC."""
        ...


class RealTime:
    """As on the wall."""

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)


class VirtualTime:
    """Stands still until somebody advances it."""

    def __init__(self, start: datetime = VIRTUAL_START) -> None:
        self._now = start

    def now(self) -> datetime:
        """Aware UTC."""
        return self._now

    def advance(self, by: timedelta) -> datetime:
        """The time it is then. Raises ValueError for a step back."""
        if by < timedelta(0):
            raise ValueError("time does not go back")
        self._now += by
        return self._now
