"""Instances on their way back: of each scale set as many at a time as went through before, and what became of them.
Nothing is started but what was asked to be given back and carries our tag.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from azure.core.polling import AsyncLROPoller

from fermata.adapters.azure_scale_sets.chunks import Group, Tried, choose, judge
from fermata.adapters.azure_scale_sets.fleet import Fleet
from fermata.adapters.azure_scale_sets.holds import Hold, Power
from fermata.adapters.azure_scale_sets.link import (
    BROKEN_OFF,
    BUSY,
    CONFLICT,
    SOON,
    TOO_MANY,
    UNAVAILABLE,
    code_of,
    patience,
    say,
    status_of,
)
from fermata.domain.observations import Accepted, Answer, Later, Unsure

# codes of a conflict with an operation under way; Azure says OperationNotAllowed of a quota as well
AT_WORK = frozenset({"", "Conflict", "OperationNotAllowed", "AnotherOperationInProgress", "OperationPreempted"})


@dataclass(slots=True)
class _Start:
    """A start under way. `came`: who was seen running. `failed`: why it ended without success; "" when it ended well,
    or nobody knows.
    """

    vms: tuple[str, ...]
    came: set[str] = field(default_factory=set)
    is_over: bool = False
    failed: str = ""
    over_at: datetime | None = None


@dataclass(slots=True)
class _Set:
    group: Group
    starts: list[_Start] = field(default_factory=list)
    not_before: datetime | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Returns:
    """All scale sets. What is kept here may be forgotten: instances say for themselves how they stand."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._size_max = fleet.settings.chunk_max
        self._again = timedelta(seconds=fleet.settings.again_seconds)
        self._sets: dict[str, _Set] = {}
        self._watching: set[asyncio.Task[None]] = set()

    def tried(self, hold: Hold) -> Tried | None:
        """What came of the starts of an instance so far."""
        return self._set(hold.scale_set).group.tried.get(hold.vm)

    def is_under_way(self, hold: Hold) -> bool:
        """It may run soon, by a start that was made."""
        return is_coming(hold) or any(hold.vm in start.vms for start in self._set(hold.scale_set).starts)

    def came(self, hold: Hold) -> None:
        """It runs, and nobody asks about it any more."""
        for start in self._set(hold.scale_set).starts:
            start.came |= {hold.vm} & set(start.vms)

    async def go_on(self, holds: Sequence[Hold], now: datetime) -> Mapping[str, Answer]:
        """Starts what can be started of these, which were all asked back. By node: Later when the service was busy,
        Unsure when nobody knows; who has its turn later is Accepted.
        """
        by_set: dict[str, list[Hold]] = {}
        for hold in holds:
            by_set.setdefault(hold.scale_set, []).append(hold)
        answers: dict[str, Answer] = {}
        for name, members in sorted(by_set.items()):
            one = self._set(name)
            async with one.turn:
                answers |= await self._go_on(name, one, members, now)
        return answers

    async def _go_on(self, name: str, one: _Set, members: Sequence[Hold], now: datetime) -> dict[str, Answer]:
        answers: dict[str, Answer] = {hold.node: Accepted() for hold in members}
        for start in [start for start in one.starts if start.is_over]:
            self._judge(one, start, members, now)
        if one.not_before is not None and now < one.not_before:
            later = Later(after=one.not_before - now)
            return answers | {hold.node: later for hold in members if not self.is_under_way(hold)}
        waiting = {hold.vm: hold for hold in members if not self.is_under_way(hold)}
        room = one.group.size - sum(len(start.vms) - len(start.came) for start in one.starts)
        chunk = choose(one.group, waiting, now)[: max(0, room)]
        is_whole = self._fleet.settings.starts == "together"
        for vms in [chunk] if is_whole and chunk else [(vm,) for vm in chunk]:
            answer = await self._start(name, one, vms, now)
            answers |= {waiting[vm].node: answer for vm in vms}
        return answers

    async def _start(self, name: str, one: _Set, chunk: tuple[str, ...], now: datetime) -> Answer:
        start = _Start(chunk)
        try:
            poller = await self._fleet.start(name, chunk)
        except BROKEN_OFF as error:
            status = status_of(error)
            if status in (TOO_MANY, UNAVAILABLE):
                one.not_before = now + patience(error)
                return Later(after=patience(error))
            if status >= 400 and status not in BUSY:
                return self._refused(one, chunk, error, now)
            one.starts.append(start)
            start.is_over, start.over_at = True, now
            return Unsure()
        one.starts.append(start)
        task = asyncio.get_running_loop().create_task(_watch(start, poller))
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)
        return Accepted()

    def _refused(self, one: _Set, chunk: tuple[str, ...], error: BaseException, now: datetime) -> Answer:
        """The start as a whole, at once. A conflict is with another operation, and tells nothing of the size."""
        why = _say(error)
        if status_of(error) == CONFLICT and code_of(error) in AT_WORK and "quota" not in why.lower():
            one.not_before = now + SOON
            return Accepted()
        one.group = judge(one.group, chunk, (), why, now, self._again)
        return Accepted()

    def _judge(self, one: _Set, start: _Start, members: Sequence[Hold], now: datetime) -> None:
        """A start that is over is judged by its instances. They may show an older state for a while; where it is not
        known that it failed, they have until `again_seconds` to come.
        """
        seen = {hold.vm: hold for hold in members if hold.vm in start.vms}
        start.over_at = start.over_at or now
        is_late = now >= start.over_at + self._again
        coming = start.came | {vm for vm, hold in seen.items() if is_coming(hold)}
        moving = [vm for vm in coming & seen.keys() if seen[vm].is_changing or seen[vm].power is Power.STARTING]
        is_unclear = bool(moving) if start.failed else len(coming) < len(start.vms)
        if is_unclear and not is_late:
            return
        told = next((hold.failure for vm, hold in seen.items() if hold.failure and vm not in coming), "")
        why = start.failed or told or "it was started, and does not run"
        unseen = set() if start.failed else set(start.vms) - set(seen)  # given back meanwhile, or not asked about
        running = coming | unseen
        one.group = judge(one.group, start.vms, running, why, now, self._again)
        one.starts.remove(start)

    def _set(self, name: str) -> _Set:
        if name not in self._sets:
            self._sets[name] = _Set(Group(size=self._size_max, size_max=self._size_max))
        return self._sets[name]


def is_coming(hold: Hold) -> bool:
    """It runs, or will without anybody's doing."""
    return hold.power in (Power.RUNNING, Power.STARTING) or hold.is_changing


async def _watch(start: _Start, poller: AsyncLROPoller[None]) -> None:
    """Follows the operation to its end. Who loses sight of it judges by the instances alone."""
    try:
        await poller.result()
    except BROKEN_OFF as error:
        if 0 < status_of(error) < 400:
            start.failed = _say(error)
    finally:
        start.is_over = True


def _say(error: BaseException) -> str:
    code = code_of(error)
    return f"{code}: {say(error)}" if code and code not in say(error) else say(error)
