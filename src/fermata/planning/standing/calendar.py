"""On which days each item may run, and which of them an outage ever needs to lie on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from fermata.domain.ids import ClusterId, UpdateId
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.windows import ONE_DAY
from fermata.planning.standing.items import Item
from fermata.planning.standing.outages import Trouble

STACK_DAYS = 3  # outages of one cluster on days in a row, where one day's room is too short for all that is due then


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """An item that can be done between `first_day` and the horizon; if late, its `due` is that day."""

    item: Item
    trouble: Trouble | None = None


def find_slots(cluster: ClusterId, items: Sequence[Item], *, first_day: date, last_day: date) -> tuple[Slot, ...]:
    """The items, in the given order, with firsts that are open days not before `first_day`. One that no day up to its
    due date is left for is due on the first day there is, with the reason; beyond `last_day` it is only trouble.
    """
    earliest: dict[UpdateId, date] = {}
    found: dict[UpdateId, Slot] = {}
    waiting = list(items)
    while waiting:
        for item in [i for i in waiting if earliest.keys() >= set(i.after)]:
            start = max((first_day, item.first, *(earliest[name] for name in item.after)))
            day = earliest[item.update] = _first_open(item, start)
            moved = replace(item, first=day, due=max(item.due, day))
            trouble = _find_trouble(cluster, item, day, start, last_day)
            found[item.update] = Slot(item=moved, trouble=trouble)
            waiting.remove(item)
    return tuple(found[item.update] for item in items)


def _first_open(item: Item, day: date) -> date:
    for first, last in sorted(item.closed):
        if first <= day <= last:
            day = last + ONE_DAY
    return day


def _find_trouble(cluster: ClusterId, item: Item, day: date, start: date, last_day: date) -> Trouble | None:
    if day > last_day and item.due > last_day:
        return None  # the next horizon's business
    if day <= item.due:
        return None
    is_planned = day <= last_day
    return Trouble(
        cluster=cluster,
        update=item.update,
        due=item.due,
        day=day if is_planned else None,
        units=item.units,
        reason=_say_late(cluster, item, day, start),
    )


def _say_late(cluster: ClusterId, item: Item, day: date, start: date) -> Reason:
    fields = {"update": item.update, "cluster": cluster, "due": item.due, "day": day}
    if start <= item.due:
        return reason(Code.DUE_DATE_FROZEN, **fields)
    return reason(Code.DUE_DATE_TOO_SOON, **fields)


def find_days(items: Sequence[Item], published: Sequence[date], *, stack: bool) -> tuple[date, ...]:
    """Days on which outages need to lie, ascending.

    Putting every outage off to the next of these days keeps all dates, freezes and orders: each item's last open day
    before it is due or covered, and the last before each of its freezes, is among them. So no other day does better,
    and equal days do not confuse the search. `stack`: a day's room is short, so days right before may be needed too.
    """
    by_update = {item.update: item for item in items}
    ends: set[date] = set(published)
    for item in items:
        ends.add(_last_open(item, item.due))
        ends.update(first - ONE_DAY for first, _ in item.closed if item.first < first <= item.due)
        covers = (by_update[name] for name in item.covered_by if name in by_update)
        ends.update(_last_open(newer, item.due) for newer in covers if newer.first <= item.due)
    first_day = min((item.first for item in items), default=date.max)
    found = {day for day in ends if day >= first_day}
    if stack:
        found |= {day - n * ONE_DAY for day in found for n in range(1, STACK_DAYS) if day - n * ONE_DAY >= first_day}
    return tuple(sorted(found | set(published)))


def _last_open(item: Item, day: date) -> date:
    for first, last in sorted(item.closed, reverse=True):
        if first <= day <= last:
            day = first - ONE_DAY
    return day


def days_of(item: Item, days: Sequence[date]) -> tuple[date, ...]:
    """Those of `days` on which the item may run."""
    return tuple(day for day in days if item.first <= day <= item.due and item.is_open(day))


def sort_by_order(items: Mapping[UpdateId, Item]) -> list[Item]:
    """What others wait for comes first, then by update."""
    placed: dict[UpdateId, Item] = {}
    while len(placed) < len(items):
        ready = [
            n for n in sorted(items) if n not in placed and all(a in placed or a not in items for a in items[n].after)
        ]
        placed.update((name, items[name]) for name in ready)
    return list(placed.values())


def close_order(items: Sequence[Item]) -> tuple[Item, ...]:
    """The items with everything in `after` that they wait for, over others as well."""
    found: dict[UpdateId, set[UpdateId]] = {}
    for item in sort_by_order({item.update: item for item in items}):
        found[item.update] = set(item.after).union(*(found.get(name, ()) for name in item.after))
    return tuple(replace(item, after=tuple(sorted(found[item.update]))) for item in items)
