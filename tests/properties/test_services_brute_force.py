"""On tiny fleets with services: a plan exists exactly when trying every plan and every way to share out done nodes
finds one, its lateness is the least there is, and its workload order is never better than the best of those.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import product

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.domain.fleet import Node, NodeState
from fermata.domain.ids import ServiceId
from fermata.domain.workloads import Minimum, Service, WorkloadMap
from fermata.planning.checker import check_plan
from fermata.planning.extract import write_plan
from fermata.planning.outline import compile_problem
from fermata.planning.search import NothingFound, find_plan

pytestmark = pytest.mark.timeout(300)  # every plan there is: a busy machine needs minutes

FIRST = date(2026, 1, 5)
DAYS = 3
DEADLINE = 0  # the first day
RANKS = {"idle": 0, "lab": 10, "chat": 20, "api": 30}
MOVING, LENDING = ("chat", "api"), ("idle", "lab")


@dataclass(frozen=True, kw_only=True)
class TinyNode:
    """What it carries; `done`: nothing pending; `off`: out of service."""

    service: str
    done: bool
    off: bool


@dataclass(frozen=True, kw_only=True)
class TinyCluster:
    """Each node is a rack of its own, so that a rolled cluster may go node by node."""

    nodes: tuple[TinyNode, ...]
    sku: str
    rolling: bool


@dataclass(frozen=True, kw_only=True)
class Tiny:
    """Clusters, at most `at_once` nodes out, and of each moving service the minimum and whose nodes it may use."""

    clusters: tuple[TinyCluster, ...]
    at_once: int
    minima: Mapping[str, int]
    lenders: Mapping[str, tuple[str, ...]]


@st.composite
def tiny_fleets(draw: st.DrawFn) -> Tiny:
    rarely = st.sampled_from([False] * 5 + [True])
    node = st.builds(TinyNode, service=st.sampled_from(sorted(RANKS)), done=rarely, off=rarely)
    cluster = st.builds(
        TinyCluster,
        nodes=st.lists(node, min_size=1, max_size=3).map(tuple),
        sku=st.sampled_from(["H100", "H100", "H200"]),
        rolling=st.booleans(),
    )
    clusters = draw(st.lists(cluster, min_size=1, max_size=4).map(tuple))
    counts = {name: sum(n.service == name for x in clusters for n in x.nodes) for name in MOVING}
    return Tiny(
        clusters=clusters,
        at_once=draw(st.integers(3, 9)),
        minima={name: draw(st.integers(0, counts[name])) for name in MOVING},
        lenders={name: draw(st.sampled_from([(), ("idle",), ("lab",), LENDING])) for name in MOVING},
    )


Placed = tuple[tuple[int, int], ...]  # node and day, of the nodes of one cluster that have work


def services(cluster: TinyCluster) -> Iterator[Placed]:
    """Every way to service a cluster: all at once, or each node on a day of its own choice where it may be rolled."""
    pending = [number for number, node in enumerate(cluster.nodes) if not node.done]
    for days in product(range(DAYS), repeat=len(pending)):
        if cluster.rolling or len(set(days)) <= 1:
            yield tuple(zip(pending, days, strict=True))


def is_allowed(tiny: Tiny, choice: Sequence[Placed]) -> bool:
    """Day by day: the limit, and whether done nodes can be given to services so that none is below its minimum."""
    on = {(number, node): day for number, placed in enumerate(choice) for node, day in placed}
    serving = [(x, n, node) for x, cl in enumerate(tiny.clusters) for n, node in enumerate(cl.nodes) if not node.off]
    for day in range(DAYS):
        if sum(d == day for d in on.values()) > tiny.at_once:
            return False
        lacks, skus = {}, {}
        for name in MOVING:
            own = [(x, n) for x, n, node in serving if node.service == name]
            out = sum(on.get(place) == day for place in own)
            lacks[name] = out - max(0, len(own) - tiny.minima[name]) if out else 0
            skus[name] = {tiny.clusters[x].sku for x, _ in own}
        free = [
            frozenset(
                name for name in MOVING if node.service in tiny.lenders[name] and tiny.clusters[x].sku in skus[name]
            )
            for x, n, node in serving
            if node.service in LENDING and on.get((x, n), -1) < day
        ]
        if not can_share(free, lacks):
            return False
    return True


def can_share(free: Sequence[frozenset[str]], lacks: Mapping[str, int]) -> bool:
    """Gives each free node to one of the services that may use it, in every way there is."""
    if all(lack <= 0 for lack in lacks.values()):
        return True
    if not free:
        return False
    to_nobody = can_share(free[1:], lacks)
    return to_nobody or any(can_share(free[1:], {**lacks, name: lacks[name] - 1}) for name in sorted(free[0]))


def late(choice: Sequence[Placed]) -> int:
    return sum(max(0, day - DEADLINE) for placed in choice for _, day in placed)


def wrong_turns(tiny: Tiny, choice: Sequence[Placed]) -> int:
    ranked = [
        (max(RANKS[node.service] for node in cluster.nodes), day)
        for cluster, placed in zip(tiny.clusters, choice, strict=True)
        for day in sorted({day for _, day in placed})
    ]
    return sum(a > z and first < second for (a, first), (z, second) in product(ranked, ranked))


def brute_force(tiny: Tiny) -> tuple[int, int] | None:
    choices = product(*(list(services(cluster)) for cluster in tiny.clusters))
    found = ((late(choice), wrong_turns(tiny, choice)) for choice in choices if is_allowed(tiny, choice))
    return min(found, default=None)


def planner(tiny: Tiny) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Value and bound of both terms."""
    clusters, nodes = [], list[Node]()
    for number, drawn in enumerate(tiny.clusters):
        cluster = replace(b.make_cluster(f"c{number}", rolling=drawn.rolling), sku=drawn.sku)
        clusters.append(cluster)
        for node, made in zip(drawn.nodes, b.make_nodes(cluster, [1] * len(drawn.nodes)), strict=True):
            state = NodeState.OUT_OF_SERVICE if node.off else NodeState.IN_SERVICE
            versions = {"nic_fw": b.NEW if node.done else b.OLD}
            nodes.append(replace(made, workload=node.service, state=state, versions=versions))
    inputs = b.make_inputs(
        b.make_fleet(clusters, nodes), b.make_catalogue(b.LONG_NIC), campaign(tiny), workloads=workloads(tiny)
    )
    problem = compile_problem(inputs)
    found = find_plan(problem)
    if isinstance(found, NothingFound):
        assert found.proven
        return None
    plan = write_plan(problem, found, plan_id="plan_1", hashes=b.HASHES)
    assert check_plan(inputs, plan) == ()
    lateness, order = plan.objective
    return (int(lateness.value), int(lateness.bound)), (int(order.value), int(order.bound))


def campaign(tiny: Tiny) -> c.Campaign:
    return b.make_campaign(
        first_day=FIRST,
        deadline=FIRST + timedelta(days=DEADLINE),
        extension_until=FIRST + timedelta(days=DAYS - 1),
        limits=(c.Limit(what=c.LimitKind.NODES_OUT, at_once=tiny.at_once),),
        preferences=(c.FinishByDeadline(),),
        rolling=c.Rolling(min_fraction_per_day=0.01, max_fraction_per_day=0.99),
    )


def workloads(tiny: Tiny) -> WorkloadMap:
    names = {name: ServiceId(name) for name in RANKS}
    return WorkloadMap(
        services={
            names[name]: Service(
                id=names[name],
                service_class=name,
                rank=RANKS[name],
                minimum={"US": Minimum(nodes=tiny.minima[name])} if name in MOVING else {},
                moves_to=tuple(names[lender] for lender in tiny.lenders[name]) if name in MOVING else (),
            )
            for name in RANKS
        }
    )


def alike(service: str) -> TinyCluster:
    return TinyCluster(nodes=(TinyNode(service=service, done=False, off=False),) * 2, sku="H100", rolling=False)


SHARED = Tiny(  # two services need the same two nodes, so that they go on different days
    clusters=(alike("idle"), alike("api"), alike("chat")),
    at_once=9,
    minima={"api": 2, "chat": 2},
    lenders={"api": ("idle",), "chat": ("idle",)},
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@example(SHARED)
@given(tiny_fleets())
def test_planner_agrees_with_brute_force_about_services(tiny: Tiny) -> None:
    best, found = brute_force(tiny), planner(tiny)
    assert (best is None) == (found is None)
    if best is not None and found is not None:
        (value, bound), (turns, least) = found
        assert value == bound == best[0]
        assert least <= best[1] <= turns
        assert turns > least or turns == best[1]
