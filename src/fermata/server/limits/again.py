"""Who was just told to come again later, and comes again at once: told so again, before it is looked up who that is."""

import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256

from starlette.types import Scope

from fermata.server.limits.bounds import BOUNDS, Bounds, Kind, kind_of
from fermata.server.limits.rates import Buckets, network_of
from fermata.server.limits.refusals import OverLimit

KEPT_SECONDS = 1.0  # the shortest time that a Retry-After tells
_SHOWN = (b"authorization", b"cookie")
_Key = tuple[bytes, Kind]


class Again:
    """Refusals of the last second, by what the caller showed and which kind of work it asked for. For the thread of the
    event loop alone. `clock` in seconds, and never back.
    """

    def __init__(self, bounds: Bounds = BOUNDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._bounds = bounds
        self._clock = clock
        self._held = Buckets(bounds.pauses, callers_max=bounds.callers_max)
        self._told: OrderedDict[_Key, tuple[float, OverLimit]] = OrderedDict()  # until when; the newest stands last

    def note(self, scope: Scope, refused: OverLimit) -> None:
        """That was refused for being too often or too much."""
        key = _key_of(scope)
        self._told.pop(key, None)
        self._told[key] = (self._clock() + KEPT_SECONDS, refused)
        if len(self._told) > self._bounds.callers_max:
            self._told.popitem(last=False)

    def find(self, scope: Scope) -> OverLimit | None:
        """What the same caller was told within the last second."""
        until, refused = self._told.get(_key_of(scope), (0.0, None))
        return refused if until > self._clock() else None

    def count_pause(self, scope: Scope) -> float:
        """Seconds for which an answer that tells somebody to slow down is held back: a flood is no faster than its
        connections are many. More of them once an address was told so often.
        """
        address, now = address_of(scope), self._clock()
        self._held.charge(address, now, 1.0)
        is_flood = self._held.owes(address, now) is not None
        return self._bounds.pause_seconds * (self._bounds.pause_times if is_flood else 1.0)


def shown_by(scope: Scope) -> bytes:
    """What tells callers apart before anybody is looked up: a hash, so that no secret is kept; b"" where nothing is
    shown, which tells nobody apart.
    """
    shown = [value for name, value in scope["headers"] if name in _SHOWN and value]
    return sha256(b"\0".join(shown)).digest() if shown else b""


def address_of(scope: Scope) -> str:
    """Where it comes from."""
    client = scope.get("client")
    return network_of(client[0]) if client else "unknown"


def _key_of(scope: Scope) -> _Key:
    shown = shown_by(scope) + address_of(scope).encode()
    return shown, kind_of(scope["method"], scope["path"])
