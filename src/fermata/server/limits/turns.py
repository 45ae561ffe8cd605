"""Few requests of each caller are worked on at the same time. Who took more of the server's time than its share waits
for others who did, one by one, and keeps nobody else.

What is counted is the processor's time that the threads of a request took, and an even part of what threads did for
requests that no request counts. How long an answer took says nothing of it: beside a flood everybody's takes long. For
the thread of the event loop alone.
"""

import asyncio
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from functools import partial

from fermata.server.limits.bounds import Bounds
from fermata.server.limits.rates import Buckets
from fermata.server.limits.refusals import LimitCode, OverLimit
from fermata.server.metering import ALL, Meter, uncounted


class Shares:
    """What of the server's time each caller took. `clock`: seconds, never back; `uncounted`: of work that is nobody's,
    so far. While at least `share_busy_from`
    requests are worked on, each of them slows down all others, and less of a share is enough to have taken too much;
    what a caller's requests took so far that are worked on counts as well.
    """

    def __init__(
        self,
        bounds: Bounds,
        *,
        clock: Callable[[], float] = time.monotonic,
        uncounted: Callable[[], float] = uncounted,
    ) -> None:
        self._taken = Buckets(bounds.share, callers_max=bounds.callers_max)
        self._bounds = bounds
        self._greedy: OrderedDict[str, float] = OrderedDict()  # until when; who was so last stands last
        self._clock = clock
        self._uncounted = uncounted
        self._at_work = defaultdict[str, dict[Meter, float]](dict)  # by caller; what `_even` was as each began
        self._worked_on = 0
        self._even = 0.0  # the part of what is nobody's of a request that is worked on from the beginning
        self._seen = uncounted()

    def begin(self, caller: str, meter: Meter) -> None:
        """A request of the caller is worked on from now on."""
        self._go_on()
        self._worked_on += 1
        self._at_work[caller][meter] = self._even

    def end(self, caller: str, meter: Meter) -> float:
        """It is no longer. Returns the seconds of the server's time that it took."""
        self._go_on()
        self._worked_on -= 1
        begun = self._at_work[caller].pop(meter)
        if not self._at_work[caller]:
            del self._at_work[caller]
        took, now = meter.seconds() + self._even - begun, self._clock()
        self._taken.charge(caller, now, took)
        if self._taken.owes(caller, now) is not None:
            self._greedy.pop(caller, None)
            self._greedy[caller] = now + self._bounds.share_kept_seconds
            if len(self._greedy) > self._bounds.callers_max:
                self._greedy.popitem(last=False)
        return took

    def has_taken_too_much(self, caller: str) -> bool:
        """True for some time after it did, and while the server is busy sooner."""
        now = self._clock()
        if self._greedy.get(caller, 0.0) > now:
            return True
        if self._worked_on < self._bounds.share_busy_from:
            return False
        self._go_on()
        under_way = sum(meter.seconds() + self._even - begun for meter, begun in self._at_work.get(caller, {}).items())
        return self._taken.left_of(caller, now) - under_way < self._bounds.share.burst - self._bounds.share_busy

    def _go_on(self) -> None:
        seen = self._uncounted()
        if self._worked_on:
            self._even += max(0.0, seen - self._seen) / self._worked_on
        self._seen = seen


_Queues = MutableMapping[str, deque[asyncio.Future[None]]]


async def _wait(queues: _Queues, caller: str, seconds_max: float, give_back: Callable[[], None]) -> bool:
    """True when the caller's turn came within that time. Who goes away just as it comes gives it back."""
    turn = asyncio.get_running_loop().create_future()
    queues.setdefault(caller, deque()).append(turn)
    try:
        await asyncio.wait_for(asyncio.shield(turn), seconds_max)
    except TimeoutError:
        return not _leave(queues, caller, turn)
    except asyncio.CancelledError:
        if not _leave(queues, caller, turn):
            give_back()
        raise
    return True


def _leave(queues: _Queues, caller: str, turn: asyncio.Future[None]) -> bool:
    """False when the turn came in the same moment."""
    if turn.done():
        return False
    queues[caller].remove(turn)
    if not queues[caller]:
        del queues[caller]
    return True


class Lanes:
    """One request of each caller is worked on, and `more` others of all callers together, `each` of one at most. Its
    further ones wait, in order: whoever asks for a hundred things at once holds as many threads as somebody who asks
    for a few, and a dozen such callers hold not many more. A place beside the first goes to who has fewest.
    """

    def __init__(self, each: int, *, more: int) -> None:
        self._each = each
        self._more_left = more
        self._taken: dict[str, int] = {}
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def take(self, caller: str, seconds_max: float) -> bool:
        """True when one more of the caller's may be worked on, and is to be given back; False when that took longer."""
        if self._is_free(caller):
            self._enter(caller)
            return True
        return await _wait(self._waiting, caller, seconds_max, partial(self.give_back, caller))

    def give_back(self, caller: str) -> None:
        """Once for each that was taken: who waits has it, if somebody does."""
        self._taken[caller] -= 1
        if self._taken[caller]:
            self._more_left += 1
        else:
            del self._taken[caller]
        while free := [waiting for waiting in self._waiting if self._is_free(waiting)]:
            self._let_in(min(free, key=lambda waiting: self._taken.get(waiting, 0)))

    def _is_free(self, caller: str) -> bool:
        taken = self._taken.get(caller, 0)
        return not taken or (taken < self._each and self._more_left > 0)

    def _enter(self, caller: str) -> None:
        self._more_left -= caller in self._taken
        self._taken[caller] = self._taken.get(caller, 0) + 1

    def _let_in(self, caller: str) -> None:
        self._enter(caller)
        waiting = self._waiting.pop(caller)
        waiting.popleft().set_result(None)
        if waiting:
            self._waiting[caller] = waiting  # behind all others


class Turns:
    """One place; who waits for it gets it caller by caller, not request by request. It rests after each request for as
    many times as long as that took, while there is somebody else to leave the time to.
    """

    def __init__(self, *, waiting_max: int, rest: float, others_seconds: float = 0.0) -> None:
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._waiting_max = waiting_max
        self._rest = rest
        self._others_seconds = others_seconds
        self._others_until = 0.0  # by the loop's clock: until then somebody else is there
        self._is_taken = False
        self._free_at = 0.0  # by the loop's clock: until then it rests

    def has_room(self, caller: str) -> bool:
        """False when so many of the caller's requests wait that one more is not let in."""
        return len(self._waiting.get(caller, ())) < self._waiting_max

    async def take(self, caller: str, seconds_max: float) -> bool:
        """True when it is the caller's turn, who gives it back; False when it was not within that time."""
        loop = asyncio.get_running_loop()
        if not self._is_taken and not self._waiting and loop.time() >= self._free_at:
            self._is_taken = True
            return True
        if not self._is_taken:
            loop.call_at(self._free_at, self._pass_on)
        return await _wait(self._waiting, caller, seconds_max, partial(self.give_back, 0.0))

    def note_others(self) -> None:
        """Somebody who needs no turn asked for something."""
        self._others_until = asyncio.get_running_loop().time() + self._others_seconds

    def give_back(self, took: float) -> None:
        """Once for each turn. `took`: seconds."""
        loop = asyncio.get_running_loop()
        self._is_taken = False
        now = loop.time()
        self._free_at = now + took * self._rest if now < self._others_until else now
        if self._waiting:
            loop.call_at(self._free_at, self._pass_on)

    def _pass_on(self) -> None:
        if self._is_taken or not self._waiting:
            return
        self._is_taken = True
        caller, waiting = self._waiting.popitem(last=False)
        waiting.popleft().set_result(None)
        if waiting:
            self._waiting[caller] = waiting  # behind all others


class Work:
    """One request of a caller, from when it could be worked on until its answer begins; `is_free` is not counted."""

    def __init__(
        self, caller: str, fair: "FairPlay", bounds: Bounds, *, is_free: bool = False, meter: Meter | None = None
    ) -> None:
        self._caller, self._fair, self._bounds = caller, fair, bounds
        self.meter = meter or Meter(ALL)
        self._is_begun = False
        self._is_over = is_free
        self._has_lane = self._has_turn = False

    async def begin(self) -> None:
        """Returns when it may be worked on; called again, at once. Raises OverLimit when it would wait for too long."""
        if self._is_begun or self._is_over:
            return
        if not self._fair.shares.has_taken_too_much(self._caller):
            await self._take_lane()
        if self._fair.shares.has_taken_too_much(self._caller):
            self._leave_lane()
            await self._take_turn()
        else:
            self._fair.turns.note_others()
        self._fair.shares.begin(self._caller, self.meter)
        self._is_begun = True

    def end(self) -> None:
        """Its answer begins, or there is none. Harmless twice."""
        self._is_over = True
        took = 0.0
        if self._is_begun:
            took, self._is_begun = self._fair.shares.end(self._caller, self.meter), False
        self._leave_lane()
        if self._has_turn:
            self._has_turn = False
            self._fair.turns.give_back(took)

    async def _take_lane(self) -> None:
        seconds = self._bounds.share_wait_seconds
        self._has_lane = await self._fair.lanes.take(self._caller, seconds)
        if not self._has_lane:
            sentence = (
                f"At most {self._bounds.share_each} requests of one caller are worked on at the same time, one where"
                f" many others ask, and the rest wait for them, {seconds:g} seconds at most: ask for less at once."
                " Nothing was changed."
            )
            raise OverLimit(LimitCode.TOO_MANY_AT_ONCE, sentence, after=seconds)

    def _leave_lane(self) -> None:
        if self._has_lane:
            self._has_lane = False
            self._fair.lanes.give_back(self._caller)

    async def _take_turn(self) -> None:
        seconds, turns = self._bounds.share_wait_seconds, self._fair.turns
        self._has_turn = turns.has_room(self._caller) and await turns.take(self._caller, seconds)
        if not self._has_turn:
            share = self._bounds.share
            sentence = (
                f"One caller may take {share.burst:g} seconds of the server's time in one go and {share.a_second:g}"
                " a second from then on, and waits for others who took more: ask for less, or less often. Nothing"
                " was changed."
            )
            raise OverLimit(LimitCode.TOO_MUCH_WORK, sentence, after=seconds)


@dataclass(frozen=True, slots=True)
class FairPlay:
    """What all requests share."""

    shares: Shares
    lanes: Lanes
    turns: Turns


def open_fair_play(bounds: Bounds) -> FairPlay:
    """With nobody there yet."""
    return FairPlay(
        Shares(bounds),
        Lanes(bounds.share_each, more=bounds.share_more),
        Turns(waiting_max=bounds.share_waiting, rest=bounds.share_rest, others_seconds=bounds.share_others_seconds),
    )
