"""The simulated site keeps every sentence that adapters owe the conductor, and forbids what no conductor may ask."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.simulation import small

from fermata.conformance import Bench, Mishap, Op, Trial, Write, list_trials
from fermata.domain.ids import DeviceId, NodeId, StepKey, UpdateId
from fermata.domain.node_states import UnitKind
from fermata.domain.observations import (
    Accepted,
    Answer,
    Denied,
    Failed,
    Later,
    NeverAsked,
    Overtaken,
    Progress,
    Running,
    Succeeded,
    Unsure,
)
from fermata.domain.routing import PortName
from fermata.ports import CALL_SIZE_MAX, AdapterPorts, ApplyAsk, Ask, Site
from fermata.sim.clock import VirtualClock
from fermata.sim.fates import NO_FAULTS, Faults
from fermata.sim.machines import WorldBroken
from fermata.sim.site import open_site
from fermata.sim.world import open_world

HOUR = timedelta(hours=1)
NODE = "c0-n001"


WRITTEN, WRITTEN_TO_DEVICES = "gpu", "manager"
KINDS = (UnitKind.NODE, UnitKind.DEVICE)
PORTS = frozenset(PortName)
LEFT_OUT = (  # a simulated fleet has neither credentials, nor other people with holds of their own, nor connections
    "nothing secret is told",
    "what somebody else holds stays held",
    "a call that hangs ends with close",
    "notify: a busy target is left alone until it says (busy, with a time to ask again)",  # its crew is never busy
)
MISHAPS: Mapping[Mishap, Callable[[Faults], Faults]] = {
    Mishap.LOST_AFTER: lambda faults: replace(faults, lost=1.0),  # half of them before they arrive: a coin by key
    Mishap.BUSY: lambda faults: replace(faults, busy=1.0),
}


class Doctor:
    """The site's verifier, which finds those nodes unhealthy that a bench makes so: elsewhere dice say it."""

    def __init__(self, fleet: "Fleet") -> None:
        self.fleet = fleet
        self.verifier = fleet.site.verifier

    def check(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        self.fleet.found_sick |= {ask.key for ask in asks if ask.unit in self.fleet.sick}
        return self.verifier.check(asks)

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        found = self.verifier.observe(asks)
        return {
            key: Failed(at=seen.at, why="errors")
            if isinstance(seen, Succeeded) and key in self.fleet.found_sick
            else seen
            for key, seen in found.items()
        }


class Fleet:
    """A site with its own clock; its memory is a file when there is a path."""

    def __init__(self, faults: Faults = NO_FAULTS, path: Path | None = None) -> None:
        self.clock = VirtualClock(small.NOW, None)
        self.faults = faults
        self.path = path
        self.sick: set[NodeId] = set()
        self.found_sick: set[StepKey] = set()
        self.open()

    def open(self) -> Site:
        self.world = open_world(small.fleet(nodes=12), small.catalogue(), faults=self.faults, seed=1, path=self.path)
        self.site: Site = open_site(self.world, self.clock, with_jobs=True)
        return self.site

    def later(self, by: timedelta = HOUR) -> None:
        self.clock.wait_until(self.clock.now() + by, lambda: False)

    def drained(self) -> None:
        self.site.workloads.lock([ask("lock")])
        self.site.workloads.drain([ask("drain")])
        self.later()

    def ports(self) -> AdapterPorts:
        site = self.site
        return AdapterPorts(
            close=lambda: None,
            probe=lambda: {"product": "simulated fleet", "version": "1"},
            inventory=site.inventory,
            workloads=site.workloads,
            firmware=site.firmware,
            power=site.power,
            verifier=Doctor(self),
            notifier=site.notifier,
            jobs=site.jobs,
        )

    def strike(self, mishap: Mishap | None, *, reads: bool = False) -> None:
        self.world.faults = MISHAPS[mishap](NO_FAULTS) if mishap is not None else NO_FAULTS

    def count(self, op: Op, unit: str) -> int:
        if op is Op.NOTIFY:
            return list(self.world.notices.values()).count(unit)
        return sum(1 for step in self.world.steps.values() if (step.op, step.unit) == (op.value, unit))

    def reopen(self) -> AdapterPorts:
        self.open()
        return self.ports()

    def bench(self) -> Bench:
        of_nodes, of_devices = (
            Write(update=update.id, component=update.component, to_version=update.to_version)
            for update in (small.catalogue().updates[UpdateId(name)] for name in (WRITTEN, WRITTEN_TO_DEVICES))
        )
        return Bench(
            ports=self.ports(),
            clock=self.clock,
            nodes=[NodeId(f"c0-n{number:03d}") for number in (1, 2, 3)],
            wait=self.later,
            devices=[DeviceId(f"c0-r{number}-rack_manager") for number in (0, 1, 2)],
            writes=[of_nodes],
            device_writes=[of_devices],
            reopen=self.reopen,
            count_effects=self.count,
            mishaps=frozenset(MISHAPS),
            strike=self.strike,
            start_job=self.start_job,
            begins_job=self.begins_job,
            count_kept=self.count_kept,
            make_unhealthy=self.make_unhealthy,
        )

    def start_job(self, node: NodeId) -> str:
        """Time goes on until the node has one that outlasts the trial."""
        assert self.site.jobs is not None
        while True:
            for job in self.site.jobs.list_jobs([node]):
                if job.ends_at is not None and job.ends_at > self.clock.now() + 4 * HOUR:
                    return job.id
            self.later()

    def begins_job(self, node: NodeId, lasting: timedelta) -> bool:
        now = self.clock.now()
        kept = self.world.kept_free.get(node, ())
        return not any(free.stood_at(now) and free.keeps_off(now, now + lasting) for free in kept)

    def count_kept(self, run: str) -> int:
        return sum(name.startswith(f"{run}/") for name in self.world.standing)

    def make_unhealthy(self, node: NodeId, is_sick: bool) -> None:
        self.sick = self.sick - {node} | ({node} if is_sick else set())


TRIALS = [
    trial
    for trial in list_trials(PORTS, of=KINDS)
    if trial.mishap in (None, *MISHAPS) and not {str(trial), trial.sentence.text} & set(LEFT_OUT)
]


@pytest.mark.parametrize("trial", TRIALS, ids=str)
def test_the_simulated_site_conforms(trial: Trial, tmp_path: Path) -> None:
    trial.run(Fleet(path=tmp_path / "commands").bench())


def ask(step: str, attempt: int = 1, unit: str = NODE) -> Ask:
    return Ask(key=StepKey(f"run_1/win/{unit}/{step}/{attempt}"), unit=unit)


def apply_ask(name: str = "bmc", attempt: int = 1, unit: str = NODE) -> ApplyAsk:
    update = small.catalogue().updates[UpdateId(name)]
    key = StepKey(f"run_1/win/{unit}/apply:{name}/{attempt}")
    return ApplyAsk(key=key, unit=unit, update=update.id, component=update.component, to_version=update.to_version)


@pytest.fixture
def bench() -> Fleet:
    return Fleet()


def test_same_key_asked_twice_does_the_work_once(bench: Fleet) -> None:
    bench.drained()
    first = bench.site.firmware.apply([apply_ask()])
    bench.later(timedelta(minutes=1))
    assert bench.site.firmware.apply([apply_ask()]) == first
    bench.later()
    again = bench.site.firmware.apply([apply_ask()])
    assert isinstance(again[apply_ask().key], Accepted)
    assert len([step for step in bench.world.steps.values() if step.op == "apply"]) == 1


@pytest.mark.parametrize("hears", ["another call", "a look"])
def test_ask_with_an_older_generation_than_its_unit_has_heard_of_is_refused_and_does_nothing(
    bench: Fleet, hears: str
) -> None:
    """Else a process that was paused on its way to a call acts on what somebody else has let go of, or works on."""
    bench.drained()
    if hears == "a look":
        asked = replace(ask("apply:bmc"), generation=2)
        assert bench.site.firmware.observe([asked]) == {asked.key: NeverAsked()}
    else:
        bench.site.firmware.apply([replace(apply_ask("gpu"), generation=2)])
        bench.later()
    before = dict(bench.world.steps)
    for late in (replace(apply_ask(), generation=1), apply_ask()):
        assert bench.site.firmware.apply([late]) == {late.key: Overtaken()}
    assert bench.world.steps == before
    for again in (2, 3):
        assert isinstance(
            bench.site.firmware.apply([replace(apply_ask(), generation=again)])[apply_ask().key], Accepted
        )


def test_generations_of_other_units_windows_and_runs_do_not_matter(bench: Fleet) -> None:
    bench.site.workloads.lock([replace(ask("lock"), generation=9), replace(ask("lock", unit="c0-n002"), generation=1)])
    other = Ask(key=StepKey(f"run_1/win-2/{NODE}/lock/1"), unit=NODE, generation=1)
    assert isinstance(bench.site.workloads.lock([other])[other.key], Accepted)
    next_run = Ask(key=StepKey(f"run_2/win/{NODE}/lock/2"), unit=NODE, generation=1)
    assert isinstance(bench.site.workloads.lock([next_run])[next_run.key], Accepted)


def test_every_key_asked_about_is_answered_and_unknown_ones_were_never_asked(bench: Fleet) -> None:
    bench.drained()
    bench.site.firmware.apply([apply_ask()])
    found = bench.site.firmware.observe([ask("apply:bmc"), ask("apply:bmc", attempt=2)])
    assert isinstance(found[apply_ask().key], Running)
    assert found[apply_ask(attempt=2).key] == NeverAsked()
    bench.later()
    assert isinstance(bench.site.firmware.observe([ask("apply:bmc")])[apply_ask().key], Succeeded)


def test_unknown_unit_is_denied_and_the_others_of_the_call_go_on(bench: Fleet) -> None:
    answers = bench.site.workloads.lock([ask("lock"), ask("lock", unit="nobody")])
    assert isinstance(answers[ask("lock").key], Accepted)
    assert isinstance(answers[ask("lock", unit="nobody").key], Denied)


def test_unknown_units_are_absent_from_the_inventory(bench: Fleet) -> None:
    assert set(bench.site.inventory.observe_nodes([NodeId(NODE), NodeId("nobody")])) == {NODE}


def test_calls_above_the_size_limit_are_a_bug_of_the_caller(bench: Fleet) -> None:
    asks = [ask("lock", attempt) for attempt in range(CALL_SIZE_MAX + 1)]
    with pytest.raises(ValueError, match="at most"):
        bench.site.workloads.lock(asks)


def test_what_is_written_runs_only_after_the_reboot(bench: Fleet) -> None:
    bench.drained()
    bench.site.firmware.apply([apply_ask("gpu")])
    bench.later()
    assert bench.site.inventory.observe_nodes([NodeId(NODE)])[NodeId(NODE)].versions["gpu_fw"] == "1.0"
    bench.site.power.reboot([ask("reboot:1")])
    bench.later()
    assert bench.site.inventory.observe_nodes([NodeId(NODE)])[NodeId(NODE)].versions["gpu_fw"] == "2.0"


def test_lost_answers_leave_the_outcome_unknown_and_asking_again_repeats_nothing() -> None:
    bench = Fleet(replace(NO_FAULTS, lost=1.0))
    first = bench.site.workloads.lock([ask("lock")])
    assert first == {ask("lock").key: Unsure()}
    assert isinstance(bench.site.workloads.lock([ask("lock")])[ask("lock").key], Accepted)
    assert len(bench.world.steps) == 1


def test_busy_target_says_when_to_ask_again() -> None:
    bench = Fleet(replace(NO_FAULTS, busy=1.0))
    assert isinstance(bench.site.workloads.lock([ask("lock")])[ask("lock").key], Later)
    assert isinstance(bench.site.workloads.lock([ask("lock")])[ask("lock").key], Accepted)


def test_fates_do_not_depend_on_the_order_of_calls() -> None:
    names = [f"c0-n{i:03d}" for i in range(8)]
    endings: list[Mapping[StepKey, Answer]] = []
    for order in (names, names[::-1]):
        bench = Fleet(Faults())
        bench.site.workloads.lock([ask("lock", unit=name) for name in order])
        answers: dict[StepKey, Answer] = {}
        for name in order:
            answers.update(bench.site.workloads.drain([ask("drain", unit=name)]))
        endings.append(answers)
    assert endings[0] == endings[1]


FORBIDDEN: Sequence[tuple[str, Callable[[Fleet], object]]] = (
    ("write on a node that is not drained", lambda b: b.site.firmware.apply([apply_ask("gpu")])),
    ("reboot a node that is not drained", lambda b: b.site.power.reboot([ask("reboot:1")])),
    ("drain a node that is not locked", lambda b: b.site.workloads.drain([ask("drain")])),
    ("write a switch above a node in use", lambda b: b.site.firmware.apply([apply_ask("tor", unit="c0-r0-tor")])),
)


@pytest.mark.parametrize("act", [act for _, act in FORBIDDEN], ids=[name for name, _ in FORBIDDEN])
def test_simulated_world_forbids(bench: Fleet, act: Callable[[Fleet], object]) -> None:
    with pytest.raises(WorldBroken):
        act(bench)


def test_simulated_world_takes_no_node_back_whose_update_is_not_active(bench: Fleet) -> None:
    bench.drained()
    bench.site.firmware.apply([apply_ask("gpu")])
    bench.later()
    with pytest.raises(WorldBroken, match="does not run"):
        bench.site.workloads.give_back([ask("give_back")])
