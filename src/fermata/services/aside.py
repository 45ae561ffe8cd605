"""Work that takes a minute and decides nothing at once: where it is done, and how whoever asked hears of it."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class AsideFailed(Exception):
    """It ended without an answer."""


class Aside(Protocol[T]):
    """Does one piece of work for each key. What is begun twice is done once."""

    def is_under_way(self, key: str) -> bool:
        """Whether it has begun and not ended."""
        ...

    def begin(self, key: str, work: Callable[[], T]) -> None:
        """Begins with it, unless it is under way. `work` may be done by another process: it is told whole, and changes
        nothing.
        """
        ...

    def take(self, key: str) -> T | None:
        """What came of it, once; None: nothing has ended. Raises AsideFailed, once."""
        ...


class AtOnce(Generic[T]):
    """`Aside` where whoever begins waits for the end: for one campaign alone, and where every run must be the same."""

    def __init__(self) -> None:
        self._done: dict[str, T] = {}

    def is_under_way(self, key: str) -> bool:
        """Never: it has ended before anybody can ask."""
        return False

    def begin(self, key: str, work: Callable[[], T]) -> None:
        """As in `Aside`. Raises whatever the work raises."""
        self._done[key] = work()

    def take(self, key: str) -> T | None:
        """As in `Aside`."""
        return self._done.pop(key, None)
