"""Who may ask how often: a bucket for each caller, filled by time. Kept in memory: a restart forgives everything."""

from collections.abc import Mapping
from typing import Any

from fermata.server.limits.bounds import Rate

NETWORK_GROUPS = 4  # of an IPv6 address: a /64 is one household or one machine, which has all of its addresses


def caller_of(scope: Mapping[str, Any]) -> str:
    """Who calls: by name where one is known, else the address."""
    name = getattr(scope.get("fermata.principal"), "name", None)
    if name:
        return f"name {name}"
    client = scope.get("client")
    return f"address {network_of(client[0])}" if client else "address unknown"


def network_of(address: str) -> str:
    """An IPv4 address as it is, of an IPv6 address the network."""
    plain = address.partition("%")[0].lower()
    if ":" not in plain or plain.startswith("::"):  # the loopback, and IPv4 in IPv6's clothes
        return plain
    head, _, tail = plain.partition("::")
    groups = head.split(":")
    missing = 8 - len(groups) - len(tail.split(":")) if tail else 8 - len(groups)
    groups += ["0"] * max(0, missing) if "::" in plain else []
    return ":".join((groups + tail.split(":"))[:NETWORK_GROUPS]) + "::"


class Buckets:
    """Buckets of one rate. For the thread of the event loop alone."""

    def __init__(self, rate: Rate, *, callers_max: int) -> None:
        self._rate = rate
        self._callers_max = callers_max
        self._left: dict[str, tuple[float, float]] = {}  # what was left, and when; who asked last stands last

    def take(self, caller: str, now: float, amount: float = 1.0) -> float | None:
        """None when there was so much, and it is taken; else the seconds until there will be, and nothing is taken.

        `now` in seconds of a clock that never goes back. More than a whole bucket is never there.
        """
        left = self.left_of(caller, now)
        is_there = left >= amount
        self._keep(caller, left - amount if is_there else left, now)
        return None if is_there else (amount - left) / self._rate.a_second

    def charge(self, caller: str, now: float, amount: float) -> None:
        """Takes what was used already, whether it was there or not."""
        self._keep(caller, self.left_of(caller, now) - amount, now)

    def owes(self, caller: str, now: float) -> float | None:
        """The seconds until what was charged is paid for; None when it is."""
        left = self.left_of(caller, now)
        return None if left > 0 else -left / self._rate.a_second

    def left_of(self, caller: str, now: float) -> float:
        """What may still be taken; below zero where more was charged than was there."""
        left, at = self._left.get(caller, (self._rate.burst, now))
        return min(self._rate.burst, left + (now - at) * self._rate.a_second)

    def _keep(self, caller: str, left: float, now: float) -> None:
        self._left.pop(caller, None)
        self._left[caller] = (left, now)
        if len(self._left) > self._callers_max:
            del self._left[next(iter(self._left))]
