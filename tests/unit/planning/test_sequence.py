"""The steps of one window: order, reboots, batches, team limits, conflicts."""

from collections.abc import Sequence
from itertools import combinations, pairwise

import pytest
from tests.unit.planning import bench as b

from fermata.domain.fleet import Device, DeviceScope, Fleet, Node
from fermata.domain.pending import find_pending
from fermata.domain.plans import DeviceApplyStep, DrainStep, NodeApplyStep, RebootStep, Step, VerifyStep, batch_members
from fermata.domain.updates import Catalogue, Impact, Isolation, IsolationBy, Requirement
from fermata.planning.activation import CircularOrder
from fermata.planning.layout import lay_out_shape, put_in_line
from fermata.planning.sequence import WindowSteps, lay_out_window
from fermata.planning.shape import find_shape
from fermata.planning.work import cut_cells, find_cells, gather_work

REBOOTFUL, IMPACTFUL, IMPACTLESS = Impact.REBOOTFUL, Impact.IMPACTFUL, Impact.IMPACTLESS
STACK = (
    b.make_update("driver", "gpu_driver", 15, REBOOTFUL, after=("os",), conflicts_with=("nvl",)),
    b.make_update("os", "host_os", 40, REBOOTFUL, after=("nic",)),
    b.make_update("nic", "nic_fw", 45, REBOOTFUL, requires=(Requirement(component="leaf_fw", min_version=b.NEW),)),
    b.make_update("gpu", "gpu_fw", 15, REBOOTFUL),
    b.make_update("agent", "agent", 2, IMPACTLESS),
    b.make_update("leaf", "leaf_fw", 15, IMPACTFUL, target="leaf"),
    b.make_update("nvl", "nvl_fw", 25, IMPACTFUL, target="nvl"),
)
COMPONENTS = ("gpu_driver", "host_os", "nic_fw", "gpu_fw", "agent")


def build(racks: Sequence[int], catalogue: Catalogue, **versions: str) -> tuple[Fleet, list[Node], list[Device]]:
    cluster = b.make_cluster("alpha")
    nodes = b.make_nodes(cluster, racks, components=COMPONENTS)
    devices = [
        b.make_device("alpha", kind, f"alpha-r{rack}", version=versions.get(kind, b.OLD))
        for kind in ("leaf", "nvl")
        for rack in range(len(racks))
    ]
    return b.make_fleet([cluster], nodes, devices), nodes, devices


def lay_out(racks: Sequence[int], catalogue: Catalogue) -> WindowSteps:
    fleet, nodes, devices = build(racks, catalogue)
    return lay_out_window(nodes, devices, fleet=fleet, pending=find_pending(fleet, catalogue), catalogue=catalogue)


def of_update(steps: Sequence[Step], update: str) -> list[NodeApplyStep | DeviceApplyStep]:
    return [s for s in steps if isinstance(s, NodeApplyStep | DeviceApplyStep) and s.update == update]


def test_nic_before_os_before_driver_takes_three_reboots() -> None:
    steps = lay_out([4] * 5, b.make_catalogue(*STACK))
    reboots = [step.activates for step in steps.steps if isinstance(step, RebootStep)]
    assert reboots == [("gpu", "nic"), ("os",), ("driver",)]
    assert steps.reboots_per_node == 3


def test_updates_without_an_order_share_one_reboot() -> None:
    free = (b.make_update("nic", "nic_fw", 5, REBOOTFUL), b.make_update("gpu", "gpu_fw", 5, REBOOTFUL))
    assert lay_out([2], b.make_catalogue(*free)).reboots_per_node == 1


def test_impactless_work_needs_neither_drain_nor_reboot() -> None:
    steps = lay_out([2], b.make_catalogue(b.make_update("agent", "agent", 2, IMPACTLESS)))
    assert [step.step for step in steps.steps] == ["node_apply", "verify"]
    assert steps.reboots_per_node == 0


def test_drain_comes_first_and_verification_last() -> None:
    steps = lay_out([4] * 5, b.make_catalogue(*STACK)).steps
    assert isinstance(steps[0], DrainStep)
    assert isinstance(steps[-1], VerifyStep)
    assert all(step.start >= steps[0].end for step in steps[1:])
    assert all(step.end <= steps[-1].start for step in steps[:-1])


def test_what_an_update_requires_on_a_device_is_finished_before() -> None:
    steps = lay_out([4] * 5, b.make_catalogue(*STACK)).steps
    assert max(s.end for s in of_update(steps, "leaf")) <= min(s.start for s in of_update(steps, "nic"))


def test_device_update_after_a_node_update_waits_for_its_reboot() -> None:
    nic = b.make_update("nic", "nic_fw", 5, REBOOTFUL)
    leaf = b.make_update("leaf", "leaf_fw", 5, IMPACTFUL, target="leaf", after=("nic",))
    steps = lay_out([2, 2], b.make_catalogue(nic, leaf)).steps
    reboot = next(step for step in steps if isinstance(step, RebootStep))
    assert all(step.start >= reboot.end for step in of_update(steps, "leaf"))


def test_conflicting_updates_never_overlap() -> None:
    tor = b.make_update("leaf", "leaf_fw", 5, IMPACTFUL, target="leaf", conflicts_with=("nvl",))
    nvl = b.make_update("nvl", "nvl_fw", 5, IMPACTFUL, target="nvl")
    steps = lay_out([2, 2], b.make_catalogue(tor, nvl)).steps
    pairs = combinations([*of_update(steps, "leaf"), *of_update(steps, "nvl")], 2)
    assert all(x.end <= y.start or y.end <= x.start for x, y in pairs)


def test_device_updates_without_conflict_run_side_by_side() -> None:
    steps = lay_out([2, 2], b.make_catalogue(*STACK)).steps
    assert of_update(steps, "leaf")[0].start == of_update(steps, "nvl")[0].start


@pytest.mark.parametrize(("racks", "at_once", "sizes"), [(5, 3, [12, 8]), (5, 2, [8, 8, 4]), (5, 5, [20]), (2, 3, [8])])
def test_batches_keep_to_so_many_fault_domains(racks: int, at_once: int, sizes: list[int]) -> None:
    isolated = Isolation(by=IsolationBy.FAULT_DOMAIN, at_once=at_once)
    catalogue = b.make_catalogue(b.make_update("os", "host_os", 5, REBOOTFUL, isolation=isolated))
    fleet, nodes, devices = build([4] * racks, catalogue)
    steps = lay_out_window(nodes, devices, fleet=fleet, pending=find_pending(fleet, catalogue), catalogue=catalogue)
    found = [s.nodes for s in steps.steps if isinstance(s, NodeApplyStep)]
    assert found == sizes
    assert all(len({n.fault_domain for n in batch}) <= at_once for batch in batch_members(nodes, found))


@pytest.mark.parametrize(("nodes", "percent", "sizes"), [(10, 50, [5, 5]), (9, 50, [3, 3, 3]), (3, 10, [1, 1, 1])])
def test_batches_keep_to_a_share_of_the_window(nodes: int, percent: int, sizes: list[int]) -> None:
    isolated = Isolation(by=IsolationBy.PERCENT, at_once=percent)
    catalogue = b.make_catalogue(b.make_update("gpu", "gpu_fw", 5, REBOOTFUL, isolation=isolated))
    assert [s.nodes for s in lay_out([nodes], catalogue).steps if isinstance(s, NodeApplyStep)] == sizes


def test_batches_keep_to_what_a_team_can_carry() -> None:
    nic = b.make_update("nic", "nic_fw", 5, REBOOTFUL, owner_team="nic")
    leaf = b.make_update("leaf", "leaf_fw", 5, IMPACTFUL, target="leaf", owner_team="net")
    steps = lay_out([4] * 5, b.make_catalogue(nic, leaf, teams={"nic": 7, "net": 2})).steps
    assert [s.nodes for s in steps if isinstance(s, NodeApplyStep)] == [7, 7, 6]
    assert [len(s.devices) for s in steps if isinstance(s, DeviceApplyStep)] == [2, 2, 1]


def test_one_team_carries_two_device_updates_one_after_the_other() -> None:
    leaf = b.make_update("leaf", "leaf_fw", 5, IMPACTFUL, target="leaf", owner_team="net")
    nvl = b.make_update("nvl", "nvl_fw", 5, IMPACTFUL, target="nvl", owner_team="net")
    steps = lay_out([2, 2], b.make_catalogue(leaf, nvl, teams={"net": 3})).steps
    assert of_update(steps, "leaf")[0].end <= of_update(steps, "nvl")[0].start


def test_updates_in_a_circle_are_named() -> None:
    circle = (
        b.make_update("nic", "nic_fw", 5, REBOOTFUL, requires=(Requirement(component="gpu_fw", min_version=b.NEW),)),
        b.make_update("gpu", "gpu_fw", 5, REBOOTFUL, after=("nic",)),
    )
    with pytest.raises(CircularOrder, match="gpu, nic"):
        lay_out([2], b.make_catalogue(*circle))


def test_device_of_a_cluster_is_one_unit() -> None:
    cluster = b.make_cluster("alpha")
    nodes = b.make_nodes(cluster, [2, 2])
    leaf = b.make_device("alpha", "leaf", "alpha", scope=DeviceScope.CLUSTER)
    fleet = b.make_fleet([cluster], nodes, [leaf])
    catalogue = b.make_catalogue(b.make_update("leaf", "leaf_fw", 5, IMPACTFUL, target="leaf"), teams={"team-leaf": 1})
    steps = lay_out_window(nodes, [leaf], fleet=fleet, pending=find_pending(fleet, catalogue), catalogue=catalogue)
    assert [s.devices for s in steps.steps if isinstance(s, DeviceApplyStep)] == [("alpha-leaf",)]


TURNING = (
    *STACK[:1],
    b.make_update(
        "os",
        "host_os",
        40,
        REBOOTFUL,
        after=("nic",),
        isolation=Isolation(by=IsolationBy.FAULT_DOMAIN, at_once=3),
    ),
    STACK[2],
    b.make_update("gpu", "gpu_fw", 45, REBOOTFUL, isolation=Isolation(by=IsolationBy.PERCENT, at_once=50)),
    *STACK[4:],
)


def test_second_group_of_fault_domains_does_other_work_while_the_first_has_its_turn() -> None:
    steps = lay_out([4] * 5, b.make_catalogue(*TURNING)).steps
    first, second = of_update(steps, "os")
    assert sorted([first.nodes, second.nodes]) == [8, 12]  # type: ignore[union-attr]
    assert second.start >= first.end
    beside = [s for s in of_update(steps, "gpu") if s.start < first.end and first.start < s.end]
    assert beside
    assert all(s.end <= second.start for s in beside)


def test_work_that_fills_a_turn_keeps_to_its_own_isolation() -> None:
    steps = lay_out([4] * 5, b.make_catalogue(*TURNING)).steps
    writes = [s for s in of_update(steps, "gpu") if isinstance(s, NodeApplyStep)]
    assert sum(s.nodes for s in writes) == 20
    for step in writes:
        assert sum(s.nodes for s in writes if s.start <= step.start < s.end) <= 10


def test_work_that_another_update_waits_for_does_not_fill_a_turn() -> None:
    held = b.make_update("gpu", "gpu_fw", 45, IMPACTLESS)
    nic = b.make_update("nic", "nic_fw", 45, REBOOTFUL, after=("gpu",))
    steps = lay_out([4] * 5, b.make_catalogue(*TURNING[:2], nic, held)).steps
    assert max(s.end for s in of_update(steps, "gpu")) <= min(s.start for s in of_update(steps, "nic"))


def test_filling_a_turn_costs_no_reboot() -> None:
    plain = lay_out([4] * 5, b.make_catalogue(*STACK))
    turning = lay_out([4] * 5, b.make_catalogue(*TURNING))
    assert turning.reboots_per_node == plain.reboots_per_node == 3


def test_writes_that_no_rule_ties_to_a_device_run_beside_it() -> None:
    steps = lay_out([4] * 5, b.make_catalogue(*STACK)).steps
    leaf = of_update(steps, "leaf")[0]
    for update in ("gpu", "agent"):
        assert of_update(steps, update)[0].start < leaf.end, update


def test_write_that_conflicts_with_a_device_update_never_meets_it() -> None:
    clashing = b.make_update("agent", "agent", 20, IMPACTLESS, conflicts_with=("leaf", "nvl"))
    steps = lay_out([4] * 5, b.make_catalogue(*STACK[:4], clashing, *STACK[5:])).steps
    for write in of_update(steps, "agent"):
        for device in [*of_update(steps, "leaf"), *of_update(steps, "nvl")]:
            assert write.end <= device.start or device.end <= write.start


def test_reboots_into_the_same_updates_take_each_node_once_in_the_order_of_the_nodes() -> None:
    steps = lay_out([4] * 5, b.make_catalogue(*TURNING)).steps
    reboots: dict[tuple[str, ...], list[RebootStep]] = {}
    for step in steps:
        if isinstance(step, RebootStep):
            reboots.setdefault(step.activates, []).append(step)
    assert len(reboots) == 3
    for alike in reboots.values():
        assert sum(step.nodes for step in alike) == 20
        assert [step.start for step in alike] == sorted(step.start for step in alike)


def test_updates_are_spread_over_reboots_alike_for_all_nodes() -> None:
    steps = lay_out([4] * 5, b.make_catalogue(*TURNING)).steps
    activated = [frozenset(step.activates) for step in steps if isinstance(step, RebootStep)]
    assert sorted(update for group in set(activated) for update in group) == ["driver", "gpu", "nic", "os"]


def test_percentage_makes_halves_take_turns_with_other_work() -> None:
    half = Isolation(by=IsolationBy.PERCENT, at_once=50)
    both = (
        b.make_update("gpu", "gpu_fw", 30, REBOOTFUL, isolation=half),
        b.make_update("nic", "nic_fw", 30, REBOOTFUL),
    )
    steps = lay_out([4, 4], b.make_catalogue(*both))
    assert [s.nodes for s in of_update(steps.steps, "gpu") if isinstance(s, NodeApplyStep)] == [4, 4]
    writing = {s.start for s in steps.steps if isinstance(s, NodeApplyStep)}
    assert len(writing) == 2  # an hour of work in an hour: one half writes one update while the other writes the other


def test_equal_windows_are_laid_out_alike() -> None:
    first, second = (lay_out([4] * 5, b.make_catalogue(*TURNING)) for _ in range(2))
    assert first == second


def test_work_too_large_to_search_is_laid_out_one_after_the_other() -> None:
    fleet, nodes, devices = build([4] * 5, b.make_catalogue(*TURNING))
    catalogue = b.make_catalogue(*TURNING)
    work = gather_work(nodes, devices, fleet=fleet, pending=find_pending(fleet, catalogue), catalogue=catalogue)
    cells = find_cells(work)
    shape = find_shape(work, len(cells), cut_cells(work, cells))
    line, best = put_in_line(shape), lay_out_shape(shape)
    spans = sorted((start, start + task.minutes.told) for start, task in zip(line.tasks, shape.tasks, strict=True))
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert best.proven
    assert best.verify < line.verify
