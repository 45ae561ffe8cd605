"""How far a server that has just started is with reading what its pages are made of."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum


class Stage(IntEnum):
    """What is read, in this order."""

    NOTHING = 0
    BOARD = 1
    FLEET = 2  # with what is asked of it, and the picture of the doors


class Warmth:
    """Of one event loop. Nobody waits while nothing is read ahead: pages read for themselves then."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._begun: float | None = None
        self._read = Stage.FLEET
        self._moved: asyncio.Event | None = None

    @property
    def seconds(self) -> float:
        """Since when it is going on; 0 when it was not begun."""
        return 0.0 if self._begun is None else self._monotonic() - self._begun

    def begin(self) -> None:
        """From now on pages wait for what they need."""
        self._begun, self._read, self._moved = self._monotonic(), Stage.NOTHING, asyncio.Event()

    def reach(self, stage: Stage) -> None:
        """All up to there is read, or its pages shall try by themselves."""
        self._read = max(self._read, stage)
        if self._moved is not None:
            self._moved.set()
            self._moved = asyncio.Event()

    async def wait(self, stage: Stage, patience: float) -> bool:
        """Whether all up to there is read, within so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._read < stage:
                    assert self._moved is not None, "it was begun"
                    await self._moved.wait()
        return self._read >= stage
