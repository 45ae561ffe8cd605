"""Large campaigns are planned with the fewest windows of each cluster first: as good in the terms that come first, and
with every way of every cluster where that is not enough.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.domain.fleet import Node
from fermata.domain.ids import FreezeId
from fermata.domain.policy import Scope, ScopeLevel
from fermata.planning import fewest
from fermata.planning.inputs import Planned, PlanningInput
from fermata.planning.planner import plan_campaign
from fermata.planning.search import Found, Milestone, SearchOptions
from fermata.planning.ways import WayFinder

HALF = c.Rolling(min_fraction_per_day=0.2, max_fraction_per_day=0.5)


def make_inputs(*racks: list[int], nodes_out: int, deadline: int = 6) -> PlanningInput:
    """Clusters with so many nodes in each rack, that may all be rolled; January 8 is the last day."""
    clusters = [b.make_cluster(f"c{number}", rolling=True) for number in range(len(racks))]
    nodes: list[Node] = [n for pair in zip(clusters, racks, strict=True) for n in b.make_nodes(*pair)]
    limits = (c.Limit(what=c.LimitKind.NODES_OUT, at_once=nodes_out),)
    campaign = b.make_campaign(limits=limits, rolling=HALF, deadline=date(2026, 1, deadline))
    return b.make_inputs(b.make_fleet(clusters, nodes), b.make_catalogue(b.LONG_NIC), campaign)


def plan(inputs: PlanningInput) -> tuple[Planned, list[Milestone]]:
    told: list[Milestone] = []

    def tell(milestone: Milestone, _found: Found) -> None:
        told.append(milestone)

    outcome = plan_campaign(inputs, new_plan_id="plan_1", hashes=b.HASHES, options=SearchOptions(tell=tell))
    assert isinstance(outcome, Planned), outcome
    return outcome, told


def terms(planned: Planned) -> list[tuple[float, float]]:
    return [(term.value, term.bound) for term in planned.plan.objective]


@pytest.fixture
def is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fewest, "ALL_WAYS_MOST", 0)


@pytest.fixture
def split(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The clusters of which all ways were looked for."""
    asked: list[str] = []
    find: Callable[..., object] = WayFinder.find_ways

    def find_ways(self: WayFinder, work: object, *more: object) -> object:
        asked.append(work.cluster.name)  # type: ignore[attr-defined]
        return find(self, work, *more)

    monkeypatch.setattr(WayFinder, "find_ways", find_ways)
    return asked


@pytest.mark.usefixtures("is_large")
def test_no_cluster_is_split_when_all_are_in_time_whole(split: list[str]) -> None:
    planned, told = plan(make_inputs([4, 4], [4, 4], nodes_out=8))
    assert split == []
    assert terms(planned) == [(0, 0), (2, 2)]
    assert told.count(Milestone.FIRST) == 1


@pytest.mark.usefixtures("is_large")
def test_cluster_over_the_limit_is_split_into_the_fewest_parts(split: list[str]) -> None:
    planned, _ = plan(make_inputs([2, 2], [1, 2], nodes_out=3, deadline=7))
    assert split == []
    assert terms(planned) == [(0, 0), (3, 3)]


@pytest.mark.usefixtures("is_large")
def test_all_ways_are_looked_for_when_the_fewest_windows_come_late(split: list[str]) -> None:
    planned, told = plan(make_inputs([2, 2], [2, 2], [2, 2], nodes_out=10, deadline=5))
    assert set(split) == {"c0", "c1", "c2"}
    assert terms(planned) == [(2, 2), (4, 4)], "half of one cluster goes in time, beside two that are taken whole"
    assert told.count(Milestone.FIRST) == 1


@pytest.mark.usefixtures("is_large")
def test_only_a_cluster_that_finds_no_day_whole_is_looked_at_in_all_ways(split: list[str]) -> None:
    inputs = make_inputs([2, 2], [2, 2], nodes_out=8, deadline=8)
    freezes = tuple(
        replace(
            b.make_freeze("c0", *_bounds(day)),
            id=FreezeId(f"{rack}-{day}"),
            scope=Scope(level=ScopeLevel.RACK, name=rack),
        )
        for rack, days in (("c0-r0", (5, 6)), ("c0-r1", (7, 8)))
        for day in days
    )
    planned, _ = plan(replace(inputs, policy=replace(inputs.policy, freezes=freezes)))
    assert split == ["c0"]
    assert terms(planned) == [(0, 0), (3, 3)]


@pytest.mark.usefixtures("is_large")
def test_lateness_that_nothing_avoids_asks_for_all_ways_of_that_cluster_alone(split: list[str]) -> None:
    inputs = make_inputs([2, 2], [2, 2], nodes_out=8, deadline=6)
    freezes = tuple(replace(b.make_freeze("c1", *_bounds(day)), id=FreezeId(f"c1-{day}")) for day in (5, 6))
    planned, _ = plan(replace(inputs, policy=replace(inputs.policy, freezes=freezes)))
    assert split == ["c1"]
    assert terms(planned) == [(4, 4), (2, 2)]


def _bounds(day: int) -> tuple[datetime, datetime]:
    start = datetime(2026, 1, day, 8, tzinfo=UTC)  # midnight in Los Angeles
    return start, start + timedelta(days=1)


@pytest.mark.timeout(300)
@settings(max_examples=12, derandomize=True, deadline=None)
@given(
    racks=st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3), min_size=1, max_size=4),
    nodes_out=st.integers(9, 14),
    deadline=st.integers(5, 7),
)
def test_first_terms_are_those_of_all_ways(racks: list[list[int]], nodes_out: int, deadline: int) -> None:
    inputs = make_inputs(*racks, nodes_out=nodes_out, deadline=deadline)
    with pytest.MonkeyPatch.context() as patch:
        whole, _ = plan(inputs)
        patch.setattr(fewest, "ALL_WAYS_MOST", 0)
        lean, _ = plan(inputs)
    assert terms(lean) == terms(whole)
