"""Many seeds with every fault, and what must hold at every instant of each."""

from collections import Counter, defaultdict
from pathlib import Path

import pytest
from tests.simulation import small, stagehand

from fermata.domain.campaign import Limit, LimitKind
from fermata.domain.node_states import EMPTY, UnitKind, UnitState
from fermata.domain.run_states import RunState
from fermata.sim.fates import Faults

SEEDS = range(8)
HARSH = Faults(
    fails=0.05, hangs=0.02, false_done=0.03, slow_drain=0.1, unhealthy=0.03, device_fails=0.1, lost=0.02, busy=0.02,
    fallout=0.1, mean_days_to_repair=0.3,
)  # fmt: skip
TEAM_LIMIT = 16  # both windows at once fill it; one that overruns into the next two makes them wait
LIMIT = 28


class Watcher:
    """Looks at the rows and the world at every point the conductor passes."""

    def __init__(self) -> None:
        self.rig: stagehand.Rig | None = None
        self.looks = 0
        self.at_once = 0

    def __call__(self, point: str) -> None:
        if point != "recorded" or self.rig is None:
            return
        self.looks += 1
        ops = self.rig.ops()
        self._limits(ops)
        self._isolation(ops)
        self._devices(ops)

    def _limits(self, ops: tuple[stagehand.UnitOp, ...]) -> None:
        out = [op for op in ops if op.kind is UnitKind.NODE and op.state in small.OUT]
        assert len(out) <= LIMIT
        self.at_once = max(self.at_once, len(out))
        hosts = [op for op in ops if op.state is UnitState.APPLYING and op.kind is UnitKind.NODE]
        assert len(hosts) <= TEAM_LIMIT

    def _isolation(self, ops: tuple[stagehand.UnitOp, ...]) -> None:
        domains: dict[str, set[str]] = defaultdict(set)
        gpu: Counter[str] = Counter()
        for op in ops:
            if op.state is UnitState.APPLYING and op.step == "apply:os":
                domains[op.window].add(op.fault_domain)
            if op.state is UnitState.APPLYING and op.step == "apply:gpu":
                gpu[op.window] += 1
        assert all(len(found) <= 2 for found in domains.values())
        assert all(count <= 4 for count in gpu.values())

    def _devices(self, ops: tuple[stagehand.UnitOp, ...]) -> None:
        rig = self.rig
        assert rig is not None
        by_name = {op.unit: op for op in ops}
        with rig.database.read() as conn:
            fleet = stagehand.plans.load_fleet_snapshot(conn, rig.plan.inputs.fleet)
        for op in ops:
            if op.kind is UnitKind.DEVICE and op.state is UnitState.APPLYING and op.step != "apply:manager":
                behind = fleet.nodes_behind(fleet.devices[small.DeviceId(op.unit)])
                assert all(by_name[node.name].state in EMPTY for node in behind)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", SEEDS)
def test_no_limit_is_ever_passed_and_nobody_returns_unproven(tmp_path: Path, seed: int) -> None:
    url = stagehand.fresh_sqlite(tmp_path)
    campaign = small.campaign(
        Limit(what=LimitKind.NODES_OUT, at_once=LIMIT), Limit(what=LimitKind.CLUSTER_WINDOWS, at_once=4)
    )
    updates = small.catalogue(team_limit=TEAM_LIMIT)
    found = small.fleet(clusters=4)
    second = small.plan(small.fleet(), updates, campaign).windows[0].end
    starts = [small.START, small.START, second, second]
    made = small.plan(found, updates, campaign, starts)
    rig = stagehand.set_up(
        url, tmp_path, fleet=found, catalogue=updates, campaign=campaign, plan=made, faults=HARSH, seed=seed
    )
    watcher = Watcher()
    watcher.rig = rig
    run = rig.conduct(crash=watcher)
    assert run.state is RunState.FINISHED, f"seed {seed}"
    assert watcher.looks > 50
    assert watcher.at_once >= 16
    assert len({op.cluster for op in rig.ops()}) >= 3, f"seed {seed}"
    finished = {op.unit: op for op in rig.ops()}
    for name, machine in rig.world.nodes.items():
        machine.settle(rig.clock.now())
        if name in finished and finished[name].state is UnitState.RETURNED:
            assert set(machine.versions.values()) == {"2.0"}, f"seed {seed}: {name}"
