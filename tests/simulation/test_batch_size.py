"""A window in which one update keeps failing: fewer and fewer nodes are exposed to it, and the rest is let be."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tests.simulation import small, stagehand

from fermata.domain.node_states import UnitState
from fermata.domain.reasons import Code
from fermata.domain.run_states import RunState
from fermata.domain.updates import Isolation
from fermata.sim.fates import NO_FAULTS


class Exposure:
    """How many nodes write the update at once, and what was known of it then."""

    def __init__(self, update: str) -> None:
        self.step = f"apply:{update}"
        self.rig: stagehand.Rig | None = None
        self.seen: list[tuple[int, int]] = []  # failed tries, nodes that write
        self.waited = 0

    def __call__(self, point: str) -> None:
        if point != "intended" or self.rig is None:
            return
        ops = self.rig.ops()
        failed = sum(op.retries.get(self.step, 0) for op in ops)
        self.seen.append((failed, sum(op.state is UnitState.APPLYING and op.step == self.step for op in ops)))
        self.waited += sum(op.reason is not None and op.reason.code is Code.WAITS_FOR_PACE for op in ops)


def failing(tmp_path: Path, fails: float) -> tuple[stagehand.Rig, Exposure]:
    """32 nodes without isolation; every write fails with that chance."""
    updates = small.catalogue()
    loose = {name: replace(update, isolation=Isolation()) for name, update in updates.updates.items()}
    updates = replace(updates, updates=loose)
    found, campaign = small.fleet(nodes=32), small.campaign()
    made = small.plan(found, updates, campaign)
    url = stagehand.fresh_sqlite(tmp_path)
    faults = replace(NO_FAULTS, fails=fails, mean_days_to_repair=0.05)
    rig = stagehand.set_up(url, tmp_path, fleet=found, catalogue=updates, campaign=campaign, plan=made, faults=faults)
    exposure = Exposure("bmc")
    exposure.rig = rig
    return rig, exposure


def test_a_failing_update_is_written_on_fewer_nodes_at_once(tmp_path: Path) -> None:
    rig, exposure = failing(tmp_path, fails=0.6)
    rig.conduct(until=small.START + timedelta(hours=8), crash=exposure)
    first = max(writing for failed, writing in exposure.seen if failed == 0)
    later = [writing for failed, writing in exposure.seen if failed > 20]
    assert first > 12
    assert later
    assert max(later) <= 4
    assert exposure.waited > 0


def test_restart_does_not_forget_the_failures(tmp_path: Path) -> None:
    rig, exposure = failing(tmp_path, fails=0.6)
    rig.conduct(until=small.START + timedelta(hours=2), crash=exposure)
    rig.restart()
    exposure.seen.clear()
    rig.conduct(until=small.START + timedelta(hours=6), crash=exposure)
    assert exposure.seen
    assert max(writing for failed, writing in exposure.seen if failed > 20) <= 4


def test_without_a_failure_nobody_waits_for_it(tmp_path: Path) -> None:
    rig, exposure = failing(tmp_path, fails=0.0)
    assert rig.conduct(crash=exposure).state is RunState.FINISHED
    assert exposure.waited == 0
    assert max(writing for _, writing in exposure.seen) > 20
