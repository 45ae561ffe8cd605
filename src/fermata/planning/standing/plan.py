"""The standing plan on one screen: the items of each cluster, the days they share, and what cannot be on time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from fermata.domain.fleet import Fleet
from fermata.domain.ids import ClusterId, NodeId, UpdateId
from fermata.domain.policy import Policy
from fermata.domain.reasons import Code, reason
from fermata.domain.updates import Catalogue
from fermata.domain.windows import ONE_DAY, calendar_day
from fermata.planning.standing.calendar import Slot, close_order, find_days, find_slots, sort_by_order
from fermata.planning.standing.check import check_standing
from fermata.planning.standing.items import ClusterItems, Item, find_items
from fermata.planning.standing.model import Solved, choose_days
from fermata.planning.standing.outages import ClusterStanding, Outage, Quiet, StandingPlan, Trouble


class StandingFaulted(Exception):
    """The checker faults a standing plan of our own: a bug in one of the two. Nothing is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a standing plan is asked for: `days` from the day after now. Outages are told `notice_days` ahead and then
    stay. `room_minutes`: how long one outage may last, in medians of its steps one after the other; None: no matter.
    """

    days: int = 365
    notice_days: int = 0
    room_minutes: float | None = None
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """The days of one cluster that are planned, both included; `room_minutes` are those of updates alone."""

    first_day: date
    last_day: date
    notice_days: int = 0
    room_minutes: float | None = None


def plan_standing(
    fleet: Fleet,
    catalogue: Catalogue,
    policy: Policy,
    terms: Terms,
    *,
    now: datetime,
    published: Sequence[Outage] = (),
) -> StandingPlan:
    """The plan from the day after `now` (aware UTC), as each cluster's calendar has it.

    `published` outages within the notice stay on their day, with what is left of their updates. Raises StandingFaulted.
    """
    clusters: list[ClusterStanding] = []
    firsts: list[date] = []
    for of in find_items(fleet, catalogue, policy, now=now, until=now + timedelta(days=terms.days)):
        horizon = _find_horizon(of, catalogue, terms, now)
        told = [outage for outage in published if outage.cluster == of.cluster]
        planned = plan_cluster(of, horizon, published=told, seed=terms.seed)
        faults = check_standing(of, planned, first_day=horizon.first_day)
        if faults:
            raise StandingFaulted(f"{of.cluster}: {faults[0]}")
        clusters.append(planned)
        firsts.append(horizon.first_day)
    first_day = min(firsts, default=calendar_day(now, "UTC") + ONE_DAY)
    last_day = max(firsts, default=first_day) + (terms.days - 1) * ONE_DAY
    return StandingPlan(made_at=now, first_day=first_day, last_day=last_day, clusters=tuple(clusters))


def _find_horizon(of: ClusterItems, catalogue: Catalogue, terms: Terms, now: datetime) -> Horizon:
    first = calendar_day(now, of.timezone) + ONE_DAY
    overhead = catalogue.defaults.drain_minutes.p50 + catalogue.defaults.verify_minutes.p50
    return Horizon(
        first_day=first,
        last_day=first + (terms.days - 1) * ONE_DAY,
        notice_days=terms.notice_days,
        room_minutes=None if terms.room_minutes is None else max(1.0, terms.room_minutes - overhead),
    )


def plan_cluster(
    of: ClusterItems, horizon: Horizon, *, published: Sequence[Outage] = (), seed: int = 1
) -> ClusterStanding:
    """The outages of one cluster. Items due after the horizon ride along where that takes no further node out."""
    slots = find_slots(of.cluster, close_order(of.items), first_day=horizon.first_day, last_day=horizon.last_day)
    wanted = [slot for slot in slots if slot.item.first <= horizon.last_day]
    felt = [slot.item for slot in wanted if slot.item.takes and slot.item.due <= horizon.last_day]
    told = _find_told(felt, published, horizon)
    solved = _solve(felt, told, horizon, seed)
    chosen = _ride_along([s.item for s in wanted if s.item.takes], solved.days, told.pinned, horizon)
    chosen.update(_place_quiet([s.item for s in wanted], chosen, horizon.last_day))
    outages = _write_outages(of.cluster, {slot.item.update: slot.item for slot in wanted}, chosen)
    used = {outage.day for outage in outages}
    quiet = tuple(
        Quiet(cluster=of.cluster, update=update, day=day) for update, day in sorted(chosen.items()) if day not in used
    )
    node_outages = sum(len(outage.nodes) for outage in outages)
    return ClusterStanding(
        cluster=of.cluster,
        supercomputer=of.supercomputer,
        outages=outages,
        quiet=quiet,
        troubles=(*_list_troubles(slots, chosen), *_say_left_out(of), *_say_long(of.cluster, outages, felt, horizon)),
        node_outages=node_outages,
        node_outages_bound=min(solved.bound, node_outages),
        separate=len(felt),
        separate_node_outages=sum(len(item.takes) for item in felt),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """Published outages: what is left of their updates, by day, and the nodes that were told."""

    pinned: Mapping[UpdateId, date]
    nodes: Mapping[date, frozenset[NodeId]]


def _find_told(items: Sequence[Item], published: Sequence[Outage], horizon: Horizon) -> _Told:
    """An update that may no longer run on its day, for a freeze came up, is free again; its outage may then be gone."""
    by_update = {item.update: item for item in items}
    until = horizon.first_day + horizon.notice_days * ONE_DAY
    near = [outage for outage in published if horizon.first_day <= outage.day < until]
    pinned = {
        name: outage.day
        for outage in near
        for name in outage.updates
        if name in by_update
        and by_update[name].is_open(outage.day)
        and by_update[name].first <= outage.day <= by_update[name].due
        and set(by_update[name].takes) <= set(outage.nodes)
    }
    return _Told(pinned=pinned, nodes={o.day: frozenset(o.nodes) for o in near if o.day in pinned.values()})


def _solve(items: Sequence[Item], told: _Told, horizon: Horizon, seed: int) -> Solved:
    """Where a day's room cannot hold what is due by then, outages last longer: dates come first, and it is said."""
    if not items:
        return Solved(days={}, bound=0)
    room = horizon.room_minutes
    is_short = room is not None and sum(item.minutes for item in items) > room
    attempts = (
        [(told, room if is_short else None)]
        + ([(told, None)] if is_short else [])
        + [(_Told(pinned={}, nodes={}), None)]
    )
    for attempt, minutes in attempts:
        days = find_days(items, tuple(attempt.nodes), stack=minutes is not None)
        solved = choose_days(items, days, pinned=attempt.pinned, joins=attempt.nodes, room_minutes=minutes, seed=seed)
        if solved is not None:
            return solved
    raise AssertionError("each item has a day of its own before it is due, in the order in which they wait")


def _ride_along(
    items: Sequence[Item], days: Mapping[UpdateId, date], pinned: Mapping[UpdateId, date], horizon: Horizon
) -> dict[UpdateId, date]:
    """Each item in the earliest outage that has its nodes out anyway; those due later only if there is one.

    What a newer item has covered by then is not done at all.
    """
    by_update = {item.update: item for item in items}
    chosen = dict(days)
    for item in sort_by_order(by_update):
        if item.update in pinned or (item.update not in days and item.due <= horizon.last_day):
            continue
        found = _find_ride(item, by_update, chosen, horizon.room_minutes)
        if found is not None:
            chosen[item.update] = found
    return {name: day for name, day in chosen.items() if not _is_covered(by_update[name], chosen)}


def _find_ride(
    item: Item, items: Mapping[UpdateId, Item], chosen: Mapping[UpdateId, date], room: float | None
) -> date | None:
    if any(name in items and name not in chosen for name in item.after):
        return None  # what it waits for is covered or left for later
    ready = max((item.first, *(chosen[name] for name in item.after if name in chosen)))
    last = min(item.due, chosen.get(item.update, item.due))
    for day in sorted(set(chosen.values())):
        others = [items[n] for n, d in chosen.items() if d == day and n != item.update]
        out = {node for other in others for node in other.takes}
        minutes = item.minutes + sum(other.minutes for other in others)
        has_room = room is None or minutes <= room
        if ready <= day <= last and item.is_open(day) and out.issuperset(item.takes) and has_room:
            return day
    return None


def _is_covered(item: Item, chosen: Mapping[UpdateId, date]) -> bool:
    return any(name in chosen and chosen[name] <= chosen[item.update] for name in item.covered_by)


def _place_quiet(items: Sequence[Item], felt: Mapping[UpdateId, date], last_day: date) -> dict[UpdateId, date]:
    """Items that no workload feels: in the first outage that comes in time, else on the last day they may."""
    placed: dict[UpdateId, date] = dict(felt)
    own: dict[UpdateId, date] = {}
    for item in sort_by_order({item.update: item for item in items}):
        if item.takes:
            continue
        ready = max((item.first, *(placed[name] for name in item.after if name in placed)))
        waiting = (felt[other.update] for other in items if item.update in other.after and other.update in felt)
        last = max(ready, min((item.due, last_day, *waiting)))
        in_time = [day for day in sorted(set(felt.values())) if ready <= day <= last]
        own[item.update] = placed[item.update] = in_time[0] if in_time else last
    return own


def _write_outages(
    cluster: ClusterId, items: Mapping[UpdateId, Item], chosen: Mapping[UpdateId, date]
) -> tuple[Outage, ...]:
    outages = []
    for day in sorted({day for name, day in chosen.items() if items[name].takes}):
        updates = sorted(name for name, at in chosen.items() if at == day)
        felt = [items[name] for name in updates if items[name].takes]
        first = min(felt, key=lambda item: (item.due, _is_waited_for(item, felt), item.update))
        nodes = sorted({node for item in felt for node in item.takes})
        outages.append(
            Outage(
                cluster=cluster,
                day=day,
                nodes=tuple(nodes),
                updates=tuple(updates),
                forced_by=first.update,
                due=first.due,
            )
        )
    return tuple(outages)


def _is_waited_for(item: Item, others: Sequence[Item]) -> bool:
    """True when the item is due only because another that is due then waits for it."""
    return any(item.update in other.after and other.due == item.due for other in others)


def _list_troubles(slots: Sequence[Slot], chosen: Mapping[UpdateId, date]) -> tuple[Trouble, ...]:
    """A late item is planned for the day it got, which may lie behind the first one it could have had."""
    return tuple(
        replace(slot.trouble, day=chosen.get(slot.item.update, slot.trouble.day))
        for slot in slots
        if slot.trouble is not None
    )


def _say_left_out(of: ClusterItems) -> tuple[Trouble, ...]:
    found = []
    if of.circular:
        names = ", ".join(of.circular)
        why = reason(Code.ORDER_CIRCULAR, updates=names, cluster=of.cluster)
        found.append(Trouble(cluster=of.cluster, update=None, due=None, day=None, units=of.nodes, reason=why))
    if of.unknown:
        more = f" and {len(of.unknown) - 1:,} more of {of.cluster}" if len(of.unknown) > 1 else ""
        why = reason(Code.VERSION_UNKNOWN, unit=f"{of.unknown[0]}{more}", components="a component that updates target")
        found.append(Trouble(cluster=of.cluster, update=None, due=None, day=None, units=len(of.unknown), reason=why))
    return tuple(found)


def _say_long(
    cluster: ClusterId, outages: Sequence[Outage], items: Sequence[Item], horizon: Horizon
) -> tuple[Trouble, ...]:
    """Outages that need more than a day's room, because so much is due by then."""
    if horizon.room_minutes is None:
        return ()
    minutes = {item.update: item.minutes for item in items}
    found = []
    for outage in outages:
        needed = sum(minutes.get(name, 0.0) for name in outage.updates)
        if needed > horizon.room_minutes:
            fields = {
                "cluster": cluster,
                "day": outage.day,
                "minutes": round(needed),
                "room": round(horizon.room_minutes),
            }
            why = reason(Code.OUTAGE_TOO_LONG, **fields)
            found.append(
                Trouble(
                    cluster=cluster, update=None, due=outage.due, day=outage.day, units=len(outage.nodes), reason=why
                )
            )
    return tuple(found)
