"""A small campaign conducted on the simulated fleet: what an operator may rely on."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand

from fermata.domain.campaign import Limit, LimitKind
from fermata.domain.ids import SourceId
from fermata.domain.inventory_reports import SourceState
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.policy import Freeze, PolicyRule, Scope, ScopeLevel, Stance, Verdict
from fermata.domain.reasons import Code
from fermata.domain.recurrence import RecurringWindow
from fermata.domain.run_states import RunState, WindowState
from fermata.domain.sources import SourceKind
from fermata.services import runs as services
from fermata.sim.fates import NO_FAULTS
from fermata.store import consent, inventory, inventory_sources, journal, runs
from fermata.store.bulk import update_rows

pytestmark = pytest.mark.databases("sqlite")

HOUR = timedelta(hours=1)


def windows(rig: stagehand.Rig) -> dict[str, small.WindowRun]:
    with rig.database.read() as conn:
        return {row.window: row for row in runs.load_windows(conn, rig.run)}


def states(rig: stagehand.Rig, kind: UnitKind = UnitKind.NODE) -> dict[str, UnitState]:
    return {op.unit: op.state for op in rig.ops() if op.kind is kind}


@pytest.mark.databases("sqlite", "postgresql")
def test_every_node_returns_proven_and_the_run_finishes(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)
    found = states(rig)
    assert found.pop("c0-n000") is UnitState.KEPT_OUT
    assert set(found.values()) == {UnitState.RETURNED}
    assert set(states(rig, UnitKind.DEVICE).values()) == {UnitState.PROVEN}


def test_node_found_out_of_service_is_updated_and_left_out_of_service(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    rig.conduct()
    machine = rig.world.nodes[small.NodeId("c0-n000")]
    assert not machine.in_service
    assert not machine.locked
    assert set(machine.versions.values()) == {"2.0"}


def test_proven_versions_are_recorded_in_the_inventory(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    rig.conduct()
    with rig.database.read() as conn:
        fleet = inventory.load_fleet(conn)
    assert all(set(node.versions.values()) == {"2.0"} for node in fleet.nodes.values())
    assert {device.version for device in fleet.devices.values()} == {"2.0"}


def test_node_without_consent_is_left_out_with_all_behind_its_devices(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path, fleet=small.fleet(nodes=16))
    withdrawn = small.approval(
        small.catalogue(), Verdict.WITHDRAWN, seq=2, scope=Scope(level=ScopeLevel.NODE, name="c0-n001")
    )
    with rig.database.begin() as conn:
        consent.append_entry(conn, withdrawn)
    rig.conduct()
    assert set(states(rig)) == {f"c0-n{i:03d}" for i in range(8, 16)}
    left_out = {left.reason.code: left.nodes for left in windows(rig)["win-c0"].left_out}
    assert left_out[Code.APPROVAL_WITHDRAWN] == ("c0-n001",)
    untouched = [rig.world.nodes[small.NodeId(f"c0-n{i:03d}")] for i in range(8)]
    assert all(machine.in_service or machine.name == "c0-n000" for machine in untouched)
    assert not any(machine.targets for machine in untouched)


def test_freeze_added_after_the_plan_keeps_the_cluster_untouched(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    scope = Scope(level=ScopeLevel.CLUSTER, name="c0")
    freeze = Freeze(
        id=small.FreezeId("frz"),
        customer=small.CUSTOMER,
        scope=scope,
        start=small.START + HOUR,
        end=small.START + 2 * HOUR,
        reason="training run",
    )
    with rig.database.begin() as conn:
        consent.add_freeze(conn, freeze)
    rig.conduct()
    row = windows(rig)["win-c0"]
    assert row.state is WindowState.SKIPPED
    assert {left.reason.code for left in row.left_out} == {Code.FROZEN}
    assert not rig.world.steps


def test_nodes_whose_inventory_is_stale_are_left_out(store_url: str, tmp_path: Path) -> None:
    """One of two sources was last heard too long ago: what is behind a device with its nodes waits too."""
    rig = stagehand.set_up(store_url, tmp_path, fleet=small.fleet(nodes=16))
    with rig.database.begin() as conn:
        for name, hours, first in (("old", 3, 0), ("new", 1, 8)):
            stale_after = timedelta(hours=2)
            heard = small.START - hours * HOUR
            state = SourceState(
                id=SourceId(name), kind=SourceKind.SLURM, stale_after=stale_after, tried_at=heard, observed_at=heard
            )
            inventory_sources.save_source(conn, state)
            rows = [{"name": f"c0-n{i:03d}", "source": name} for i in range(first, first + 8)]
            update_rows(conn, inventory.node, rows)
    rig.conduct()
    assert set(states(rig)) == {f"c0-n{i:03d}" for i in range(8, 16)}
    left_out = {left.reason.code: left.nodes for left in windows(rig)["win-c0"].left_out}
    assert left_out == {Code.INVENTORY_STALE: tuple(f"c0-n{i:03d}" for i in range(8))}


@pytest.mark.parametrize(("short_by", "left_out"), [(timedelta(0), set()), (HOUR / 2, {Code.OUTSIDE_WINDOWS})])
def test_unapproved_nodes_go_only_if_the_policy_allows_all_of_the_windows_time(
    store_url: str, tmp_path: Path, short_by: timedelta, left_out: set[Code]
) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    length = rig.plan.windows[0].end - rig.plan.windows[0].start - short_by
    today = RecurringWindow(id="today", start=small.START.replace(tzinfo=None), duration=length, zone="Etc/UTC")
    rule = PolicyRule(id="by itself", stance=Stance.ALLOW_IN_WINDOWS)
    customer = replace(small.policy().customers[small.CUSTOMER], rules=(rule,), windows=(today,))
    withdrawn = small.approval(small.catalogue(), Verdict.WITHDRAWN, seq=2)
    with rig.database.begin() as conn:
        inventory.save_policy(conn, replace(small.policy(), customers={small.CUSTOMER: customer}))
        consent.append_entry(conn, withdrawn)
    rig.conduct()
    row = windows(rig)["win-c0"]
    assert {left.reason.code for left in row.left_out} == left_out
    assert row.state is (WindowState.SKIPPED if left_out else WindowState.CLOSED)
    assert bool(rig.world.steps) is not bool(left_out)


def one_after_the_other(
    store_url: str, tmp_path: Path, slow_factor: float, *, open_confidence: float = 0.0
) -> stagehand.Rig:
    """Two windows that only fit one after the other, and drains that take `slow_factor` times as long as usual."""
    campaign = replace(small.campaign(Limit(what=LimitKind.NODES_OUT, at_once=12)), open_confidence=open_confidence)
    found, updates = small.fleet(clusters=2), small.catalogue()
    first = small.plan(small.fleet(clusters=1), updates, campaign)
    made = small.plan(found, updates, campaign, [small.START, first.windows[0].end])
    faults = replace(NO_FAULTS, slow_drain=1.0, slow_factor=slow_factor)
    return stagehand.set_up(store_url, tmp_path, fleet=found, campaign=campaign, plan=made, faults=faults)


def test_window_waits_while_an_overrunning_one_holds_its_room_and_then_opens(store_url: str, tmp_path: Path) -> None:
    rig = one_after_the_other(store_url, tmp_path, slow_factor=15.0)
    rig.conduct(until=rig.plan.windows[1].start + timedelta(minutes=1))
    waiting = windows(rig)["win-c1"]
    assert waiting.state is WindowState.WAITING
    assert waiting.reason is not None
    assert waiting.reason.code is Code.WAITS_FOR_CAPACITY
    assert rig.conduct().state is RunState.FINISHED
    opened = windows(rig)["win-c1"]
    assert opened.state is WindowState.CLOSED
    assert opened.opened_at is not None
    assert opened.opened_at > opened.planned_start
    with rig.database.read() as conn:
        assert max(sample.nodes_out for sample in runs.load_samples(conn, rig.run)) <= 12


def test_window_that_cannot_end_in_time_is_missed_and_its_nodes_stay_untouched(store_url: str, tmp_path: Path) -> None:
    rig = one_after_the_other(store_url, tmp_path, slow_factor=60.0)
    rig.conduct()
    missed = windows(rig)["win-c1"]
    assert missed.state is WindowState.MISSED
    assert missed.reason is not None
    assert missed.reason.code is Code.TOO_LATE_TODAY
    assert {op.cluster for op in rig.ops()} == {"c0"}


def told_missed(rig: stagehand.Rig) -> journal.Entry:
    with rig.database.read() as conn:
        lines = journal.read(conn, limit=10_000, subject="window:win-c1")
    (missed,) = [line for line in lines if line.event == "window.missed"]
    return missed


def test_window_that_is_unlikely_to_be_back_in_time_stays_shut_before_it_is_too_late(
    store_url: str, tmp_path: Path
) -> None:
    rig = one_after_the_other(store_url, tmp_path, slow_factor=60.0, open_confidence=0.8)
    assert rig.conduct().state is RunState.FINISHED
    missed, row = told_missed(rig), windows(rig)["win-c1"]
    assert missed.why.startswith("PROMISE_AT_RISK: win-c1 could open at ")
    assert "(overrunning: win-c0)" in missed.why
    assert missed.at + (row.planned_end - row.planned_start) < row.back_by, "its planned length would still have fitted"
    assert {op.cluster for op in rig.ops()} == {"c0"}


def test_pause_lets_running_steps_end_and_begins_nothing(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    rig.conduct(until=small.START + timedelta(minutes=40))
    services.pause(rig.database, None, now=rig.clock.now(), actor="test")
    rig.conduct(until=small.START + 3 * HOUR)
    asked = len(rig.world.steps)
    rig.conduct(until=small.START + 4 * HOUR)
    assert len(rig.world.steps) == asked
    with rig.database.read() as conn:
        run = runs.load_run(conn, rig.run)
    assert run is not None
    assert run.state is RunState.PAUSED
    services.resume(rig.database, None, now=rig.clock.now(), actor="test")
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)


def test_stop_finishes_what_is_open_and_opens_nothing_more(store_url: str, tmp_path: Path) -> None:
    found, updates, campaign = small.fleet(clusters=2), small.catalogue(), small.campaign()
    made = small.plan(found, updates, campaign, [small.START, small.START + HOUR])
    rig = stagehand.set_up(store_url, tmp_path, fleet=found, plan=made)
    rig.conduct(until=small.START + timedelta(minutes=5))
    services.stop(rig.database, None, now=rig.clock.now(), actor="test")
    assert rig.conduct().state is RunState.STOPPED
    rows = windows(rig)
    assert rows["win-c0"].state is WindowState.CLOSED
    assert rows["win-c1"].state is WindowState.CANCELLED
    assert {op.cluster for op in rig.ops()} == {"c0"}


def test_hard_stop_keeps_untouched_nodes_on_the_tail_until_the_next_day(store_url: str, tmp_path: Path) -> None:
    faults = replace(NO_FAULTS, slow_drain=1.0, slow_factor=120.0)
    rig = stagehand.set_up(store_url, tmp_path, faults=faults)
    rig.conduct(until=small.START + 12 * HOUR)
    ops = [op for op in rig.ops() if op.kind is UnitKind.NODE and op.in_service_before]
    untouched = [op for op in ops if not op.begun]
    assert untouched
    assert all(op.tail_since is not None for op in ops)
    assert {op.reason.code for op in ops if op.reason} <= {
        Code.DRAIN_SLOW,
        Code.HARD_STOP_PASSED,
        Code.WAITS_FOR_DEVICE,
    }
    writes = [step for step in rig.world.steps.values() if step.op in ("apply", "reboot")]
    assert not {op.unit for op in untouched} & {step.unit for step in writes}
    first = {step.unit: step.at for step in sorted(writes, key=lambda step: step.at, reverse=True)}
    assert all(first[op.unit] < small.START + 9 * HOUR for op in ops if op.begun)
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)


@pytest.mark.databases("sqlite", "postgresql")
def test_unreachable_node_waits_on_the_tail_and_returns_proven_after_its_repair(store_url: str, tmp_path: Path) -> None:
    faults = replace(NO_FAULTS, fallout=0.3, mean_days_to_repair=1.0)
    rig = stagehand.set_up(store_url, tmp_path, faults=faults, seed=4)
    rig.conduct(until=small.START + 8 * HOUR)
    stopped = [op for op in rig.ops() if op.state is UnitState.FAILED]
    assert stopped
    assert {op.reason.code for op in stopped if op.reason} == {Code.NODE_UNREACHABLE}
    assert all(op.tail_since is not None for op in stopped)
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)
    assert {op.state for op in rig.ops() if op.unit in {s.unit for s in stopped}} <= {
        UnitState.RETURNED,
        UnitState.KEPT_OUT,
    }


def test_false_done_is_written_again_and_never_returned_unproven(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path, faults=replace(NO_FAULTS, false_done=0.2), seed=2)
    rig.conduct(until=small.START + 24 * HOUR)
    stagehand.assert_nothing_lost(rig)
    with rig.database.read() as conn:
        events = [entry for entry in journal.read(conn, limit=10_000) if entry.event == "step.failed"]
    assert any("claimed success" in entry.why for entry in events)


def test_equal_seeds_give_equal_runs(tmp_path: Path) -> None:
    endings = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        url = stagehand.fresh_sqlite(folder)
        rig = stagehand.set_up(url, folder, faults=stagehand.Faults(), seed=7)
        rig.conduct()
        endings.append([(op.unit, op.state, op.finished_at, op.retries) for op in rig.ops()])
    assert endings[0] == endings[1]


def test_status_counts_what_is_out_and_back(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    rig.conduct(until=small.START + timedelta(minutes=30))
    half_way = services.status(rig.database)
    assert half_way.nodes_out == 8
    assert half_way.in_service == half_way.baseline_in_service - 7
    assert half_way.windows[0].working == 8
    assert half_way.limits[0].used == 8
    rig.conduct()
    done = services.status(rig.database)
    assert (done.nodes_returned, done.nodes_kept_out, done.nodes_out) == (7, 1, 0)
    assert done.in_service_share == pytest.approx(1.0)
    assert done.windows[0].behind is not None
