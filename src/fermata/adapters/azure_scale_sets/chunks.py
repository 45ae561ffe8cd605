"""Scale-out in chunks: a placement group takes all of a start or nothing; what failed is tried in smaller ones. Pure.

`domain/scale_in` cuts in halves what is refused at once. Azure refuses minutes later, when the operation has ended, so
what is known of a group is kept from look to look; forgotten, it is found again.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of the starts of one instance. `again_at`: it failed alone, and is left until then."""

    times: int
    why: str
    again_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One scale set. `size`: how many may be on their way at once, of at most `size_max`."""

    size: int
    size_max: int
    tried: Mapping[str, Tried] = field(default_factory=dict)


def choose(group: Group, waiting: Iterable[str], now: datetime) -> tuple[str, ...]:
    """Who is started now: first those that failed least often, so that a bad one costs a few calls, and not everybody's
    return.
    """
    ripe = [vm for vm in waiting if not _is_left(group, vm, now)]
    return tuple(sorted(ripe, key=lambda vm: (_times(group, vm), vm))[: group.size])


def judge(
    group: Group, chunk: Collection[str], running: Collection[str], why: str, now: datetime, again: timedelta
) -> Group:
    """After a start ended. When all of it run, twice as many are next; else half of it. What failed alone says nothing
    of the size.
    """
    failed = [vm for vm in chunk if vm not in running]
    tried = {vm: found for vm, found in group.tried.items() if vm not in chunk}
    if not failed:
        return replace(group, size=min(group.size_max, max(group.size, 2 * len(chunk))), tried=tried)
    alone = now + again if len(chunk) == 1 else None
    tried |= {vm: Tried(times=_times(group, vm) + 1, why=why, again_at=alone) for vm in failed}
    return replace(group, size=group.size if len(chunk) == 1 else len(chunk) // 2, tried=tried)


def _times(group: Group, vm: str) -> int:
    return group.tried[vm].times if vm in group.tried else 0


def _is_left(group: Group, vm: str, now: datetime) -> bool:
    again_at = group.tried[vm].again_at if vm in group.tried else None
    return again_at is not None and now < again_at
