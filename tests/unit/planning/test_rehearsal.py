"""Rehearsals follow what conducting makes of a plan: barriers, turns, fallout."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from tests.unit.planning import bench as b

from fermata.domain.campaign import Fallout
from fermata.domain.fleet import Device, DeviceScope, Node
from fermata.domain.pending import find_pending
from fermata.domain.plans import NodeApplyStep
from fermata.domain.updates import Catalogue, Duration, Impact, Isolation, IsolationBy, Requirement
from fermata.planning.cast import find_cast
from fermata.planning.dice import Minutes, Pools
from fermata.planning.rehearsal import RUNS_LEAST, RUNS_MOST, count_needed, find_enough, rehearse
from fermata.planning.sequence import lay_out_window

CLUSTER = b.make_cluster("alpha")
LEAF_FIRST = (Requirement(component="leaf_fw", min_version=b.NEW),)


def rehearsed(
    nodes: Sequence[Node], devices: Sequence[Device], catalogue: Catalogue, *, fallout: float = 0.0
) -> Minutes:
    fleet = b.make_fleet([CLUSTER], nodes, devices)
    pending = find_pending(fleet, catalogue)
    steps = lay_out_window(nodes, devices, fleet=fleet, pending=pending, catalogue=catalogue).steps
    cast = find_cast(nodes, steps, fleet=fleet, pending=pending)
    campaign = b.make_campaign(fallout=Fallout(fraction=fallout, mean_days_to_repair=2))
    back = rehearse(steps, cast, catalogue=catalogue, campaign=campaign, pools=Pools())
    return find_enough(back, len(nodes) - count_needed(len(nodes), campaign.return_threshold))


def median(back: Minutes) -> float:
    return float(np.median(back))


def wide(catalogue: Catalogue) -> Catalogue:
    """The same with drains of very different lengths."""
    return replace(catalogue, defaults=replace(catalogue.defaults, drain_minutes=Duration(p50=10, p90=40)))


def test_same_window_is_rehearsed_alike() -> None:
    catalogue = b.make_catalogue(b.make_update("nic", "nic_fw", 60, Impact.REBOOTFUL))
    nodes = b.make_nodes(CLUSTER, [10])
    first, second = (rehearsed(nodes, [], catalogue) for _ in range(2))
    assert np.array_equal(first, second)
    assert len(first) == RUNS_MOST
    assert (np.diff(first) >= 0).all()


def test_larger_windows_are_rehearsed_less_often() -> None:
    catalogue = b.make_catalogue(b.make_update("nic", "nic_fw", 60, Impact.REBOOTFUL))
    assert len(rehearsed(b.make_nodes(CLUSTER, [20] * 40), [], catalogue)) == RUNS_LEAST


def test_device_with_no_node_in_the_window_only_takes_its_team() -> None:
    leaf = b.make_update("leaf", "leaf_fw", 30, Impact.IMPACTFUL, target="leaf")
    nic = b.make_update("nic", "nic_fw", 20, Impact.REBOOTFUL)
    nodes = b.make_nodes(CLUSTER, [4] * 4)
    devices = [b.make_device("alpha", "leaf", "alpha-r1"), b.make_device("alpha", "leaf", "elsewhere")]
    fast = rehearsed(nodes, devices, b.make_catalogue(leaf, nic))
    slow = rehearsed(nodes, devices, b.make_catalogue(leaf, nic, teams={leaf.owner_team: 1}))
    assert median(fast) < median(slow)


def test_update_that_nobody_needs_any_more_takes_no_time() -> None:
    """As when a window opens without the nodes that it was planned for."""
    nic = b.make_update("nic", "nic_fw", 60, Impact.REBOOTFUL)
    host = b.make_update("os", "host_os", 30, Impact.REBOOTFUL)
    catalogue = b.make_catalogue(nic, replace(host, isolation=Isolation(by=IsolationBy.FAULT_DOMAIN, at_once=2)))
    nodes = [replace(n, versions={**n.versions, "host_os": b.OLD}) for n in b.make_nodes(CLUSTER, [4] * 2)]
    fleet = b.make_fleet([CLUSTER], nodes, [])
    steps = lay_out_window(nodes, [], fleet=fleet, pending=find_pending(fleet, catalogue), catalogue=catalogue).steps
    assert {step.update for step in steps if isinstance(step, NodeApplyStep)} == {"nic", "os"}
    done = [replace(node, versions={**node.versions, "host_os": b.NEW}) for node in nodes]
    after = b.make_fleet([CLUSTER], done, [])
    cast = find_cast(done, steps, fleet=after, pending=find_pending(after, catalogue))
    back = rehearse(steps, cast, catalogue=catalogue, campaign=b.make_campaign(), pools=Pools())
    assert median(back) < median(rehearsed(nodes, [], catalogue))


def test_wider_durations_take_longer() -> None:
    narrow, broad = (
        replace(b.make_update("nic", "nic_fw", 60, Impact.REBOOTFUL), duration_minutes=Duration(p50=60, p90=p90))
        for p90 in (70, 120)
    )
    nodes = b.make_nodes(CLUSTER, [40])
    taken = [median(rehearsed(nodes, [], b.make_catalogue(update))) for update in (narrow, broad)]
    assert taken[0] < taken[1]


def test_device_waits_for_the_slowest_drain_behind_it() -> None:
    leaf = b.make_update("leaf", "leaf_fw", 1, Impact.IMPACTFUL, target="leaf")
    nic = b.make_update("nic", "nic_fw", 20, Impact.REBOOTFUL, requires=LEAF_FIRST)
    catalogue = wide(b.make_catalogue(leaf, nic))
    nodes = b.make_nodes(CLUSTER, [4] * 10)
    per_rack = [b.make_device("alpha", "leaf", f"alpha-r{rack}") for rack in range(10)]
    shared = [b.make_device("alpha", "leaf", "alpha-su0", scope=DeviceScope.SCALABLE_UNIT)]
    alone = median(rehearsed(nodes, [b.make_device("alpha", "leaf", "elsewhere")], catalogue))
    assert alone < median(rehearsed(nodes, per_rack, catalogue)) < median(rehearsed(nodes, shared, catalogue))


def test_isolation_by_fault_domain_costs_time() -> None:
    free = b.make_update("os", "host_os", 40, Impact.REBOOTFUL)
    held = replace(free, isolation=Isolation(by=IsolationBy.FAULT_DOMAIN, at_once=2))
    nodes = b.make_nodes(CLUSTER, [8] * 5, components=("host_os",))
    taken = [median(rehearsed(nodes, [], b.make_catalogue(update))) for update in (free, held)]
    assert taken[1] > taken[0] + 2 * 40


def test_isolation_by_percent_costs_time() -> None:
    free = b.make_update("gpu", "gpu_fw", 40, Impact.REBOOTFUL)
    held = replace(free, isolation=Isolation(by=IsolationBy.PERCENT, at_once=25))
    nodes = b.make_nodes(CLUSTER, [8] * 5, components=("gpu_fw",))
    taken = [median(rehearsed(nodes, [], b.make_catalogue(update))) for update in (free, held)]
    assert taken[1] > taken[0] + 2 * 40


def test_small_window_with_fallout_may_never_have_enough_nodes_back() -> None:
    catalogue = b.make_catalogue(b.make_update("nic", "nic_fw", 20, Impact.REBOOTFUL))
    nodes = b.make_nodes(CLUSTER, [10])  # all ten are needed
    back = rehearsed(nodes, [], catalogue, fallout=0.05)
    assert 0.25 < np.isinf(back).mean() < 0.55  # 1 - 0.95 ** 10 = 0.40
    assert np.isfinite(rehearsed(nodes, [], catalogue)).all()
