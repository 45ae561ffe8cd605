"""How many requests a client may make in a while. Kept in memory: a restart forgives everything."""

from collections import deque
from dataclasses import dataclass
from threading import Lock

CLIENTS_MAX = 1000  # beyond them the one that was quiet longest is forgotten


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether a request is allowed, how many more are, and in how many seconds the first one is forgiven."""

    allowed: bool
    remaining: int
    resets_after: float


class Quota:
    """At most `most` requests of a client in any `seconds`."""

    def __init__(self, *, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._seen: dict[str, deque[float]] = {}
        self._lock = Lock()

    def take(self, client: str, now: float) -> Standing:
        """One more request of `client` at `now`, in seconds of a clock that never goes back."""
        with self._lock:
            times = self._seen.pop(client, deque())
            while times and times[0] <= now - self._seconds:
                times.popleft()
            allowed = len(times) < self._most
            if allowed:
                times.append(now)
            self._seen[client] = times
            if len(self._seen) > CLIENTS_MAX:
                del self._seen[next(iter(self._seen))]
            first = times[0] if times else now
        return Standing(
            allowed=allowed, remaining=self._most - len(times), resets_after=max(0.0, first + self._seconds - now)
        )
