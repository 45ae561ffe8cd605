"""Windows as the planner lays them out, conducted: nodes are written beside their switches, unless a rule says not."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.simulation import small, stagehand

from fermata.domain.hashing import content_sha256, fleet_sha256
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.plans import DeviceApplyStep, InputHashes, NodeApplyStep, Plan
from fermata.domain.run_states import RunState
from fermata.domain.updates import Catalogue
from fermata.planning.inputs import Planned, PlanningInput
from fermata.planning.planner import plan_campaign
from fermata.sim.fates import NO_FAULTS, Faults
from fermata.sim.machines import Step

HARSH = Faults(
    fails=0.05,
    hangs=0.02,
    false_done=0.05,
    slow_drain=0.2,
    unhealthy=0.05,
    device_fails=0.1,
    lost=0.02,
    busy=0.02,
    fallout=0.05,
    mean_days_to_repair=0.1,
)


def catalogue() -> Catalogue:
    """As `small`, and BMC firmware that must not be written while the top-of-rack switch restarts."""
    found = small.catalogue()
    bmc = replace(found.updates[small.UpdateId("bmc")], conflicts_with=(small.UpdateId("tor"),))
    return replace(found, updates={**found.updates, bmc.id: bmc})


def plan(fleet: small.Fleet, updates: Catalogue) -> Plan:
    of = small.campaign()
    inputs = PlanningInput(
        fleet=fleet,
        catalogue=updates,
        policy=small.policy(),
        campaign=of,
        ledger=(small.approval(updates),),
        now=small.NOW,
    )
    hashes = InputHashes(
        fleet=fleet_sha256(fleet),
        updates=content_sha256(updates),
        policy=content_sha256(small.policy()),
        campaign=content_sha256(of),
    )
    outcome = plan_campaign(inputs, new_plan_id="plan_small", hashes=hashes)
    assert isinstance(outcome, Planned)
    return outcome.plan


def rig(tmp_path: Path, *, faults: Faults = NO_FAULTS, seed: int = 1, nodes: int = 16) -> stagehand.Rig:
    fleet, updates = small.fleet(clusters=2, nodes=nodes), catalogue()
    made = plan(fleet, updates)
    url = stagehand.fresh_sqlite(tmp_path)
    return stagehand.set_up(url, tmp_path, fleet=fleet, catalogue=updates, plan=made, faults=replace(faults), seed=seed)


def writes(of: stagehand.Rig, update: str) -> list[Step]:
    return [step for step in of.world.steps.values() if step.op == "apply" and step.update == update]


def meet(of: stagehand.Rig, on_nodes: str, on_devices: str) -> bool:
    """True when one update was written on a node while the other was on a device that it hangs on."""
    behind = {
        step.unit: {
            node.name for node in of.world.fleet.nodes_behind(of.world.fleet.devices[small.DeviceId(step.unit)])
        }
        for step in writes(of, on_devices)
    }
    return any(
        node.unit in behind[device.unit]
        and device.at < (node.ends_at or device.at)
        and node.at < (device.ends_at or node.at)
        for device in writes(of, on_devices)
        for node in writes(of, on_nodes)
    )


def test_plan_lays_writes_beside_devices_that_nothing_ties_them_to(tmp_path: Path) -> None:
    steps = rig(tmp_path).plan.windows[0].steps
    leaf = next(s for s in steps if isinstance(s, DeviceApplyStep) and s.update == "leaf")
    tor = next(s for s in steps if isinstance(s, DeviceApplyStep) and s.update == "tor")
    gpu = [s for s in steps if isinstance(s, NodeApplyStep) and s.update == "gpu"]
    bmc = [s for s in steps if isinstance(s, NodeApplyStep) and s.update == "bmc"]
    assert any(s.start < leaf.end and leaf.start < s.end for s in gpu)
    assert all(s.end <= tor.start or tor.end <= s.start for s in bmc)


def test_conductor_writes_nodes_while_their_switches_are_written(tmp_path: Path) -> None:
    conducted = rig(tmp_path)
    assert conducted.conduct().state is RunState.FINISHED
    assert meet(conducted, "gpu", "leaf")
    assert not meet(conducted, "bmc", "tor")
    assert not meet(conducted, "nic", "leaf")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_goes_wrong_conflicts_never_meet_and_everybody_returns_proven(tmp_path: Path, seed: int) -> None:
    conducted = rig(tmp_path, faults=HARSH, seed=seed)
    assert conducted.conduct().state is RunState.FINISHED  # the simulated fleet breaks off whatever no one may ask
    assert not meet(conducted, "bmc", "tor"), f"seed {seed}"
    returned = [op.unit for op in conducted.ops() if op.kind is UnitKind.NODE and op.state is UnitState.RETURNED]
    for name in returned:
        machine = conducted.world.nodes[small.NodeId(name)]
        machine.settle(conducted.clock.now())
        assert set(machine.versions.values()) == {"2.0"}, f"seed {seed}: {name}"
