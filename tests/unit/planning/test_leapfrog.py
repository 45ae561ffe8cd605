"""Services keep their minimum: they go when done nodes can carry their load, and the plan says where it stands."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.domain.fleet import Node, NodeState
from fermata.domain.ids import NodeId, ServiceId
from fermata.domain.plans import Plan
from fermata.domain.workloads import RANKS, Minimum, Service, WorkloadMap
from fermata.planning.inputs import Infeasible, PlanningInput
from fermata.planning.leapfrog import GeoServices, find_geo_services, find_shares
from fermata.planning.outline import compile_problem
from fermata.planning.service_days import share_out

IDLE, RESEARCH, CHAT, API = (ServiceId(name) for name in RANKS)


def service(name: ServiceId, *moves_to: ServiceId, **minimum: float) -> Service:
    """Of the class of its name; minima in nodes or, with a point, as a share."""
    bounds = {
        geo: Minimum(share=least) if isinstance(least, float) else Minimum(nodes=least)
        for geo, least in minimum.items()
    }
    return Service(id=name, service_class=name, rank=RANKS[name], minimum=bounds, moves_to=moves_to)


def workloads(*services: Service, **assigned: ServiceId) -> WorkloadMap:
    plain = {name: service(name) for name in (IDLE, RESEARCH, CHAT, API)}
    return WorkloadMap(services=plain | {s.id: s for s in services}, assignments={})


def world(sizes: Sequence[tuple[str, ServiceId, int]], given: WorkloadMap, **changes: Any) -> PlanningInput:
    """Clusters of one service each, by name, service and number of nodes, all in the US, none rolled."""
    clusters, nodes = [], list[Node]()
    for name, carried, size in sizes:
        cluster = b.make_cluster(name)
        clusters.append(cluster)
        nodes.extend(replace(node, workload=carried) for node in b.make_nodes(cluster, [size]))
    campaign = b.make_campaign(**{"preferences": (c.FinishByDeadline(),), **changes})
    return b.make_inputs(b.make_fleet(clusters, nodes), b.make_catalogue(b.LONG_NIC), campaign, workloads=given)


def days(plan: Plan) -> dict[str, int]:
    """The day of January on which each cluster goes."""
    return {window.cluster: window.start.day for window in plan.windows}


TWO = [("serving", API, 6), ("spare", IDLE, 4), ("also", API, 4)]


def test_a_service_at_its_minimum_goes_only_after_nodes_that_can_carry_it() -> None:
    plan = b.planned(world(TWO, workloads(service(API, IDLE, US=8))))
    on = days(plan)
    assert on["spare"] < on["serving"]
    (line,) = [line for line in plan.services if line.service == API and line.out == 6]
    assert (line.nodes, line.lent, line.remaining, line.minimum) == (10, 4, 8, 8)
    (move,) = line.moves
    assert (move.from_cluster, move.to_cluster, move.lender, move.nodes) == ("serving", "spare", IDLE, 4)


def test_without_leapfrogging_there_is_no_such_plan_and_lowering_the_minimum_is_offered() -> None:
    outcome = b.plan(world(TWO, workloads(service(API, US=8))))
    assert isinstance(outcome, Infeasible)
    assert [clash.rule for clash in outcome.clashes] == ["minimum of api in US"]
    assert [found.sentence for found in outcome.relaxations] == ["Lower the minimum of api in US from 8 to 4 nodes."]


def test_without_a_map_nothing_changes_and_nothing_is_stated() -> None:
    given = world(TWO, workloads(service(API, IDLE, US=8)))
    plan = b.planned(replace(given, workloads=None))
    assert plan.services == ()
    assert [term.term for term in plan.objective] == ["finish_by_deadline"]


def test_idle_goes_before_research_before_chat_before_api_where_nothing_stronger_asks() -> None:
    sizes = [("a", API, 2), ("b", CHAT, 2), ("c", RESEARCH, 2), ("d", IDLE, 2)]
    one_a_day = (c.Limit(what=c.LimitKind.CLUSTER_WINDOWS, at_once=1),)
    plan = b.planned(world(sizes, workloads(), limits=one_a_day, deadline=date(2026, 1, 8)))
    assert sorted(days(plan), key=days(plan).__getitem__) == ["d", "c", "b", "a"]
    term = plan.objective[-1]
    assert (term.term, term.value, term.bound) == ("workload_order", 0, 0)


def test_the_workload_order_stands_where_the_campaign_asks_for_it() -> None:
    sizes = [("a", API, 2), ("d", IDLE, 2)]
    asked = (c.WorkloadOrder(), c.FinishByDeadline())
    plan = b.planned(world(sizes, workloads(), preferences=asked))
    assert [term.term for term in plan.objective] == ["workload_order", "finish_by_deadline"]


def test_two_services_do_not_stand_on_the_same_node() -> None:
    sizes = [("a", API, 3), ("b", CHAT, 3), ("spare", IDLE, 3)]
    both = workloads(service(API, IDLE, US=3), service(CHAT, IDLE, US=3))
    plan = b.planned(world(sizes, both, deadline=date(2026, 1, 8)))
    on = days(plan)
    assert on["spare"] < min(on["a"], on["b"])
    assert on["a"] != on["b"]


def test_what_has_nothing_pending_carries_load_from_the_first_day() -> None:
    given = world([("a", API, 3), ("spare", IDLE, 3)], workloads(service(API, IDLE, US=3)))
    nodes = {
        name: replace(node, versions={"nic_fw": b.NEW}) if node.cluster == "spare" else node
        for name, node in given.fleet.nodes.items()
    }
    plan = b.planned(replace(given, fleet=replace(given.fleet, nodes=nodes)))
    assert days(plan) == {"a": 5}
    assert plan.services[0].lent == 3


@pytest.mark.parametrize("change", ["geo", "sku", "state"])
def test_nodes_elsewhere_of_another_kind_or_out_of_service_carry_nothing(change: str) -> None:
    given = world([("a", API, 3), ("spare", IDLE, 3)], workloads(service(API, IDLE, US=3)))
    fleet = given.fleet
    if change == "state":
        out = {
            n: replace(x, state=NodeState.OUT_OF_SERVICE) if x.cluster == "spare" else x for n, x in fleet.nodes.items()
        }
        fleet = replace(fleet, nodes=out)
    else:
        moved = {n: replace(x, **{change: "other"}) if n == "spare" else x for n, x in fleet.clusters.items()}
        fleet = replace(fleet, clusters=moved)
    assert isinstance(b.plan(replace(given, fleet=fleet)), Infeasible)


def test_parts_of_one_cluster_carry_load_of_its_later_parts() -> None:
    cluster = b.make_cluster("mixed", rolling=True)
    nodes = b.make_nodes(cluster, [2, 2, 2])
    carried = {node.name: IDLE if node.rack.endswith("r0") else API for node in nodes}
    given = replace(workloads(service(API, IDLE, US=4)), assignments=carried)
    campaign = b.make_campaign(preferences=(c.FewestWindows(),))
    inputs = b.make_inputs(b.make_fleet([cluster], nodes), b.make_catalogue(b.LONG_NIC), campaign, workloads=given)
    plan = b.planned(inputs)
    assert [carried[NodeId(window.nodes[0])] for window in plan.windows] == [IDLE, API, API]


def geo(lacks: dict[str, int], kinds: dict[str, str], stock: dict[str, int]) -> tuple[GeoServices, dict[Any, Any]]:
    """Services that lack all of what they have out, each with the kinds (letters) that it may use."""
    built = GeoServices(
        geo="US",
        totals={ServiceId(name): lack for name, lack in lacks.items()},
        minima={ServiceId(name): lack for name, lack in lacks.items()},
        kinds={ServiceId(name): frozenset((ServiceId(kind), "H100") for kind in kinds[name]) for name in lacks},
        done={},
    )
    return built, {(ServiceId(kind), "H100"): {"here": nodes} for kind, nodes in stock.items()}


@pytest.mark.parametrize(
    ("lacks", "kinds", "stock"),
    [
        ({"a": 2}, {"a": "x"}, {"x": 5}),
        ({"a": 2, "b": 2}, {"a": "xy", "b": "x"}, {"x": 2, "y": 2}),
        ({"a": 3, "b": 3, "c": 3}, {"a": "xy", "b": "yz", "c": "x"}, {"x": 4, "y": 2, "z": 3}),
        ({"a": 1, "b": 4, "c": 2}, {"a": "xyz", "b": "xy", "c": "x"}, {"x": 3, "y": 3, "z": 1}),
    ],
)
def test_what_services_lack_is_shared_out_whole(lacks: Any, kinds: Any, stock: Any) -> None:
    here, done = geo(lacks, kinds, stock)
    flow = share_out(here, here.totals, done)
    assert {name: sum(given.values()) for name, given in flow.items()} == lacks
    for kind, clusters in done.items():
        assert sum(given.get(kind, 0) for given in flow.values()) <= sum(clusters.values())


def test_services_that_share_no_lender_are_bound_one_by_one() -> None:
    sizes = [("a", API, 3), ("b", CHAT, 3), ("spare", IDLE, 3), ("lab", RESEARCH, 3)]
    apart = world(sizes, workloads(service(API, IDLE, US=3), service(CHAT, RESEARCH, US=0.5)))
    together = world(sizes, workloads(service(API, IDLE, US=3), service(CHAT, IDLE, RESEARCH, US=0.5)))
    names = []
    for inputs in (apart, together):
        pending = compile_problem(inputs).scope.pending
        names.append([share.name for here in find_geo_services(inputs, pending) for share in find_shares(here)])
    assert names == [["api in US", "chat in US"], ["api in US", "chat in US", "api and chat in US"]]
