"""Lock, scale-in and return of instances. The lock is a protection policy with our tag; a step is written into tags
before anything is done, and only onto the version of the instance that was looked at.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from fermata.adapters.azure_scale_sets.fleet import Fleet
from fermata.adapters.azure_scale_sets.holds import Hold, Power, asking, ending, write_tags
from fermata.adapters.azure_scale_sets.returning import Returns
from fermata.adapters.side_by_side import Loop
from fermata.adapters.step_trail import Mark, Op, Step
from fermata.domain.ids import StepKey
from fermata.domain.observations import (
    Accepted,
    Answer,
    Denied,
    Failed,
    Later,
    NeverAsked,
    Overtaken,
    Progress,
    Running,
    Succeeded,
    Unsure,
)
from fermata.ports import CALL_SIZE_MAX, Ask, Clock, OutcomeUnknown, Refused, TryLater


class AzureWorkloads:
    """WorkloadManager."""

    def __init__(self, loop: Loop, fleet: Fleet, clock: Clock) -> None:
        self._loop, self._fleet, self._clock = loop, fleet, clock
        self._returns = Returns(fleet)
        settings = fleet.settings
        self._prefix = settings.prefix
        self._again = timedelta(seconds=settings.again_seconds)
        self._limits = {
            Op.DRAIN: timedelta(minutes=settings.drain_minutes_max),
            Op.GIVE_BACK: timedelta(minutes=settings.return_minutes_max),
        }

    def lock(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port. An instance that somebody else protected or stopped is left."""
        return self._carry_out(Op.LOCK, asks)

    def drain(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port. The instance is deallocated, whatever runs on it: Azure knows no workloads."""
        return self._carry_out(Op.DRAIN, asks)

    def give_back(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port. Who is not started at once, `observe` starts: never Refused, since Azure says no later."""
        return self._carry_out(Op.GIVE_BACK, asks)

    def release(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port. It stays deallocated."""
        return self._carry_out(Op.RELEASE, asks)

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """See the port. Steps that go on are gone on with, for who asks with the newest generation. A newer one than
        any is written down before it is answered; raises TryLater, Refused or OutcomeUnknown when that cannot be done.
        """
        _check_size(asks)
        return self._loop.run(self._observe(asks)) if asks else {}

    def _carry_out(self, op: Op, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        _check_size(asks)
        return self._loop.run(self._act(op, asks)) if asks else {}

    async def _act(self, op: Op, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        holds = await self._fleet.look({ask.unit for ask in asks})
        noted = await asyncio.gather(*(self._note(op, ask, holds.get(ask.unit)) for ask in asks))
        answers = {ask.key: found for ask, found in zip(asks, noted, strict=True) if not isinstance(found, Hold)}
        going = {ask.key: found for ask, found in zip(asks, noted, strict=True) if isinstance(found, Hold)}
        done = await self._go_on(op, going, list(holds.values()), self._now())
        return answers | dict(done)

    async def _note(self, op: Op, ask: Ask, known: Hold | None) -> Hold | Answer:
        """The instance once the step is written there and goes on; an answer when nothing is to be done for it. Errors
        become answers: what others of the call have done by now is done.
        """
        try:
            hold = await self._fleet.fresh(known) if known is not None else None
        except TryLater as busy:
            return Later(after=busy.after)
        except Refused as refused:
            return Denied(why=refused.why)
        if hold is None:
            return Denied(why=f"no scale set has an instance {ask.unit}")
        return await self._write(op, ask, hold)

    async def _write(self, op: Op, ask: Ask, hold: Hold) -> Hold | Answer:
        if ask.generation < hold.trail.newest(ask.key):
            return Overtaken()
        step = hold.trail.find(ask.key)
        if step is not None:
            if _is_lost(hold, step) or (op in (Op.LOCK, Op.DRAIN) and not _goes_on(hold, step) and not hold.is_ours):
                return Denied(why=f"{op} was asked, and does not hold any more: {hold.say_lost()}")
            return hold if _goes_on(hold, step) else Accepted()
        if not hold.is_ours:
            why = hold.say_holder() if op is Op.LOCK else hold.say_lost()
            if why is not None:
                return Denied(why=f"{op} is not done: {why}")
        asked = asking(hold, self._prefix, op, ask.key, self._now(), ask.generation)
        answer = await self._fleet.tag(asked)
        if not isinstance(answer, Accepted):
            return answer
        return asked if op is not Op.RELEASE else await self._again_fresh(asked)

    async def _again_fresh(self, hold: Hold) -> Hold | Answer:
        """Who is released is written to once more, and that needs the version that the first write made."""
        try:
            return await self._fleet.fresh(hold) or Unsure()
        except (TryLater, Refused):
            return Unsure()

    async def _go_on(
        self, op: Op, going: Mapping[StepKey, Hold], seen: Sequence[Hold], now: datetime
    ) -> Mapping[StepKey, Answer]:
        """One round for steps that go on."""
        match op:
            case Op.LOCK:
                answers = await asyncio.gather(*map(self._lock, going.values()))
            case Op.DRAIN:
                room = self._fleet.settings.chunk_max
                busy = sum(hold.power is Power.DEALLOCATING for hold in seen)
                answers = await self._scale_in(list(going.values()), max(0, room - busy))
            case Op.GIVE_BACK:
                found = await self._scale_out(list(going.values()), now)
                coming = Accepted(check_again_at=now + self._again)  # accepted is not back
                answers = [coming if isinstance(answer, Accepted) else answer for answer in found]
            case Op.RELEASE:
                pairs = [(key, hold) for key, hold in going.items()]
                answers = await asyncio.gather(*(self._end(hold, key, now) for key, hold in pairs))
        return dict(zip(going, answers, strict=True))

    async def _lock(self, hold: Hold) -> Answer:
        if hold.protection is not None and hold.protection.scale_in and hold.protection.actions:
            return Accepted()
        return await self._fleet.protect(hold, scale_in=True, actions=True)

    async def _scale_in(self, holds: Sequence[Hold], room: int) -> list[Answer]:
        """As many as there is room for; the others have their turn at a later look."""
        due = [hold for hold in holds if _is_in(hold)][:room]
        done = await asyncio.gather(*map(self._fleet.deallocate, due))
        answers = {hold.node: answer for hold, answer in zip(due, done, strict=True)}
        return [answers.get(hold.node, Accepted()) for hold in holds]

    async def _scale_out(self, holds: Sequence[Hold], now: datetime) -> list[Answer]:
        """Protected from scale-in alone, so that the start of a chunk, which is an action of the scale set, passes."""
        opened = await asyncio.gather(*map(self._open, holds))
        ready = [hold for hold, answer in zip(holds, opened, strict=True) if isinstance(answer, Accepted)]
        started = await self._returns.go_on(ready, now)
        return [
            started.get(hold.node, answer) if isinstance(answer, Accepted) else answer
            for hold, answer in zip(holds, opened, strict=True)
        ]

    async def _open(self, hold: Hold) -> Answer:
        if hold.protection is None or not hold.protection.actions:
            return Accepted()
        return await self._fleet.protect(hold, scale_in=True, actions=False)

    async def _end(self, hold: Hold, key: StepKey, now: datetime) -> Answer:
        """The protection first, then our tag: who is interrupted in between finds the tag, and goes on."""
        if hold.protection is not None and hold.protection.is_any:
            answer = await self._fleet.protect(hold, scale_in=False, actions=False)
            if not isinstance(answer, Accepted):
                return answer
        return await self._fleet.tag(ending(hold, self._prefix, key, now))

    async def _observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        now = self._now()
        seen = await self._heard(asks, await self._fleet.look({ask.unit for ask in asks}))
        open_asks = {ask.unit: ask for ask in asks if ask.unit in seen and _is_mine(seen[ask.unit], ask)}
        found = await asyncio.gather(*(self._fleet.fresh(seen[unit]) for unit in open_asks))
        fresh = {hold.node: hold for hold in found if hold is not None and _is_mine(hold, open_asks[hold.node])}
        ended = await self._go_on_all({open_asks[unit].key: hold for unit, hold in fresh.items()}, seen, now)
        holds = {unit: hold for unit, hold in {**seen, **fresh}.items() if unit not in open_asks or unit in fresh}
        return {ask.key: self._progress(holds.get(ask.unit), ask, ask.key in ended, now) for ask in asks}

    async def _go_on_all(
        self, going: Mapping[StepKey, Hold], seen: Mapping[str, Hold], now: datetime
    ) -> frozenset[StepKey]:
        """The keys of those that have ended."""
        ended: set[StepKey] = set()
        for op in Op:
            steps = {key: _step(hold, key) for key, hold in going.items()}
            own = {k: hold for k, hold in going.items() if steps[k].op is op and not _is_lost(hold, steps[k])}
            over = {key: hold for key, hold in own.items() if self._is_over(op, hold, now)}
            marked = await asyncio.gather(*(self._mark(op, hold, key, now) for key, hold in over.items()))
            ended |= {key for key, answer in zip(over, marked, strict=True) if isinstance(answer, Accepted)}
            for hold in over.values() if op is Op.GIVE_BACK else ():
                self._returns.came(hold)
            rest = {k: h for k, h in own.items() if k not in over and not self._is_late(h, k, now, but=Op.GIVE_BACK)}
            done = await self._go_on(op, rest, list(seen.values()), now) if rest else {}
            ended |= {key for key, answer in done.items() if op is Op.RELEASE and isinstance(answer, Accepted)}
        return frozenset(ended)

    async def _mark(self, op: Op, hold: Hold, key: StepKey, now: datetime) -> Answer:
        if op is Op.LOCK:
            return Accepted()
        if op is Op.DRAIN:
            return await self._fleet.tag(ending(hold, self._prefix, key, now))
        return await self._end(hold, key, now)

    async def _heard(self, asks: Sequence[Ask], seen: Mapping[str, Hold]) -> Mapping[str, Hold]:
        """The instances, once each has heard of the generation that asks about it."""
        unheard = {ask.unit: ask for ask in asks if ask.unit in seen and _is_newer(seen[ask.unit], ask)}
        for unit, ask in unheard.items():
            hold = await self._fleet.fresh(seen[unit])
            if hold is None or not _is_newer(hold, ask):
                continue
            trail = hold.trail.hearing(ask.key, ask.generation)
            reason = hold.tags.get(f"{self._prefix}-reason", "")
            match await self._fleet.tag(write_tags(hold, self._prefix, trail, held_by=hold.held_by, reason=reason)):
                case Accepted():
                    continue
                case Later(after=after):
                    raise TryLater(after, f"{unit} was written by somebody else meanwhile, or Azure is busy")
                case Denied(why=why):
                    raise Refused(why)
                case _:
                    raise OutcomeUnknown(f"whether {unit} heard of generation {ask.generation}")
        return {**seen, **await self._fleet.look(unheard)} if unheard else seen

    def _progress(self, hold: Hold | None, ask: Ask, has_ended: bool, now: datetime) -> Progress:
        step = hold.trail.find(ask.key) if hold is not None else None
        if hold is None or step is None:
            return NeverAsked()
        at = min(step.at, now)
        if has_ended:
            return Succeeded(at=now)
        if step.mark is Mark.OVERTAKEN:
            is_lock = step.op is Op.LOCK  # what comes after a lock does not end it
            return Succeeded(at=at) if is_lock else Failed(at=at, why=f"{step.op} of {hold.node} was ended by its next")
        if _is_lost(hold, step):
            return Failed(at=now, why=f"{step.op} does not hold any more: {hold.say_lost()}")
        if step.mark is Mark.DONE:
            return Succeeded(at=at)
        if self._is_late(hold, ask.key, now) and not self._may_still_come(hold, step, now):
            return Failed(at=now, why=self._say_late(hold, step))
        return Running(check_again_at=now + self._again)

    def _is_late(self, hold: Hold, key: StepKey, now: datetime, *, but: Op | None = None) -> bool:
        step = _step(hold, key)
        return step.op is not but and step.op in self._limits and now >= step.at + self._limits[step.op]

    def _may_still_come(self, hold: Hold, step: Step, now: datetime) -> bool:
        """A start that was made gets as much time again: who is told as failed may run a moment later."""
        is_coming = step.op is Op.GIVE_BACK and self._returns.is_under_way(hold)
        return is_coming and now < step.at + 2 * self._limits[step.op]

    def _say_late(self, hold: Hold, step: Step) -> str:
        limit = self._limits[step.op]
        if step.op is Op.DRAIN:
            return f"{hold.node} is not deallocated within {limit}: {hold.failure or f'it is {hold.power}'}"
        tried = self._returns.tried(hold)
        why = (tried.why if tried is not None else "") or hold.failure or f"it is {hold.power}"
        times = f", tried {tried.times} times" if tried is not None else ""
        return f"{hold.node} does not run within {limit}{times}, and is tried again: {why}"

    def _is_over(self, op: Op, hold: Hold, now: datetime) -> bool:
        """What was asked is so. That an instance runs which was just told to deallocate may be old news."""
        match op:
            case Op.LOCK:
                return hold.is_ours
            case Op.DRAIN:
                return hold.power is Power.DEALLOCATED and not hold.is_changing
            case Op.GIVE_BACK:
                before, last = hold.trail.steps[-2:] if len(hold.trail.steps) > 1 else (None, hold.trail.steps[-1])
                was_leaving = before is not None and before.op is Op.DRAIN and before.mark is Mark.OVERTAKEN
                is_sure = not was_leaving or now >= last.at + self._again
                return hold.power is Power.RUNNING and not hold.is_changing and is_sure
            case Op.RELEASE:
                return False

    def _now(self) -> datetime:
        return self._clock.now().replace(microsecond=0)


def _is_in(hold: Hold) -> bool:
    """It has to be deallocated, and is not on its way there."""
    return hold.power not in (Power.DEALLOCATED, Power.DEALLOCATING) and not hold.is_changing


def _step(hold: Hold, key: StepKey) -> Step:
    found = hold.trail.find(key)
    assert found is not None
    return found


def _goes_on(hold: Hold, step: Step) -> bool:
    return step is hold.trail.last and step.mark is Mark.ASKED


def _is_lost(hold: Hold, step: Step) -> bool:
    """It goes on, and somebody took our tag off, or the protection of what is drained: not ours to go on with."""
    if step is not hold.trail.last or (step.mark is Mark.DONE and step.op is not Op.DRAIN):
        return False
    return not hold.held_by or (step.op is Op.DRAIN and not hold.is_ours)


def _is_mine(hold: Hold, ask: Ask) -> bool:
    step = hold.trail.find(ask.key)
    return step is not None and _goes_on(hold, step) and ask.generation >= hold.trail.newest(ask.key)


def _is_newer(hold: Hold, ask: Ask) -> bool:
    return ask.generation > hold.trail.newest(ask.key)


def _check_size(items: Sequence[object]) -> None:
    if len(items) > CALL_SIZE_MAX:
        raise ValueError(f"{len(items)} items in a call, at most {CALL_SIZE_MAX} are allowed")
