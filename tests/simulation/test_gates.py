"""A bad update on the simulated fleet: it is stopped, nobody else begins it, and a person has the last word."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand

from fermata.domain.gate_evidence import RateSource
from fermata.domain.gates import GateSaid, GateState, GateVerdict, GateWord, Phase
from fermata.domain.ids import OrderId, RunId, UpdateId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import Gate
from fermata.domain.phases import ControlPhase, GateTerms, Phases
from fermata.domain.policy import Said as PolicySaid
from fermata.domain.reasons import Code
from fermata.domain.run_states import RunState, WindowState
from fermata.execution.stage import set_stage
from fermata.planning.inputs import Planned, PlanningInput
from fermata.planning.planner import plan_campaign
from fermata.services import gates as services
from fermata.sim.fates import NO_FAULTS, Faults
from fermata.store import gates, journal, runs, work_orders

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.databases("sqlite"),
]  # a busy machine needs minutes for a campaign that is conducted once for many

DAY = timedelta(days=1)
SECOND = timedelta(minutes=180)  # its nodes are empty, and come to the bad update when those of the first have failed
WAITING = timedelta(hours=5)
OVER = DAY + timedelta(hours=9)  # the third window has missed its day by then
BAD_OS = replace(NO_FAULTS, bad_updates={"os": 0.6}, mean_days_to_repair=20.0)
OS = UpdateId("os")


def three_windows(url: str, folder: Path, faults: Faults = BAD_OS) -> stagehand.Rig:
    fleet, updates, campaign = small.fleet(clusters=3, nodes=16), small.catalogue(), small.campaign()
    starts = [small.START, small.START + SECOND, small.START + DAY]
    plan = small.plan(fleet, updates, campaign, starts)
    return stagehand.set_up(url, folder, fleet=fleet, plan=plan, faults=faults)


def states(rig: stagehand.Rig) -> dict[UpdateId, GateState]:
    with rig.database.read() as conn:
        return gates.load_gates(conn, rig.run)


def windows(rig: stagehand.Rig) -> dict[str, small.WindowRun]:
    with rig.database.read() as conn:
        return {row.window: row for row in runs.load_windows(conn, rig.run)}


def counts(rig: stagehand.Rig) -> dict[UpdateId, tuple[int, int, int, int]]:
    found = {name: state.evidence for name, state in states(rig).items()}
    return {name: (e.good, e.failed, e.regressed, e.open) for name, e in found.items()}


def tried(rig: stagehand.Rig, update: str) -> set[str]:
    """Units on which the world was asked to write it."""
    return {step.unit for step in rig.world.steps.values() if step.update == update}


def lines(rig: stagehand.Rig, event: str) -> list[journal.Entry]:
    with rig.database.read() as conn:
        return [entry for entry in journal.read(conn, limit=10_000) if entry.event == event]


@contextlib.contextmanager
def conducted(folder: Path, until: datetime) -> Iterator[stagehand.Rig]:
    """Three windows with a bad update, conducted once for all tests that only look at what came of it."""
    rig = three_windows(stagehand.fresh_sqlite(folder), folder)
    rig.conduct(until=until)
    yield rig
    rig.database.close()


@pytest.fixture(scope="module")
def missed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stagehand.Rig]:
    """Until the third window has missed its day."""
    with conducted(tmp_path_factory.mktemp("missed"), small.START + OVER) as rig:
        yield rig


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stagehand.Rig]:
    """Until the nodes of the second window wait for a word."""
    with conducted(tmp_path_factory.mktemp("held"), small.START + WAITING) as rig:
        yield rig


@pytest.mark.xdist_group("gates")
def test_bad_update_is_stopped_and_nobody_else_begins_it(missed: stagehand.Rig) -> None:
    rig = missed
    found = states(rig)[OS]
    assert found.judged.verdict is GateVerdict.HOLD
    assert found.evidence.failed >= 3
    assert found.base.source is RateSource.CAMPAIGN
    begun = tried(rig, "os")
    assert len(begun) == found.evidence.tried
    assert all(name.startswith("c0-") for name in begun)
    waiting = {op.unit for op in rig.ops() if op.gate is Gate.EVIDENCE}
    assert waiting == {op.unit for op in rig.ops() if op.kind is UnitKind.NODE} - begun
    assert {name for name in waiting if name.startswith("c1-")} == {f"c1-n{i:03d}" for i in range(16)}


@pytest.mark.xdist_group("gates")
def test_windows_of_a_held_update_wait_and_miss_their_day_with_the_reason(missed: stagehand.Rig) -> None:
    rig = missed
    row = windows(rig)["win-c2"]
    assert row.state is WindowState.MISSED
    assert row.reason is not None
    assert "os is stopped" in row.reason.sentence
    assert not any(op.window == "win-c2" for op in rig.ops())


@pytest.mark.xdist_group("gates")
def test_other_updates_of_the_same_nodes_are_not_blamed(held: stagehand.Rig) -> None:
    rig = held
    closed = {name for name, state in states(rig).items() if state.is_closed}
    assert closed == {OS}


@pytest.mark.xdist_group("gates")
def test_verdict_is_journalled_once_with_its_numbers(held: stagehand.Rig) -> None:
    rig = held
    (line,) = lines(rig, "gate.hold")
    assert line.subject == "update:os"
    assert line.data["failed"] >= 3
    assert line.data["base_rate"] == 0.015


def test_good_updates_with_ordinary_faults_are_never_held(store_url: str, tmp_path: Path) -> None:
    rig = three_windows(store_url, tmp_path, faults=Faults())
    assert rig.conduct().state is RunState.FINISHED
    assert {state.judged.verdict for state in states(rig).values()} == {GateVerdict.PROCEED}
    assert lines(rig, "gate.hold") == []


def test_proceed_of_an_operator_lets_the_waiting_nodes_go_on_at_once(store_url: str, tmp_path: Path) -> None:
    rig = three_windows(store_url, tmp_path)
    rig.conduct(until=small.START + WAITING)
    waiting = {op.unit for op in rig.ops() if op.gate is Gate.EVIDENCE}
    assert waiting
    word = GateSaid(word=GateWord.PROCEED, actor="operator-1", why="a loose cable", at=rig.clock.now())
    assert services.say(rig.database, rig.run, OS, word).judged.verdict is GateVerdict.PROCEED
    began = rig.clock.now()
    rig.conduct(until=began + timedelta(minutes=1))
    assert tried(rig, "os") & waiting
    (line,) = lines(rig, "gate.said")
    assert (line.actor, line.why, line.data["word"]) == ("operator-1", "a loose cable", "proceed")


@pytest.mark.databases("sqlite", "postgresql")
def test_hold_of_an_operator_keeps_every_node_from_beginning(store_url: str, tmp_path: Path) -> None:
    rig = three_windows(store_url, tmp_path, faults=NO_FAULTS)
    word = GateSaid(word=GateWord.HOLD, actor="operator-1", why="the vendor called", at=rig.clock.now())
    services.say(rig.database, rig.run, OS, word)
    rig.conduct(until=small.START + timedelta(hours=9))
    assert tried(rig, "os") == set()
    row = windows(rig)["win-c0"]
    assert row.state is WindowState.MISSED
    assert row.reason is not None
    assert "the vendor called" in row.reason.sentence


@pytest.mark.xdist_group("gates")
def test_held_nodes_say_what_they_wait_for(held: stagehand.Rig) -> None:
    rig = held
    waiting = [op for op in rig.ops() if op.gate is Gate.EVIDENCE]
    assert {op.state for op in waiting} == {UnitState.DRAINED}
    assert {op.reason.code for op in waiting if op.reason} == {Code.WAITS_AT_GATE}
    view = next(view for view in services.show_gates(rig.database, rig.run).gates if view.gate.update == OS)
    assert view.waiting == len(waiting)


def test_restart_counts_the_same_evidence_from_rows_alone(store_url: str, tmp_path: Path) -> None:
    rig = three_windows(store_url, tmp_path)
    rig.conduct(until=small.START + WAITING)
    before = counts(rig)
    rig.restart()
    word = GateSaid(word=GateWord.HOLD, actor="operator-1", why="to have it judged anew", at=rig.clock.now())
    services.say(rig.database, rig.run, OS, word)
    rig.conduct(until=rig.clock.now() + timedelta(minutes=1))
    assert counts(rig) == before
    assert before[OS] == (7, 8, 0, 0)


@pytest.mark.xdist_group("gates")
def test_failures_of_earlier_runs_are_the_base_rate_where_there_are_enough(held: stagehand.Rig) -> None:
    rig = held
    with rig.database.read() as conn:
        tried_nodes, failed_nodes = gates.count_history(conn, RunId("run_next"))
    assert tried_nodes == 32
    assert failed_nodes == states(rig)[OS].evidence.failed


def test_node_that_cannot_be_reached_within_its_bake_counts_against_what_it_was_given(
    store_url: str, tmp_path: Path
) -> None:
    rig = three_windows(store_url, tmp_path, faults=NO_FAULTS)
    rig.conduct(until=small.START + timedelta(minutes=100))
    back = next(op for op in rig.ops() if op.state is UnitState.RETURNED)
    rig.world.nodes[small.NodeId(back.unit)].gone_since = rig.clock.now()
    rig.conduct(until=rig.clock.now() + timedelta(minutes=30))
    assert {counts(rig)[name][2] for name in (UpdateId("bmc"), UpdateId("nic"), UpdateId("gpu"), OS)} == {1}
    (line,) = lines(rig, "node.regressed")
    assert (line.subject, line.why) == (f"node:{back.unit}", "cannot be reached")
    assert line.data["updates"] == ["bmc", "gpu", "nic", "os"]


def test_repair_asked_for_within_the_bake_counts_and_one_from_before_does_not(store_url: str, tmp_path: Path) -> None:
    rig = three_windows(store_url, tmp_path, faults=NO_FAULTS)
    rig.conduct(until=small.START + timedelta(minutes=100))
    back = [op for op in rig.ops() if op.state is UnitState.RETURNED][:2]
    opened = [small.NOW, rig.clock.now() + timedelta(minutes=1)]
    with rig.database.begin() as conn:
        for n, (op, at) in enumerate(zip(back, opened, strict=True)):
            order = small.work_order(op.unit, PolicySaid(actor="operator-1", at=at))
            work_orders.save_orders(conn, [replace(order, id=OrderId(f"wo_{n}"))])
    rig.conduct(until=rig.clock.now() + timedelta(minutes=30))
    assert [line.subject for line in lines(rig, "node.regressed")] == [f"node:{back[1].unit}"]
    assert counts(rig)[OS][2] == 1


def test_control_windows_go_first_and_the_others_wait_for_their_bake(store_url: str, tmp_path: Path) -> None:
    control = ControlPhase(max_fraction=0.34, gate=GateTerms(at_least=8, bake=timedelta(hours=2)))
    campaign = replace(small.campaign(), phases=Phases(control=control))
    fleet, updates = small.fleet(clusters=3, nodes=16), small.catalogue()
    starts = [small.START, small.START + timedelta(hours=1), small.START + DAY]
    plan = small.plan(fleet, updates, campaign, starts)
    rig = stagehand.set_up(store_url, tmp_path, fleet=fleet, campaign=campaign, plan=plan)
    rig.conduct(until=small.START + timedelta(hours=3))
    assert {name: row.state for name, row in windows(rig).items()} == {
        "win-c0": WindowState.CLOSED,
        "win-c1": WindowState.WAITING,
        "win-c2": WindowState.PLANNED,
    }
    assert {state.judged.reason.code for state in states(rig).values()} == {Code.GATE_BAKES, Code.GATE_UNDECIDED}
    assert tried(rig, "bmc") == {f"c0-n{i:03d}" for i in range(16)}
    rig.conduct(until=small.START + DAY + timedelta(hours=6))
    assert {state.phase for state in states(rig).values()} == {Phase.FULL}
    assert {row.state for row in windows(rig).values()} == {WindowState.CLOSED}


def planned(folder: Path, bake: timedelta) -> stagehand.Rig:
    """Twenty-one clusters from the planner itself, one of which goes first."""
    gate = GateTerms(at_least=8, bake=bake)
    of = replace(small.campaign(), phases=Phases(control=ControlPhase(max_fraction=0.05, gate=gate)))
    fleet, updates = small.fleet(clusters=21, nodes=8, out_of_service=0), small.catalogue()
    inputs = PlanningInput(
        fleet=fleet,
        catalogue=updates,
        policy=small.policy(),
        campaign=of,
        ledger=(small.approval(updates),),
        now=small.NOW - timedelta(minutes=30),
    )
    made = small.plan(fleet, updates, of)
    outcome = plan_campaign(inputs, new_plan_id=made.id, hashes=made.inputs)
    assert isinstance(outcome, Planned)
    url = stagehand.fresh_sqlite(folder)
    return stagehand.set_up(url, folder, fleet=fleet, campaign=of, plan=outcome.plan)


@pytest.mark.parametrize("bake", [timedelta(hours=1), timedelta(hours=20)])
def test_nobody_waits_at_a_gate_where_the_plan_reserved_the_control_phase(tmp_path: Path, bake: timedelta) -> None:
    rig = planned(tmp_path, bake)
    first, *others = rig.plan.windows
    assert rig.conduct().state is RunState.FINISHED
    rows = windows(rig)
    assert {row.state for row in rows.values()} == {WindowState.CLOSED}
    assert {name for name, row in rows.items() if row.opened_at != row.planned_start} == set()
    assert min(window.start for window in others) >= first.end + bake
    assert {state.phase for state in states(rig).values()} == {Phase.FULL}


def test_worker_that_holds_one_cohort_knows_the_control_windows_of_the_whole_plan(tmp_path: Path) -> None:
    rig = planned(tmp_path, timedelta(hours=1))
    first, second, *_ = rig.plan.windows
    rows = windows(rig)
    stage = set_stage(rig.database, rig.site, rig.clock, rig.run)
    assert stage.control == frozenset()
    for held in (first, second):
        stage.windows = {held.id: rows[held.id]}
        assert stage.control == {first.id}


def test_where_the_control_window_is_gone_another_goes_first(tmp_path: Path) -> None:
    rig = planned(tmp_path, timedelta(hours=1))
    first, second, *_ = rig.plan.windows
    stage = set_stage(rig.database, rig.site, rig.clock, rig.run)
    stage.windows = {WindowId(name): row for name, row in windows(rig).items()}
    assert stage.control == {first.id}
    stage.windows[first.id] = replace(stage.windows[first.id], state=WindowState.MISSED)
    assert stage.control == {second.id}
