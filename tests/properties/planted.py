"""Wrong encoders, at least one a rule: what the rule tells, spoilt a little, that the trials must find out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from tests.properties.hearing import HOUR

from fermata.domain.fleet import Cluster, Node
from fermata.domain.windows import Interval
from fermata.planning.encoders import Encoder
from fermata.planning.encoding import (
    EVERY_WEEKDAY,
    LONG_AGO,
    REBOOT,
    Calendar,
    Capacity,
    Closed,
    Encoded,
    Facts,
    Loan,
    Parts,
    Steps,
    Turns,
    Use,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """How an encoder is spoilt; `is_lax`: it then lets through what the rule forbids."""

    how: str
    spoil: Callable[[Encoded], Encoded]
    is_lax: bool


def spoil_encoder(encoder: Encoder, fault: Fault) -> Encoder:
    """The encoder with its fault."""

    def encode(facts: Facts) -> Encoded:
        return fault.spoil(encoder.encode(facts))

    return replace(encoder, encode=encode)


def with_fields(how: str, *, is_lax: bool, **fields: object) -> Fault:
    """A fault that puts other values into what is told."""
    return Fault(how=how, spoil=lambda told: replace(told, **fields), is_lax=is_lax)  # type: ignore[arg-type]


def of_calendar(how: str, change: Callable[[Calendar], Calendar], *, is_lax: bool) -> Fault:
    def spoil(told: Encoded) -> Encoded:
        assert isinstance(told, Calendar)
        return change(told)

    return Fault(how=how, spoil=spoil, is_lax=is_lax)


def of_capacity(how: str, by: int) -> Fault:
    """Every resource larger by so many."""

    def spoil(told: Encoded) -> Encoded:
        assert isinstance(told, Capacity)
        return replace(told, resources=tuple(replace(r, capacity=r.capacity + by) for r in told.resources))

    return Fault(how=how, spoil=spoil, is_lax=by > 0)


def of_uses(how: str, change: Callable[[Use], Use], *, is_lax: bool) -> Fault:
    def spoil(told: Encoded) -> Encoded:
        assert isinstance(told, Capacity)
        return replace(told, count=lambda taken: tuple(change(use) for use in told.count(taken)))

    return Fault(how=how, spoil=spoil, is_lax=is_lax)


def of_loans(how: str, change: Callable[[Loan], Loan]) -> Fault:
    def spoil(told: Encoded) -> Encoded:
        assert isinstance(told, Capacity)
        return replace(told, lends=lambda taken: tuple(change(loan) for loan in told.lends(taken)))

    return Fault(how=how, spoil=spoil, is_lax=True)


def one_by_one(told: Encoded) -> Encoded:
    """Sets of services that share lenders are not bound."""
    assert isinstance(told, Capacity)
    return replace(told, resources=tuple(replace(r, capacity=1000) if " and " in r.name else r for r in told.resources))


def of_days(how: str, *, is_lax: bool) -> Fault:
    """From and until are not heard, or the resource counts on no day at all."""
    never = date(1, 1, 1)
    days = {"first_day": never, "last_day": never} if is_lax else {"first_day": None, "last_day": None}

    def spoil(told: Encoded) -> Encoded:
        assert isinstance(told, Capacity)
        return replace(told, resources=tuple(replace(r, **days) for r in told.resources))

    return Fault(how=how, spoil=spoil, is_lax=is_lax)


def of_sizes(how: str, low: int, high: int) -> Fault:
    def spoil(told: Encoded) -> Encoded:
        assert isinstance(told, Parts)

        def sizes(nodes: int) -> tuple[int, int]:
            least, most = told.sizes(nodes)
            return least + low, most + high

        return replace(told, sizes=sizes)

    return Fault(how=how, spoil=spoil, is_lax=low < 0 or high > 0)


def of_steps(how: str, change: Callable[[Steps], Steps], *, is_lax: bool) -> Fault:
    def spoil(told: Encoded) -> Encoded:
        assert isinstance(told, Steps)
        return change(told)

    return Fault(how=how, spoil=spoil, is_lax=is_lax)


def hurry(by: timedelta) -> Callable[[Encoded], Encoded]:
    """Others start so much earlier."""

    def spoil(told: Encoded) -> Encoded:
        assert isinstance(told, Turns)
        return replace(told, gap=told.gap - by, opens=told.opens - by if told.opens is not None else None)

    return spoil


def let_first(times: float) -> Callable[[Encoded], Encoded]:
    """So many times as many may go first."""

    def spoil(told: Encoded) -> Encoded:
        assert isinstance(told, Turns)
        return replace(told, fraction=told.fraction * times if told.fraction is not None else None)

    return spoil


def shift_room(told: Calendar, start: timedelta, end: timedelta) -> Calendar:
    find = told.room
    assert find is not None

    def room(day: date) -> Interval:
        found = find(day)
        return Interval(found.start + start, found.end + end)

    return replace(told, room=room)


def deaf_to_clocks(told: Calendar) -> Calendar:
    """As if the clocks never changed: each day's room a day's hours after the one before."""
    find = told.room
    assert find is not None
    base = date(2026, 3, 1)

    def room(day: date) -> Interval:
        found, past = find(base), day - base
        return Interval(found.start + past, found.end + past)

    return replace(told, room=room)


def shift_notice(told: Calendar, by: timedelta) -> Calendar:
    """Only where there is a notice to keep: with no plan to follow there is none."""
    return replace(told, not_before=told.not_before + by) if told.not_before > LONG_AGO else told


def widen(closed: Closed) -> Closed:
    """The freeze of a node or rack, or a cluster, holds everything."""
    return replace(closed, touches=lambda nodes, _cluster: bool(nodes))


def put_off(closed: Closed) -> Closed:
    """What is closed begins an hour late, or not at all."""
    start = min(closed.time.start + HOUR, closed.time.end)
    return replace(closed, time=Interval(start, closed.time.end))


def by_cluster_only(closed: Closed) -> Closed:
    """Freezes of racks and nodes are not heard: whatever covers a whole cluster covers its nodes by any name."""

    def touches(nodes: Sequence[Node], cluster: Cluster) -> bool:
        renamed = [replace(node, rack=cluster.name, name=cluster.name) for node in nodes]  # type: ignore[arg-type]
        return closed.touches(renamed, cluster)

    return replace(closed, touches=touches)


def loosen_isolation(told: Steps) -> Steps:
    return replace(told, isolated={n: replace(how, at_once=how.at_once + 25) for n, how in told.isolated.items()})


def shorten(told: Steps) -> Steps:
    return replace(told, minutes={name: least - 1 for name, least in told.minutes.items()})


NOTHING: Mapping[str, frozenset[str]] = {}
PLANTED: Mapping[str, tuple[Fault, ...]] = {
    "AFTER": (
        with_fields("nothing waits", is_lax=True, before=NOTHING),
        of_steps(
            "the other way round",
            lambda told: replace(told, before={f: frozenset({name}) for name, fs in told.before.items() for f in fs}),
            is_lax=True,
        ),
    ),
    "ALLOWED_WINDOWS": (
        with_fields("always allowed", is_lax=True, closed=()),
        of_calendar(
            "closes late",
            lambda told: replace(told, closed=tuple(put_off(closed) for closed in told.closed)),
            is_lax=True,
        ),
        of_calendar(
            "for all nodes",
            lambda told: replace(told, closed=tuple(widen(closed) for closed in told.closed)),
            is_lax=False,
        ),
    ),
    "APPROVED_PER_DAY": (
        of_capacity("one node more a day", 1),
        of_capacity("one node less a day", -1),
        of_uses("a window uses one", lambda use: replace(use, units=1), is_lax=True),
    ),
    "BIG_CLUSTERS_PER_DAY": (
        of_capacity("one more a day", 1),
        of_days("from and until are not heard", is_lax=False),
        of_uses("all windows use two", lambda use: replace(use, units=2), is_lax=False),
    ),
    "CAMPAIGN_DAYS": (
        of_calendar(
            "a day longer", lambda told: replace(told, last_day=told.last_day + timedelta(days=1)), is_lax=True
        ),
        of_calendar(
            "a day earlier", lambda told: replace(told, first_day=told.first_day - timedelta(days=1)), is_lax=True
        ),
        of_calendar(
            "the last day is left out",
            lambda told: replace(told, last_day=told.last_day - timedelta(days=1)),
            is_lax=False,
        ),
    ),
    "CLUSTER_WINDOWS": (
        of_capacity("one more at once", 1),
        of_uses("half as long", lambda use: replace(use, end=use.end // 2), is_lax=True),
        of_days("from and until are not heard", is_lax=False),
    ),
    "COMPANIONS": (with_fields("nobody goes with others", is_lax=True, companions={}),),
    "CONFLICT": (with_fields("nothing conflicts", is_lax=True, apart=frozenset()),),
    "CONSENT": (
        with_fields("nodes need none", is_lax=True, blocked={}),
        with_fields("devices need none", is_lax=True, barred={}),
    ),
    "CONSENT_AGAIN": (with_fields("nobody waits", is_lax=True, blocked={}),),
    "CONTROL_FIRST": (
        with_fields("nobody goes first", is_lax=True, fraction=None, opens=None),
        Fault(how="nobody bakes", spoil=hurry(HOUR), is_lax=True),
        Fault(how="twice as many go first", spoil=let_first(2), is_lax=True),
        Fault(how="half as many go first", spoil=let_first(0.5), is_lax=False),
        Fault(how="others wait longer", spoil=hurry(-HOUR), is_lax=False),
    ),
    "DAILY_WINDOW": (
        of_calendar("opens early", lambda told: shift_room(told, -HOUR, 0 * HOUR), is_lax=True),
        of_calendar("closes late", lambda told: shift_room(told, 0 * HOUR, HOUR), is_lax=True),
        of_calendar("deaf to the clocks", deaf_to_clocks, is_lax=True),
    ),
    "DRAIN_FIRST": (
        with_fields("nothing waits for the drain", is_lax=True, drained=frozenset(), before=NOTHING),
        with_fields("reboots do not wait", is_lax=True, before=NOTHING),
    ),
    "FREEZE": (
        of_calendar(
            "scopes are not heard",
            lambda told: replace(told, closed=tuple(widen(closed) for closed in told.closed)),
            is_lax=False,
        ),
        of_calendar(
            "small scopes are not heard",
            lambda told: replace(told, closed=tuple(by_cluster_only(closed) for closed in told.closed)),
            is_lax=True,
        ),
        of_calendar(
            "ends early",
            lambda told: replace(
                told,
                closed=tuple(replace(c, time=Interval(c.time.start, c.time.end - 2 * HOUR)) for c in told.closed),
            ),
            is_lax=True,
        ),
    ),
    "ISOLATION": (
        of_steps("more at once", loosen_isolation, is_lax=True),
        with_fields("nothing is isolated", is_lax=True, isolated={}),
    ),
    "NODES_IN_SCOPE": (with_fields("everything is in scope", is_lax=True, covers=lambda _cluster: True),),
    "NODES_OUT": (
        of_capacity("one more at once", 1),
        of_capacity("one less at once", -1),
        of_uses("half as long", lambda use: replace(use, end=use.end // 2), is_lax=True),
        of_days("from and until are not heard", is_lax=False),
    ),
    "NODES_OUT_SHARE": (
        of_capacity("rounded up", 1),
        of_days("never counts", is_lax=True),
    ),
    "NOT_BEFORE_NOW": (
        of_calendar("an hour early", lambda told: replace(told, not_before=told.not_before - HOUR), is_lax=True),
        of_calendar("an hour late", lambda told: replace(told, not_before=told.not_before + HOUR), is_lax=False),
    ),
    "ONE_THING_AT_A_TIME": (
        of_steps("reboots run beside others", lambda told: replace(told, alone=told.alone - {REBOOT}), is_lax=True),
        of_steps("everything waits", lambda told: replace(told, alone=told.alone | {"tor"}), is_lax=False),
    ),
    "PUBLISHED_KEPT": (
        of_calendar("an hour's less notice", lambda told: shift_notice(told, -HOUR), is_lax=True),
        of_calendar("an hour's more notice", lambda told: shift_notice(told, HOUR), is_lax=False),
    ),
    "REBOOTS": (with_fields("nothing needs one", is_lax=True, rebooted=frozenset()),),
    "REQUIREMENT": (with_fields("nothing is required", is_lax=True, before=NOTHING),),
    "ROLLING_ALLOWED": (
        with_fields("everybody rolls", is_lax=True, may_roll=lambda _cluster: True),
        with_fields("nobody rolls", is_lax=False, may_roll=lambda _cluster: False),
    ),
    "ROLLING_PART_SIZE": (
        of_sizes("one more a part", 0, 1),
        of_sizes("one less is enough", -1, 0),
        of_sizes("one less a part", 0, -1),
    ),
    "SERVICE_CAPACITY": (
        of_capacity("one more at once", 1),
        of_loans("loans count twice", lambda loan: replace(loan, units=2 * loan.units)),
        Fault(how="services are bound one by one", spoil=one_by_one, is_lax=True),
        with_fields("nobody lends", is_lax=False, lends=lambda _taken: ()),
    ),
    "SHARED_DEVICE_WHOLE": (
        with_fields("nothing is tied", is_lax=True, ties=lambda _update: False),
        with_fields("impactless work ties too", is_lax=False, ties=lambda _update: True),
    ),
    "STEP_LENGTH": (of_steps("a minute short", shorten, is_lax=True),),
    "TEAM_LIMIT": (
        of_capacity("one more at once", 1),
        of_uses(
            "half as long",
            lambda use: replace(use, end=(use.start + use.end) // 2),
            is_lax=True,
        ),
    ),
    "UNKNOWN_VERSION": (with_fields("unknown may go", is_lax=True, blocked={}),),
    "VERIFY_LAST": (with_fields("verification does not wait", is_lax=True, before=NOTHING),),
    "WORK_ORDERS": (with_fields("no order keeps a node", is_lax=True, blocked={}),),
    "WITHDRAWN_NODES": (with_fields("nobody withdrew", is_lax=True, blocked={}),),
    "WEEKENDS": (
        with_fields("Saturdays too", is_lax=True, weekdays=EVERY_WEEKDAY - {6}),
        with_fields("never on weekends", is_lax=False, weekdays=EVERY_WEEKDAY - {5, 6}),
    ),
}
