"""On tiny fleets the planner's first two terms are what trying every plan finds, and it has a plan if there is one."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.domain.policy import Freeze
from fermata.domain.updates import Impact
from fermata.domain.windows import day_interval
from fermata.planning.checker import check_plan
from fermata.planning.extract import write_plan
from fermata.planning.outline import compile_problem
from fermata.planning.search import NothingFound, find_plan

pytestmark = pytest.mark.timeout(300)  # every plan there is: a busy machine needs minutes

FIRST = date(2026, 1, 5)
DAYS = 4
DEADLINE = 1  # the day before the last two
TOR = b.make_update("tor", "tor_fw", 5, Impact.IMPACTFUL, target="tor")


@dataclass(frozen=True, kw_only=True)
class Tiny:
    """Clusters by the sizes of their racks; of each: may it be rolled, and the day on which it is frozen, if any.

    `are_tied`: a switch with work keeps each rack together.
    """

    are_tied: bool
    racks: tuple[tuple[int, ...], ...]
    rolling: tuple[bool, ...]
    frozen: tuple[int | None, ...]
    nodes_out: int
    windows_at_once: int
    big_per_day: int
    least: float
    most: float


@st.composite
def tiny_fleets(draw: st.DrawFn) -> Tiny:
    are_tied = draw(st.sampled_from([True, True, False]))
    clusters = draw(st.integers(1, 3 if are_tied else 2))  # single nodes have many more plans
    racks = st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple)
    each = st.tuples(*(racks for _ in range(clusters)))
    return Tiny(
        are_tied=are_tied,
        racks=draw(each),
        rolling=draw(st.tuples(*(st.booleans() for _ in range(clusters)))),
        frozen=draw(st.tuples(*(st.none() | st.integers(0, DAYS - 1) for _ in range(clusters)))),
        nodes_out=draw(st.integers(2, 10)),
        windows_at_once=draw(st.integers(1, 3)),
        big_per_day=draw(st.integers(0, 2)),
        least=draw(st.sampled_from([0.1, 0.3, 0.5])),
        most=draw(st.sampled_from([0.5, 0.7, 0.9])),
    )


BIG = 4


def services(tiny: Tiny, cluster: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """Every way to service one cluster: its windows as pairs of day and nodes."""
    total = sum(tiny.racks[cluster])
    for sizes in sorted(set(find_sizes(tiny, cluster))):
        parts = [(day, size) for day, size in enumerate(sizes) if size]
        if tiny.frozen[cluster] in dict(parts):
            continue
        in_bounds = all(10 * size <= round(10 * tiny.most) * total for _, size in parts) and all(
            10 * size >= round(10 * tiny.least) * total for _, size in parts[:-1]
        )
        if len(parts) == 1 or (tiny.rolling[cluster] and in_bounds):
            yield tuple(parts)


def find_sizes(tiny: Tiny, cluster: int) -> Iterator[tuple[int, ...]]:
    """How many nodes may go on each day, going by what goes together alone."""
    racks = tiny.racks[cluster]
    total = sum(racks)
    if not tiny.are_tied:
        yield from (sizes for sizes in product(range(total + 1), repeat=DAYS) if sum(sizes) == total)
        return
    for days in product(range(DAYS), repeat=len(racks)):
        yield tuple(sum(r for r, d in zip(racks, days, strict=True) if d == day) for day in range(DAYS))


def is_allowed(tiny: Tiny, choice: tuple[tuple[tuple[int, int], ...], ...]) -> bool:
    for day in range(DAYS):
        out = [size for windows in choice for d, size in windows if d == day]
        whole = [
            1
            for cluster, windows in enumerate(choice)
            if len(windows) == 1 and windows[0][0] == day and sum(tiny.racks[cluster]) > BIG
        ]
        if sum(out) > tiny.nodes_out or len(out) > tiny.windows_at_once or len(whole) > tiny.big_per_day:
            return False
    return True


def brute_force(tiny: Tiny) -> tuple[int, int] | None:
    """Least late node-days, then fewest windows, over all plans there are; None when there is none."""
    ways = [list(services(tiny, cluster)) for cluster in range(len(tiny.racks))]
    found = [
        (
            sum(max(0, day - DEADLINE) * size for windows in choice for day, size in windows),
            sum(len(windows) for windows in choice),
        )
        for choice in product(*ways)
        if is_allowed(tiny, choice)
    ]
    return min(found, default=None)


def planner(tiny: Tiny) -> tuple[int, int] | None:
    clusters = [b.make_cluster(f"c{i}", rolling=rolling) for i, rolling in enumerate(tiny.rolling)]
    nodes = [node for cl, racks in zip(clusters, tiny.racks, strict=True) for node in b.make_nodes(cl, racks)]
    switches = [b.make_device(node.cluster, "tor", node.rack) for node in {node.rack: node for node in nodes}.values()]
    limits = (
        c.Limit(what=c.LimitKind.NODES_OUT, at_once=tiny.nodes_out),
        c.Limit(what=c.LimitKind.CLUSTER_WINDOWS, at_once=tiny.windows_at_once),
        c.Limit(what=c.LimitKind.WHOLE_BIG_CLUSTERS, per_day=tiny.big_per_day),
    )
    campaign = b.make_campaign(
        first_day=FIRST,
        deadline=FIRST + timedelta(days=DEADLINE),
        extension_until=FIRST + timedelta(days=DAYS - 1),
        limits=limits,
        big_cluster_nodes=BIG,
        rolling=c.Rolling(min_fraction_per_day=tiny.least, max_fraction_per_day=tiny.most),
    )
    inputs = b.make_inputs(
        b.make_fleet(clusters, nodes, switches if tiny.are_tied else ()),
        b.make_catalogue(b.LONG_NIC, TOR),
        campaign,
        *freezes(tiny, campaign),
    )
    problem = compile_problem(inputs)
    found = find_plan(problem)
    if isinstance(found, NothingFound):
        assert found.proven
        return None
    plan = write_plan(problem, found, plan_id="plan_1", hashes=b.HASHES)
    assert check_plan(inputs, plan) == ()
    late, windows = plan.objective
    assert (late.value, windows.value) == (late.bound, windows.bound)
    return int(late.value), int(windows.value)


def freezes(tiny: Tiny, campaign: c.Campaign) -> Iterator[Freeze]:
    hours = campaign.daily_window
    for cluster, frozen in enumerate(tiny.frozen):
        if frozen is not None:
            day = FIRST + timedelta(days=frozen)
            room = day_interval(day, hours.start, hours.back_in_service_by, campaign.timezone)
            yield b.make_freeze(f"c{cluster}", room.start, room.end)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(tiny_fleets())
def test_planner_agrees_with_brute_force(tiny: Tiny) -> None:
    assert planner(tiny) == brute_force(tiny)
