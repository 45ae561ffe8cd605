"""Standing plans: which updates share an outage, what forces its day, and what is said where a date cannot be kept."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.planning import bench as b

from fermata.domain import updates as u
from fermata.domain.fleet import Fleet
from fermata.domain.ids import ClusterId, NodeId, SupercomputerId, UpdateId
from fermata.domain.policy import Freeze
from fermata.planning.standing.check import check_standing
from fermata.planning.standing.items import ClusterItems, Item
from fermata.planning.standing.outages import ClusterStanding, Outage, StandingPlan
from fermata.planning.standing.plan import Horizon, Terms, plan_cluster, plan_standing

D0 = date(2026, 3, 1)
DAYS = 6
NODES = ("n0", "n1", "n2")


def make_item(name: str, first: int, due: int, takes: Sequence[str] = NODES, **more: object) -> Item:
    base = Item(
        update=UpdateId(name),
        takes=tuple(NodeId(node) for node in takes),
        units=len(takes),
        first=D0 + timedelta(days=first),
        due=D0 + timedelta(days=due),
        minutes=30,
    )
    return replace(base, **more)  # type: ignore[arg-type]


def make_cluster(*items: Item) -> ClusterItems:
    return ClusterItems(
        cluster=ClusterId("c"),
        supercomputer=SupercomputerId("sc"),
        timezone="UTC",
        nodes=len(NODES),
        items=tuple(sorted(items, key=lambda item: item.update)),
    )


def plan(*items: Item, published: Sequence[Outage] = (), **more: object) -> ClusterStanding:
    horizon = replace(Horizon(first_day=D0, last_day=D0 + timedelta(days=DAYS - 1)), **more)  # type: ignore[arg-type]
    of = make_cluster(*items)
    made = plan_cluster(of, horizon, published=published)
    assert check_standing(of, made, first_day=D0) == ()
    return made


def days_of(made: ClusterStanding) -> list[tuple[int, tuple[str, ...]]]:
    return [((outage.day - D0).days, outage.updates) for outage in made.outages]


CLOSED = (D0 + timedelta(days=2), D0 + timedelta(days=3))


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        pytest.param([make_item("a", 0, 3), make_item("b", 0, 5)], [(3, ("a", "b"))], id="one outage serves both"),
        pytest.param([make_item("a", 0, 1), make_item("b", 2, 5)], [(1, ("a",)), (5, ("b",))], id="not out yet"),
        pytest.param(
            [make_item("a", 0, 2, ["n0"]), make_item("b", 2, 4), make_item("c", 3, 5)],
            [(2, ("a",)), (4, ("b", "c"))],
            id="the middle one goes where it costs less",
        ),
        pytest.param([make_item("a", 0, 3, closed=(CLOSED,))], [(1, ("a",))], id="before the freeze"),
        pytest.param(
            [make_item("a", 0, 1, ["n0"]), make_item("b", 0, 5, ["n0"]), make_item("c", 0, 5, ["n1"])],
            [(1, ("a", "b", "c"))],
            id="where no node is out more often, one outage is better than two",
        ),
        pytest.param(
            [make_item("a", 0, 5, ["n0"]), make_item("b", 0, 2, ["n1"], after=("a",))],
            [(2, ("a", "b"))],
            id="what it waits for comes along",
        ),
        pytest.param(
            [make_item("a1", 0, 4, covered_by=("a2",)), make_item("a2", 3, 5)],
            [(4, ("a2",))],
            id="a newer version does the older one's work",
        ),
        pytest.param(
            [make_item("a1", 0, 2, covered_by=("a2",)), make_item("a2", 3, 5)],
            [(2, ("a1",)), (5, ("a2",))],
            id="a newer version that comes too late does not",
        ),
    ],
)
def test_updates_share_the_outages_that_their_dates_allow(
    items: list[Item], expected: list[tuple[int, tuple[str, ...]]]
) -> None:
    made = plan(*items)
    assert days_of(made) == expected
    assert made.node_outages == made.node_outages_bound
    assert not made.troubles


def test_an_outage_names_the_update_that_forces_its_day() -> None:
    (outage,) = plan(make_item("early", 0, 4), make_item("forced", 0, 2, after=("early",))).outages
    assert outage.forced_by == "forced"
    assert outage.due == D0 + timedelta(days=2)


def test_what_nobody_feels_rides_along_or_goes_alone_without_an_outage() -> None:
    made = plan(make_item("a", 0, 2), make_item("quiet-1", 0, 3, []), make_item("quiet-2", 3, 4, []))
    assert days_of(made) == [(2, ("a", "quiet-1"))]
    assert [(quiet.update, (quiet.day - D0).days) for quiet in made.quiet] == [("quiet-2", 4)]


def test_what_is_due_later_rides_along_only_where_its_nodes_are_out_anyway() -> None:
    later = make_item("later", 0, 40)
    assert days_of(plan(make_item("a", 0, 2), later)) == [(2, ("a", "later"))]
    assert days_of(plan(make_item("a", 0, 2, ["n0"]), later)) == [(2, ("a",))]


@pytest.mark.parametrize(
    ("item", "day", "code"),
    [
        (make_item("a", -9, -3), 0, "DUE_DATE_TOO_SOON"),
        (make_item("a", 3, 2), 3, "DUE_DATE_TOO_SOON"),
        (make_item("a", 2, 3, closed=(CLOSED,)), 4, "DUE_DATE_FROZEN"),
        (make_item("a", 0, 3, closed=((D0, D0 + timedelta(days=90)),)), None, "DUE_DATE_FROZEN"),
    ],
)
def test_a_date_that_cannot_be_kept_is_said_with_the_first_day_there_is(item: Item, day: int | None, code: str) -> None:
    made = plan(item)
    (trouble,) = made.troubles
    assert trouble.reason.code == code
    assert trouble.day == (None if day is None else D0 + timedelta(days=day))
    assert [found for found, _ in days_of(made)] == ([] if day is None else [day])


def test_more_than_a_day_holds_is_spread_over_the_days_before_it_is_due() -> None:
    made = plan(*(make_item(name, 0, 4) for name in "abcd"), room_minutes=65.0)
    assert [len(updates) for _, updates in days_of(made)] == [2, 2]
    assert not made.troubles
    crowded = plan(*(make_item(name, 4, 4) for name in "abcd"), room_minutes=65.0)
    assert [len(updates) for _, updates in days_of(crowded)] == [4]
    assert [trouble.reason.code for trouble in crowded.troubles] == ["OUTAGE_TOO_LONG"]


def test_an_outage_that_was_told_stays_and_takes_no_further_node() -> None:
    told = Outage(
        cluster=ClusterId("c"),
        day=D0 + timedelta(days=1),
        nodes=(NodeId("n0"),),
        updates=(UpdateId("a"),),
        forced_by=UpdateId("a"),
        due=D0 + timedelta(days=4),
    )
    items = [make_item("a", 0, 4, ["n0"]), make_item("b", 0, 4, ["n0"]), make_item("c", 0, 4, ["n1"])]
    assert days_of(plan(*items)) == [(4, ("a", "b", "c"))]
    assert days_of(plan(*items, published=[told], notice_days=3)) == [(1, ("a", "b")), (4, ("c",))]
    assert days_of(plan(*items, published=[told], notice_days=1)) == [(4, ("a", "b", "c"))]


def test_an_outage_that_was_told_gives_way_to_a_freeze() -> None:
    closed = (D0 + timedelta(days=1), D0 + timedelta(days=1))
    first = make_item("a", 0, 4, ["n0"])
    (told,) = plan(replace(first, due=closed[0])).outages
    assert days_of(plan(replace(first, closed=(closed,)), published=[told], notice_days=3)) == [(4, ("a",))]


def test_the_checker_finds_what_a_plan_leaves_out_or_moves() -> None:
    of = make_cluster(make_item("a", 0, 2), make_item("b", 2, 5, after=("a",)))
    made = plan_cluster(of, Horizon(first_day=D0, last_day=D0 + timedelta(days=9)))
    (outage,) = made.outages
    spoilt = {
        "not planned": replace(made, outages=(replace(outage, updates=("b",)),)),
        "after": replace(made, outages=(replace(outage, day=D0 + timedelta(days=3)),)),
        "before it may be": replace(made, outages=(replace(outage, day=D0 + timedelta(days=1)),)),
        "other nodes": replace(made, outages=(replace(outage, nodes=("n0",)),)),
        "twice": replace(made, outages=(outage, outage)),
        "bound": replace(made, node_outages_bound=99),
    }
    for words, plan_ in spoilt.items():
        assert any(words in fault for fault in check_standing(of, plan_, first_day=D0)), words


@st.composite
def tiny_clusters(draw: st.DrawFn) -> ClusterItems:
    items = []
    for number in range(draw(st.integers(1, 4))):
        first = draw(st.integers(0, DAYS - 1))
        due = draw(st.integers(first, DAYS - 1))
        takes = draw(st.lists(st.sampled_from(NODES), min_size=1, unique=True))
        after = draw(st.sets(st.sampled_from([f"u{n}" for n in range(number)]), max_size=1)) if number else set()
        frozen = draw(st.none() | st.integers(0, DAYS - 1))
        closed = () if frozen is None else ((D0 + timedelta(days=frozen), D0 + timedelta(days=frozen)),)
        items.append(make_item(f"u{number}", first, due, takes, after=tuple(sorted(after)), closed=closed))
    return make_cluster(*items)


def brute_force(of: ClusterItems) -> tuple[int, int] | None:
    """Fewest node outages, then outages, over all choices of days that keep every date, freeze and order."""
    best: tuple[int, int] | None = None
    for days in product(range(DAYS), repeat=len(of.items)):
        at = {item.update: D0 + timedelta(days=day) for item, day in zip(of.items, days, strict=True)}
        if not all(
            item.first <= at[item.update] <= item.due
            and item.is_open(at[item.update])
            and all(at[name] <= at[item.update] for name in item.after)
            for item in of.items
        ):
            continue
        out = {(node, at[item.update]) for item in of.items for node in item.takes}
        found = (len(out), len(set(at.values())))
        best = found if best is None else min(best, found)
    return best


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(tiny_clusters())
def test_no_choice_of_days_takes_fewer_nodes_out(of: ClusterItems) -> None:
    expected = brute_force(of)
    made = plan_cluster(of, Horizon(first_day=D0, last_day=D0 + timedelta(days=DAYS - 1)))
    assert check_standing(of, made, first_day=D0) == ()
    if expected is None:
        assert made.troubles
        return
    assert not made.troubles
    assert (made.node_outages, len(made.outages)) == expected
    assert made.node_outages_bound == made.node_outages <= made.separate_node_outages


NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def plan_fleet(*updates: u.Update, freezes: tuple[Freeze, ...] = (), fleet: Fleet | None = None) -> StandingPlan:
    cluster = b.make_cluster("c0")
    made = fleet or b.make_fleet([cluster], b.make_nodes(cluster, [2, 2]))
    inputs = b.make_inputs(made, b.make_catalogue(*updates), b.make_campaign(), *freezes)
    return plan_standing(inputs.fleet, inputs.catalogue, inputs.policy, Terms(days=200), now=NOW)


def test_an_announced_update_shares_the_outage_of_one_that_is_due_after_its_release() -> None:
    regular = b.make_update("os", "os_fw", 30, u.Impact.REBOOTFUL, released_at=NOW)
    coming = b.make_update("nic", "nic_fw", 30, u.Impact.REBOOTFUL, released_at=NOW + timedelta(days=60))
    cluster = b.make_cluster("c0")
    fleet = b.make_fleet([cluster], b.make_nodes(cluster, [2, 2], components=("nic_fw", "os_fw")))
    (of,) = plan_fleet(regular, coming, fleet=fleet).clusters
    assert [outage.updates for outage in of.outages] == [("nic", "os")]
    assert of.outages[0].forced_by == "os"


def test_updates_that_wait_for_each_other_are_told_and_not_planned() -> None:
    first = b.make_update("a", "nic_fw", 30, u.Impact.REBOOTFUL, after=(UpdateId("b"),))
    second = b.make_update("b", "os_fw", 30, u.Impact.REBOOTFUL, after=(UpdateId("a"),))
    cluster = b.make_cluster("c0")
    fleet = b.make_fleet([cluster], b.make_nodes(cluster, [2], components=("nic_fw", "os_fw")))
    (of,) = plan_fleet(first, second, fleet=fleet).clusters
    assert not of.outages
    assert [trouble.reason.code for trouble in of.troubles] == ["ORDER_CIRCULAR"]


def test_a_unit_of_unknown_version_is_told() -> None:
    cluster = b.make_cluster("c0")
    nodes = b.make_nodes(cluster, [2])
    blind = replace(nodes[0], versions={"nic_fw": ""})
    fleet = b.make_fleet([cluster], [blind, nodes[1]])
    (of,) = plan_fleet(b.make_update("nic", "nic_fw", 30, u.Impact.REBOOTFUL), fleet=fleet).clusters
    assert [len(outage.nodes) for outage in of.outages] == [1]
    assert [trouble.reason.code for trouble in of.troubles] == ["VERSION_UNKNOWN"]
