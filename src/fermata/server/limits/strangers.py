"""Requests whose sender nobody knows, by address: a few are answered, floods are not even looked up."""

import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.types import Scope

from fermata.server.limits.again import address_of, shown_by
from fermata.server.limits.bounds import BOUNDS, Bounds
from fermata.server.limits.rates import Buckets
from fermata.server.limits.refusals import LimitCode, OverLimit


class Strangers:
    """For the thread of the event loop alone. `clock` in seconds, and never back."""

    def __init__(self, bounds: Bounds = BOUNDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._bounds = bounds
        self._clock = clock
        self._left = Buckets(bounds.strangers, callers_max=bounds.callers_max)
        self._known: OrderedDict[bytes, None] = OrderedDict()  # hashes of what known callers showed

    def admit(self, scope: Scope) -> None:
        """Raises OverLimit when it is not to be looked up who sent this: too much of nobody came from its address, and
        it shows nothing that was right before.
        """
        after = self._left.owes(address_of(scope), self._clock())
        if after is None or shown_by(scope) in self._known:
            return
        rate = self._bounds.strangers
        sentence = (
            f"From one address come at most {rate.burst:g} requests of nobody who is known in one go, and"
            f" {rate.a_second:g} a second from then on: sign in, or show a token that is right."
        )
        raise OverLimit(LimitCode.TOO_MANY_STRANGERS, sentence, after=after + 1)

    def note_known(self, scope: Scope) -> None:
        """Who sent this is known, by what it shows: of who shows nothing nothing is kept, or all of them were known."""
        shown = shown_by(scope)
        if not shown:
            return
        self._known.pop(shown, None)
        self._known[shown] = None
        if len(self._known) > self._bounds.callers_max:
            self._known.popitem(last=False)

    def note_unknown(self, scope: Scope) -> None:
        """Nobody is known to have sent this."""
        self._left.charge(address_of(scope), self._clock(), 1.0)
