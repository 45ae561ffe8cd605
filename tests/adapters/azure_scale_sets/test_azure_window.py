"""A window conducted over a scale set: the double gives and takes the nodes, a simulated fleet stands for the machines
beneath them, and forbids what no conductor may ask.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.adapters.azure_scale_sets.azure import Azure
from tests.adapters.azure_scale_sets.site import ScaleSets
from tests.simulation import small, stagehand
from tests.simulation.conftest import closed_stores

from fermata.domain.ids import DeviceId, NodeId, StepKey
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.observations import Accepted, Answer, DeviceSeen, NodeSeen, Progress, Succeeded
from fermata.domain.routing import merge_looks
from fermata.domain.run_states import RunState
from fermata.ports import AdapterPorts, Ask, Inventory, WorkloadManager

__all__ = ["closed_stores"]

NAMES = [f"c0-n{number:03d}" for number in range(8)]
OUT = "c0-n000"  # as the small fleet has it


@dataclass
class Both:
    """Each step is asked of the scale set, and what it accepts of the machines; it is over when both say so."""

    cloud: WorkloadManager
    machines: WorkloadManager

    def lock(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        return self._ask(asks, self.cloud.lock, self.machines.lock)

    def drain(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        return self._ask(asks, self.cloud.drain, self.machines.drain)

    def give_back(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        return self._ask(asks, self.cloud.give_back, self.machines.give_back)

    def release(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        return self._ask(asks, self.cloud.release, self.machines.release)

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        cloud, machines = self.cloud.observe(asks), self.machines.observe(asks)
        return {key: cloud[key] if isinstance(machines[key], Succeeded) else machines[key] for key in cloud}

    def _ask(
        self,
        asks: Sequence[Ask],
        cloud: Callable[[Sequence[Ask]], Mapping[StepKey, Answer]],
        machines: Callable[[Sequence[Ask]], Mapping[StepKey, Answer]],
    ) -> Mapping[StepKey, Answer]:
        found = cloud(asks)
        taken = [one for one in asks if isinstance(found[one.key], Accepted)]
        assert all(isinstance(one, Accepted) for one in (machines(taken) if taken else {}).values())
        return found


@dataclass
class Looks:
    """Service and lock as the scale set has them, versions as the machines report them."""

    cloud: Inventory
    machines: Inventory

    def observe_nodes(self, nodes: Sequence[NodeId]) -> Mapping[NodeId, NodeSeen]:
        cloud, machines, all_of = self.cloud.observe_nodes(nodes), self.machines.observe_nodes(nodes), frozenset[str]()
        return {name: merge_looks([(cloud[name], all_of), (machines[name], all_of)]) for name in cloud}

    def observe_devices(self, devices: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceSeen]:
        return self.machines.observe_devices(devices)


@pytest.fixture
def rig(sets: ScaleSets, azure: Azure, tmp_path: Path) -> stagehand.Rig:
    azure.add(*NAMES)
    azure.instances[OUT].power = "deallocated"
    fleet = small.fleet()
    clusters = {name: replace(one, single_placement_group=True) for name, one in fleet.clusters.items()}
    made = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=replace(fleet, clusters=clusters))
    sets.clock = made.clock
    ports: AdapterPorts = sets.ports()
    assert ports.workloads is not None
    assert ports.inventory is not None
    workloads, looks = Both(ports.workloads, made.site.workloads), Looks(ports.inventory, made.site.inventory)
    made.site = replace(made.site, workloads=workloads, inventory=looks)
    answer = azure.answer

    def proven_alone(
        method: str, path: str, query: dict[str, list[str]], body: object, headers: dict[str, str]
    ) -> object:
        """No start ever names an instance whose machine does not run what it was taken for."""
        if path.endswith("/start"):
            assert isinstance(body, dict)
            for name in body["instanceIds"]:
                assert set(made.world.nodes[NodeId(name)].versions.values()) == {"2.0"}, name
        return answer(method, path, query, body, headers)

    azure.answer = proven_alone  # type: ignore[method-assign, assignment]
    return made


def states(rig: stagehand.Rig) -> dict[str, UnitState]:
    return {op.unit: op.state for op in rig.ops() if op.kind is UnitKind.NODE}


def test_window_over_a_scale_set_brings_every_node_back_proven(rig: stagehand.Rig, azure: Azure) -> None:
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)
    found = states(rig)
    assert found.pop(OUT) is UnitState.KEPT_OUT
    assert set(found.values()) == {UnitState.RETURNED}
    powers = {name: azure.instances[name].power for name in NAMES}
    assert powers.pop(OUT) == "deallocated"
    assert set(powers.values()) == {"running"}
    assert [] not in azure.starts
    assert OUT not in {name for start in azure.starts for name in start}
    assert all(not any(azure.instances[name].protection.values()) for name in NAMES)


def test_cluster_that_has_no_room_for_all_at_once_takes_them_in_smaller_chunks(
    rig: stagehand.Rig, azure: Azure
) -> None:
    azure.room = 2
    begin = azure._begin  # noqa: SLF001 - room is made after some starts failed

    def make_room(*words: object) -> object:
        if len(azure.starts) > 6:
            azure.room = 100
        return begin(*words)  # type: ignore[arg-type]

    azure._begin = make_room  # type: ignore[method-assign, assignment]  # noqa: SLF001
    assert rig.conduct().state is RunState.FINISHED
    found = states(rig)
    assert found.pop(OUT) is UnitState.KEPT_OUT
    assert set(found.values()) == {UnitState.RETURNED}
    assert min(len(start) for start in azure.starts) < max(len(start) for start in azure.starts)


def test_instance_that_no_machine_takes_stays_held_and_is_told(rig: stagehand.Rig, azure: Azure) -> None:
    azure.bad = {"c0-n003"}
    rig.conduct(until=small.NOW + stagehand.hours(24))
    found = states(rig)
    assert found.pop("c0-n003") is UnitState.PROVEN
    assert found.pop(OUT) is UnitState.KEPT_OUT
    assert set(found.values()) == {UnitState.RETURNED}
    left = next(op for op in rig.ops() if op.unit == "c0-n003")
    assert left.tail_since is not None
    assert left.reason is not None
    assert "c0-n003 does not run within 1:00:00" in left.reason.sentence
    assert azure.instances["c0-n003"].protection["protectFromScaleIn"]
