"""The tail of conducted windows: owned at once, tried again where a rule or a person says so, timed."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.test_seeds import HARSH

from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.reasons import Code
from fermata.domain.run_states import RunState, WindowState
from fermata.domain.tail import BY_RULE, CONDUCTOR, REPAIRERS, RepairGroup, TailStep
from fermata.services import runs as verbs
from fermata.services.errors import Refusal
from fermata.services.report import make_report
from fermata.services.tail import assign, retry, show_tail
from fermata.sim.fates import NO_FAULTS
from fermata.store import journal, runs, tail

pytestmark = pytest.mark.databases("sqlite")

GONE = replace(NO_FAULTS, fallout=0.2, mean_days_to_repair=400)
SOON = small.START + timedelta(hours=6)


def set_up(url: str, folder: Path, faults: stagehand.Faults = GONE, seed: int = 1) -> stagehand.Rig:
    return stagehand.set_up(url, folder, fleet=small.fleet(nodes=16), faults=faults, seed=seed)


def events(rig: stagehand.Rig, *names: str) -> list[journal.Entry]:
    with rig.database.read() as conn:
        return list(journal.read_events(conn, names))


def failed(rig: stagehand.Rig) -> list[str]:
    return sorted(op.unit for op in rig.ops() if op.state is UnitState.FAILED)


class Steward:
    """Looks at every point at which a window closes: whoever is left is owned and has a next step."""

    def __init__(self, rig: stagehand.Rig) -> None:
        self.rig = rig
        self.closed = 0
        self.residue = 0

    def __call__(self, point: str) -> None:
        if point != "recorded":
            return
        with self.rig.database.read() as conn:
            windows = runs.load_windows(conn, self.rig.run)
            items = tail.open_items(conn, self.rig.run)
        over = {row.window for row in windows if row.state is WindowState.CLOSED}
        self.closed = max(self.closed, len(over))
        left = [op for op in self.rig.ops() if op.window in over and op.finished_at is None]
        self.residue = max(self.residue, len(left))
        entries = {entry.unit: entry for entry in show_tail(self.rig.database).tail}
        for op in left:
            assert items[op.window, op.unit].owner
            assert entries[op.unit].next_step in TailStep
            assert entries[op.unit].reason.sentence


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", range(2))
def test_no_window_closes_over_a_unit_without_owner_and_next_step(tmp_path: Path, seed: int) -> None:
    rig = stagehand.set_up(
        stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=small.fleet(clusters=2, nodes=16), faults=HARSH, seed=seed
    )
    steward = Steward(rig)
    assert rig.conduct(crash=steward).state is RunState.FINISHED
    assert (steward.closed, steward.residue > 0) == (2, True)
    assert show_tail(rig.database).tail == ()


@pytest.mark.databases("sqlite", "postgresql")
def test_node_that_hangs_is_power_cycled_once_more_by_itself_and_no_further(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path)
    rig.conduct(until=SOON)
    gone = failed(rig)
    assert len(gone) > 1
    assert sorted(line.subject for line in events(rig, "unit.tried_again")) == [f"node:{name}" for name in gone]
    assert {entry.tries for entry in show_tail(rig.database).tail} == {1}
    assert {entry.next_step for entry in show_tail(rig.database).tail} == {TailStep.REPAIR}


def test_second_try_that_helps_brings_the_node_back_without_anybody(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path, replace(GONE, revives=1.0))
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)
    assert len(events(rig, "unit.tried_again")) > 1
    assert {op.state for op in rig.ops() if op.kind is UnitKind.NODE} == {UnitState.RETURNED, UnitState.KEPT_OUT}


def test_person_may_have_it_tried_again_and_a_paused_run_waits_with_it(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path)
    rig.conduct(until=SOON)
    name = failed(rig)[0]
    entry = retry(rig.database, name, now=SOON, actor="operator-3", why="cable reseated")
    assert (entry.retry_wanted, entry.next_step) == (True, TailStep.TRY_AGAIN)
    verbs.pause(rig.database, None, now=SOON, actor="operator-3")
    rig.conduct(until=SOON + timedelta(hours=1))
    assert len(events(rig, "unit.tried_again")) == len(failed(rig))
    verbs.resume(rig.database, None, now=SOON, actor="operator-3")
    rig.conduct(until=SOON + timedelta(hours=3))
    last = events(rig, "unit.tried_again")[-1]
    assert (last.subject, last.actor, last.why) == (f"node:{name}", "operator-3", "cable reseated")
    (after,) = (entry for entry in show_tail(rig.database).tail if entry.unit == name)
    assert (after.retry_wanted, after.tries) == (False, 2)


def test_owner_is_named_by_rule_and_by_whoever_assigns(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path)
    rig.conduct(until=SOON)
    listed = show_tail(rig.database).tail
    assert {(entry.owner, entry.owned_by) for entry in listed} == {(REPAIRERS, BY_RULE)}
    name, promised = listed[0].unit, SOON + timedelta(days=1)
    assign(rig.database, name, owner="nic-team", promised_at=promised, now=SOON, actor="operator-3", why="firmware")
    (mine,) = show_tail(rig.database, owner="nic-team").tail
    assert (mine.unit, mine.owned_by, mine.promised_at, mine.next_at) == (name, "operator-3", promised, promised)
    assert name not in {entry.unit for entry in show_tail(rig.database, owner=REPAIRERS).tail}
    (line,) = events(rig, "unit.assigned")
    assert (line.subject, line.why, line.data["owner"]) == (f"node:{name}", "firmware", "nic-team")


def refused(verb: Iterable[object]) -> Code:
    with pytest.raises(Refusal) as caught:
        list(verb)
    return caught.value.reason.code


def test_what_cannot_be_is_refused_and_changes_nothing(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path)
    rig.conduct(until=SOON)
    said = {"now": SOON, "actor": "operator-3"}
    db, name = rig.database, failed(rig)[0]
    returned = next(op.unit for op in rig.ops() if op.state is UnitState.RETURNED)
    assert refused(retry(db, unit, why="x", **said) for unit in ["nobody"]) is Code.TAIL_UNKNOWN
    assert refused(retry(db, unit, why="x", **said) for unit in [returned]) is Code.TAIL_UNKNOWN
    past = (assign(db, unit, owner="x", promised_at=small.NOW, **said) for unit in [name])
    assert refused(past) is Code.TIME_PAST
    assert events(rig, "unit.assigned", "unit.retry_wanted") == []


def test_late_drain_is_the_customers_and_goes_on(store_url: str, tmp_path: Path) -> None:
    slow = replace(NO_FAULTS, slow_drain=0.3, slow_factor=400)
    rig = set_up(store_url, tmp_path, slow)
    rig.conduct(until=small.START + timedelta(hours=9))
    listed = show_tail(rig.database).tail
    draining = [entry for entry in listed if entry.state is UnitState.DRAINING]
    assert draining
    assert {entry.owner for entry in draining} == {small.CUSTOMER}
    assert {entry.next_step for entry in draining} == {TailStep.GO_ON}
    assert {entry.owner for entry in listed} <= {small.CUSTOMER, CONDUCTOR}


def test_times_to_repair_are_kept_and_open_ones_count_as_at_least(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path)
    rig.conduct(until=SOON)
    shown = {(line.group, line.name): line for line in show_tail(rig.database).repairs}
    line = shown[RepairGroup.CAUSE, "NODE_UNREACHABLE"]
    assert (line.repaired, line.open_now) == (0, len(failed(rig)))
    assert 0 < line.median_hours < 6
    assert shown[RepairGroup.CUSTOMER, "lumen"] == replace(line, group=RepairGroup.CUSTOMER, name="lumen")
    later = show_tail(rig.database, now=show_tail(rig.database).as_of + timedelta(hours=10)).repairs[0]
    assert later.median_hours == pytest.approx(line.median_hours + 10, abs=0.02)
    assert make_report(rig.database).repairs == show_tail(rig.database).repairs


def test_finished_repairs_have_their_own_time(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path, replace(GONE, mean_days_to_repair=0.5))
    rig.conduct()
    with rig.database.read() as conn:
        spells = tail.load_spells(conn, [rig.run])
    assert len(spells) > 1
    assert all(spell.ended_at is not None and spell.ended_at > spell.since for spell in spells)
    (line,) = (r for r in show_tail(rig.database).repairs if r.group is RepairGroup.SKU)
    assert (line.repaired, line.open_now) == (len(spells), 0)


def test_killed_after_a_second_try_was_decided_it_is_begun_once(tmp_path: Path) -> None:
    rig = set_up(stagehand.fresh_sqlite(tmp_path), tmp_path)
    rig.conduct(until=SOON - timedelta(hours=3))
    rig.restart()
    rig.conduct(until=SOON)
    told = [line.subject for line in events(rig, "unit.tried_again")]
    assert sorted(told) == [f"node:{name}" for name in failed(rig)]
