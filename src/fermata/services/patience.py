"""How long whoever asks for a plan will wait: on the clock that no one can set, which planning itself may not read."""

import time
from collections.abc import Callable

from fermata.planning.inputs import never


def overdue_after(seconds: int | None) -> Callable[[], bool]:
    """Says whether so many seconds have passed since this call; None: never."""
    if seconds is None:
        return never
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end
