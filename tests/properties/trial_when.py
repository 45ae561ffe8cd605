"""Trial of rules that tell a calendar: every window of every hour around a campaign over the change of the clocks."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import product

from tests.constraints import world as w
from tests.properties.hearing import HOUR, MINUTE, day_of, hear, local, make_judge, make_plan, make_window
from tests.properties.trial_taken import make_entry
from tests.unit.planning import bench as b

from fermata.domain.campaign import DailyWindow
from fermata.domain.fleet import Cluster, Node
from fermata.domain.ids import CustomerId, FreezeId
from fermata.domain.plans import Window
from fermata.domain.policy import AfterDue, Conditions, Freeze, PolicyRule, Scope, ScopeLevel, Stance, Verdict
from fermata.domain.recurrence import Recurrence, RecurringWindow, Unit
from fermata.planning.encoders import Encoder
from fermata.planning.encoding import Calendar
from fermata.planning.inputs import PlanningInput

FIRST = date(2026, 3, 6)  # a Friday; on the Sunday after it the clocks go forward
LAST = date(2026, 3, 10)
NOW = local(FIRST, 13) + 20 * MINUTE
CLUSTERS = (b.make_cluster("alpha"), b.make_cluster("beta"))
NODES = {cluster: b.make_nodes(cluster, [2, 1]) for cluster in CLUSTERS}
SCOPES = (
    Scope(level=ScopeLevel.SUPERCOMPUTER, name="sc-alpha"),
    Scope(level=ScopeLevel.CLUSTER, name="beta"),
    Scope(level=ScopeLevel.RACK, name="alpha-r1"),
    Scope(level=ScopeLevel.NODE, name="beta-r0-n01"),
)


LUMEN = replace(
    w.customer(),
    windows=(
        RecurringWindow(
            id="hours",
            start=datetime(2026, 1, 1, 1, 30),  # noqa: DTZ001  # a wall time, skipped on the day the clocks change
            duration=timedelta(hours=12),
            zone="America/New_York",
            recurrence=Recurrence(unit=Unit.DAY),
        ),
        RecurringWindow(
            id="weekend",
            start=datetime(2026, 1, 3, 13, 30),  # noqa: DTZ001
            duration=timedelta(hours=6),
            zone="America/New_York",
            recurrence=Recurrence(unit=Unit.WEEK),
        ),
    ),
    rules=(
        PolicyRule(id="by rack", stance=Stance.ALLOW_IN_WINDOWS, scope=SCOPES[2]),
        PolicyRule(id="by node", stance=Stance.ALLOW_IN_WINDOWS, scope=SCOPES[3], windows=("hours",)),
    ),
    after_due=AfterDue.PROCEED,
)


LEDGER = (
    make_entry(
        1,
        Scope(level=ScopeLevel.CLUSTER, name="alpha"),
        frozenset({b.LONG_NIC.id}),
        conditions=Conditions(not_before=local(FIRST, 15) + 20 * MINUTE, not_after=local(LAST, 17) + 10 * MINUTE),
    ),
    make_entry(2, SCOPES[3], frozenset({b.LONG_NIC.id}), conditions=Conditions(not_after=local(LAST, 12))),
    make_entry(
        3,
        Scope(level=ScopeLevel.RACK, name="beta-r1"),
        frozenset({b.LONG_NIC.id}),
        Verdict.DECLINED,
        until=local(FIRST, 20),
        then=AfterDue.PROCEED,
    ),
)


def find_disagreements(encoder: Encoder) -> Iterator[str]:
    """Windows, by name, that the rule's check and what it tells judge differently."""
    for inputs in settings():
        told = hear(encoder, inputs)
        assert isinstance(told, Calendar)
        windows = list(placements())
        faulted = make_judge(encoder.code, inputs)(windows)
        yield from (w.id for w in windows if is_open(inputs, told, w) == (w.id in faulted))


def settings() -> Iterator[PlanningInput]:
    """By day and over midnight; weekends staffed or not."""
    rooms = ((time(11), time(19)), (time(22), time(6)), (time(1), time(5)))
    for (start, end), staffed in product(rooms, (True, False)):
        campaign = b.make_campaign(
            first_day=FIRST,
            deadline=FIRST,
            extension_until=LAST,
            daily_window=DailyWindow(start=start, back_in_service_by=end, hard_stop=end),
            weekends_staffed=staffed,
        )
        fleet = b.make_fleet(CLUSTERS, [n for nodes in NODES.values() for n in nodes])
        inputs = b.make_inputs(fleet, b.make_catalogue(b.LONG_NIC), campaign, *freezes(), now=NOW)
        yield inputs
        if staffed:
            yield replace(inputs, parent=make_plan(inputs, ()))
            yield replace(inputs, policy=replace(inputs.policy, customers={LUMEN.id: LUMEN}), ledger=())
            yield replace(inputs, ledger=LEDGER)


def freezes() -> Iterator[Freeze]:
    for number, scope in enumerate(SCOPES):
        start = local(FIRST + timedelta(days=number), 14)
        yield Freeze(
            id=FreezeId(f"freeze-{number}"),
            customer=CustomerId("lumen"),
            scope=scope,
            start=start,
            end=start + 3 * HOUR,
            reason="training run",
        )


def placements() -> Iterator[Window]:
    """Each rack in a window of one and of four hours at every hour from the day before to the day after."""
    hours = range(24 * ((LAST - FIRST).days + 3))
    start = local(FIRST - timedelta(days=1), 0)
    for cluster, rack, hour, minutes in product(CLUSTERS, (0, 1), hours, (60, 240)):
        members = [node for node in NODES[cluster] if node.rack == f"{cluster.name}-r{rack}"]
        yield make_window(f"{cluster.name}-{rack}-{hour}-{minutes}", members, start + hour * HOUR, minutes)


def is_open(inputs: PlanningInput, told: Calendar, window: Window) -> bool:
    """True when what the rule tells lets the window lie there."""
    day = day_of(inputs, window.start)
    members: Sequence[Node] = [inputs.fleet.nodes[name] for name in window.nodes]
    room = told.room(day) if told.room is not None else None
    return (
        told.first_day <= day <= told.last_day
        and day.weekday() in told.weekdays
        and (room is None or (room.start <= window.start and window.end <= room.end))
        and window.start >= told.not_before
        and not any(
            closed.time.start < window.end
            and window.start < closed.time.end
            and any(closed.touches((node,), cluster_of(inputs, node)) for node in members)
            for closed in told.closed
        )
    )


def cluster_of(inputs: PlanningInput, node: Node) -> Cluster:
    return inputs.fleet.clusters[node.cluster]
