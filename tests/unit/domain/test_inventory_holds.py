"""Which changes wait for a person: a table around each limit."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.constraints import world as w

from fermata.domain.fleet import Fleet
from fermata.domain.fleet_diff import FleetDiff, diff_fleets
from fermata.domain.ids import ClusterId, CustomerId, NodeId, RackId, SourceId
from fermata.domain.inventory_holds import Circumstances, count_losses, keep_losses, weigh, why_held
from fermata.domain.inventory_reports import Loss
from fermata.domain.reasons import Code

NODES = {node.name: node for node in (w.node("alpha", index, 4) for index in range(100))}
BEFORE = Fleet(clusters={c: w.cluster(c) for c in map(ClusterId, ("alpha", "beta"))}, nodes=NODES, devices={})
SAME = replace(w.cluster("delta"), supercomputer=w.cluster("alpha").supercomputer, name=ClusterId("delta"))


def without(count: int) -> Fleet:
    return replace(BEFORE, nodes=dict(list(NODES.items())[count:]))


def elsewhere(count: int, **where: str) -> Fleet:
    moved = {name: replace(node, **where) for name, node in list(NODES.items())[:count]}  # type: ignore[arg-type]
    return replace(BEFORE, nodes={**NODES, **moved})


def codes(after: Fleet, *, before: Fleet = BEFORE, lost: int = 0, busy: frozenset[NodeId] = frozenset()) -> list[Code]:
    owned = len(before.nodes)
    facts = Circumstances(source=SourceId("s1"), owned=owned, known=owned, lost=lost, busy=busy)
    return [why.code for why in why_held(before, diff_fleets(before, after), facts)]


@pytest.mark.parametrize(
    ("gone", "lost", "held"),
    [
        (0, 0, False),
        (5, 0, False),
        (6, 0, True),
        (100, 0, True),
        (0, 50, False),
        (1, 4, False),
        (1, 5, True),
        (5, 1, True),
    ],
)
def test_more_than_five_percent_lost_within_a_day_is_held(gone: int, lost: int, *, held: bool) -> None:
    assert codes(without(gone), lost=lost) == ([Code.INVENTORY_LOSS] if held else [])


@pytest.mark.parametrize(("moved", "held"), [(5, False), (6, True)])
def test_more_than_five_percent_moved_is_held(moved: int, *, held: bool) -> None:
    assert codes(elsewhere(moved, rack="alpha-r99")) == ([Code.INVENTORY_MOVES] if held else [])


def test_other_changes_and_new_nodes_are_not_held() -> None:
    assert codes(elsewhere(100, workload="chat")) == []
    assert codes(BEFORE, before=replace(BEFORE, nodes={})) == []


@pytest.mark.parametrize("after", [without(1), elsewhere(1, rack="alpha-r99")])
def test_a_node_in_work_is_not_pulled_away(after: Fleet) -> None:
    assert codes(after, busy=frozenset({NodeId("alpha-n00")})) == [Code.INVENTORY_IN_WORK]
    assert codes(after, busy=frozenset({NodeId("alpha-n50")})) == []


def test_a_node_in_work_may_change_where_it_stands() -> None:
    assert codes(elsewhere(1, workload="chat"), busy=frozenset({NodeId("alpha-n00")})) == []


def test_a_node_that_changes_hands_is_held() -> None:
    assert codes(elsewhere(1, cluster="beta")) == [Code.INVENTORY_CUSTOMER]


def test_a_node_that_stays_with_its_supercomputer_is_not() -> None:
    both = replace(BEFORE, clusters={**BEFORE.clusters, SAME.name: SAME})
    one = replace(NODES[NodeId("alpha-n00")], cluster=SAME.name)
    assert codes(replace(both, nodes={**NODES, one.name: one}), before=both) == []


def test_a_cluster_that_changes_hands_is_held() -> None:
    sold = replace(BEFORE.clusters[ClusterId("alpha")], customer=CustomerId("meridian"))
    assert codes(replace(BEFORE, clusters={**BEFORE.clusters, sold.name: sold})) == [Code.INVENTORY_CUSTOMER]


def test_what_a_person_is_asked_about_weighs_and_nothing_else() -> None:
    def diff(after: Fleet) -> FleetDiff:
        return diff_fleets(BEFORE, after)

    gone = without(1)
    also = replace(gone, nodes={**gone.nodes, NodeId("new"): replace(w.node("alpha", 0, 4), name=NodeId("new"))})
    assert weigh(diff(gone)) == weigh(diff(also))
    assert weigh(diff(gone)) != weigh(diff(without(2)))
    assert weigh(diff(elsewhere(1, rack="a"))) != weigh(diff(elsewhere(1, rack="b")))
    assert NODES[NodeId("alpha-n00")].rack == RackId("alpha-r0")


def test_losses_are_forgotten_after_a_day() -> None:
    hour = timedelta(hours=1)
    losses = keep_losses((), w.NOW, 3)
    losses = keep_losses(losses, w.NOW + 20 * hour, 2)
    assert count_losses(losses, w.NOW + 20 * hour) == 5
    assert keep_losses(losses, w.NOW + 25 * hour, 0) == (Loss(at=w.NOW + 20 * hour, nodes=2),)
