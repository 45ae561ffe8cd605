"""What every adapter owes the conductor. The simulated site is the first; a real one joins by another fixture entry."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.simulation import small

from fermata.domain.ids import NodeId, StepKey, UpdateId
from fermata.domain.observations import Accepted, Answer, Denied, Later, NeverAsked, Running, Succeeded, Unsure
from fermata.ports import CALL_SIZE_MAX, ApplyAsk, Ask, Site
from fermata.sim.clock import VirtualClock
from fermata.sim.fates import NO_FAULTS, Faults
from fermata.sim.machines import WorldBroken
from fermata.sim.site import open_site
from fermata.sim.world import open_world

HOUR = timedelta(hours=1)
NODE = "c0-n001"


class Bench:
    """A site with its own clock."""

    def __init__(self, faults: Faults = NO_FAULTS) -> None:
        self.clock = VirtualClock(small.NOW, None)
        self.world = open_world(small.fleet(), small.catalogue(), faults=faults, seed=1, path=None)
        self.site: Site = open_site(self.world, self.clock)

    def later(self, by: timedelta = HOUR) -> None:
        self.clock.wait_until(self.clock.now() + by, lambda: False)

    def drained(self) -> None:
        self.site.workloads.lock([ask("lock")])
        self.site.workloads.drain([ask("drain")])
        self.later()


def ask(step: str, attempt: int = 1, unit: str = NODE) -> Ask:
    return Ask(key=StepKey(f"run_1/win/{unit}/{step}/{attempt}"), unit=unit)


def apply_ask(name: str = "bmc", attempt: int = 1, unit: str = NODE) -> ApplyAsk:
    update = small.catalogue().updates[UpdateId(name)]
    key = StepKey(f"run_1/win/{unit}/apply:{name}/{attempt}")
    return ApplyAsk(key=key, unit=unit, update=update.id, component=update.component, to_version=update.to_version)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_same_key_asked_twice_does_the_work_once(bench: Bench) -> None:
    bench.drained()
    first = bench.site.firmware.apply([apply_ask()])
    bench.later(timedelta(minutes=1))
    assert bench.site.firmware.apply([apply_ask()]) == first
    bench.later()
    again = bench.site.firmware.apply([apply_ask()])
    assert isinstance(again[apply_ask().key], Accepted)
    assert len([step for step in bench.world.steps.values() if step.op == "apply"]) == 1


def test_every_key_asked_about_is_answered_and_unknown_ones_were_never_asked(bench: Bench) -> None:
    bench.drained()
    bench.site.firmware.apply([apply_ask()])
    found = bench.site.firmware.observe([apply_ask().key, apply_ask(attempt=2).key])
    assert isinstance(found[apply_ask().key], Running)
    assert found[apply_ask(attempt=2).key] == NeverAsked()
    bench.later()
    assert isinstance(bench.site.firmware.observe([apply_ask().key])[apply_ask().key], Succeeded)


def test_unknown_unit_is_denied_and_the_others_of_the_call_go_on(bench: Bench) -> None:
    answers = bench.site.workloads.lock([ask("lock"), ask("lock", unit="nobody")])
    assert isinstance(answers[ask("lock").key], Accepted)
    assert isinstance(answers[ask("lock", unit="nobody").key], Denied)


def test_unknown_units_are_absent_from_the_inventory(bench: Bench) -> None:
    assert set(bench.site.inventory.observe_nodes([NodeId(NODE), NodeId("nobody")])) == {NODE}


def test_calls_above_the_size_limit_are_a_bug_of_the_caller(bench: Bench) -> None:
    asks = [ask("lock", attempt) for attempt in range(CALL_SIZE_MAX + 1)]
    with pytest.raises(ValueError, match="at most"):
        bench.site.workloads.lock(asks)


def test_what_is_written_runs_only_after_the_reboot(bench: Bench) -> None:
    bench.drained()
    bench.site.firmware.apply([apply_ask("gpu")])
    bench.later()
    assert bench.site.inventory.observe_nodes([NodeId(NODE)])[NodeId(NODE)].versions["gpu_fw"] == "1.0"
    bench.site.power.reboot([ask("reboot:1")])
    bench.later()
    assert bench.site.inventory.observe_nodes([NodeId(NODE)])[NodeId(NODE)].versions["gpu_fw"] == "2.0"


def test_lost_answers_leave_the_outcome_unknown_and_asking_again_repeats_nothing() -> None:
    bench = Bench(replace(NO_FAULTS, lost=1.0))
    first = bench.site.workloads.lock([ask("lock")])
    assert first == {ask("lock").key: Unsure()}
    assert isinstance(bench.site.workloads.lock([ask("lock")])[ask("lock").key], Accepted)
    assert len(bench.world.steps) == 1


def test_busy_target_says_when_to_ask_again() -> None:
    bench = Bench(replace(NO_FAULTS, busy=1.0))
    assert isinstance(bench.site.workloads.lock([ask("lock")])[ask("lock").key], Later)
    assert isinstance(bench.site.workloads.lock([ask("lock")])[ask("lock").key], Accepted)


def test_fates_do_not_depend_on_the_order_of_calls() -> None:
    names = [f"c0-n{i:03d}" for i in range(8)]
    endings: list[Mapping[StepKey, Answer]] = []
    for order in (names, names[::-1]):
        bench = Bench(Faults())
        bench.site.workloads.lock([ask("lock", unit=name) for name in order])
        answers: dict[StepKey, Answer] = {}
        for name in order:
            answers.update(bench.site.workloads.drain([ask("drain", unit=name)]))
        endings.append(answers)
    assert endings[0] == endings[1]


FORBIDDEN: Sequence[tuple[str, Callable[[Bench], object]]] = (
    ("write on a node that is not drained", lambda b: b.site.firmware.apply([apply_ask("gpu")])),
    ("reboot a node that is not drained", lambda b: b.site.power.reboot([ask("reboot:1")])),
    ("drain a node that is not locked", lambda b: b.site.workloads.drain([ask("drain")])),
    ("write a switch above a node in use", lambda b: b.site.firmware.apply([apply_ask("tor", unit="c0-r0-tor")])),
)


@pytest.mark.parametrize("act", [act for _, act in FORBIDDEN], ids=[name for name, _ in FORBIDDEN])
def test_simulated_world_forbids(bench: Bench, act: Callable[[Bench], object]) -> None:
    with pytest.raises(WorldBroken):
        act(bench)


def test_simulated_world_takes_no_node_back_whose_update_is_not_active(bench: Bench) -> None:
    bench.drained()
    bench.site.firmware.apply([apply_ask("gpu")])
    bench.later()
    with pytest.raises(WorldBroken, match="does not run"):
        bench.site.workloads.give_back([ask("give_back")])
