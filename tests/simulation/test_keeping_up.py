"""Workers who share a run read what others wrote since their last look: afterwards they know what a reader of
everything knows, and one process conducts all that it has of a run in one go.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.test_kill import ROUGH
from tests.simulation.test_ownership import Wall, conduct, hire, takers

from fermata.domain.ids import UpdateId
from fermata.domain.operations import UnitOp
from fermata.domain.run_states import LIVE_RUNS, RunState
from fermata.execution import conduct as conducting
from fermata.execution import keeping_up
from fermata.execution.gating import open_book
from fermata.execution.keeping_up import REREAD_EVERY, keep_up
from fermata.execution.parts import Parts
from fermata.execution.stage import Stage
from fermata.sim.fates import NO_FAULTS
from fermata.store import leases, moved_units, runs
from fermata.store.leases import LEAD
from fermata.store.moves import newest_move


class Watch:
    """Beside every look of a worker: what it knows then, and what it would know had it read everything."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.looks = self.reads = self.read_rows = 0
        patch.setattr(conducting, "keep_up", self._keep_up)
        real = moved_units.ops_by_id

        def count(*asked: object) -> tuple[UnitOp, ...]:
            found = real(*asked)  # type: ignore[arg-type]
            self.read_rows += len(found)
            return found

        patch.setattr(keeping_up, "ops_by_id", count)

    def _keep_up(self, stage: Stage) -> None:
        keep_up(stage)
        self.looks += 1
        whole = stage.cast()
        whole.ownership.held = dict(stage.ownership.held)
        whole.reload()
        assert _rows(stage, whole) == _rows(whole, whole)
        assert {n: stage.windows[n] for n in whole.windows} == whole.windows
        assert stage.moves == whole.moves
        assert stage.device_versions == whole.device_versions
        assert (stage.handing.handed, stage.handing.windows) == (whole.handing.handed, whole.handing.windows)
        if stage.ownership.leads and stage.gates.book is not None:
            self.reads += 1
            assert _evidence(stage) == _evidence(whole)


def _rows(stage: Stage, whole: Stage) -> Mapping[str, list[UnitOp]]:
    """Of the windows in which something is left to do, as far as they are seen."""
    return {name: sorted(stage.roster.of_window(name), key=lambda op: op.id) for name in whole.windows}


def _evidence(stage: Stage) -> list[object]:
    now = stage.clock.now()
    names = sorted(stage.catalogue.updates)
    return [
        open_book(stage).evidence(UpdateId(n), bake=timedelta(hours=1), now=now, begun_at=None, since=None)
        for n in names
    ]


@pytest.mark.timeout(300)
def test_who_reads_what_is_new_knows_what_a_reader_of_everything_knows(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = stagehand.set_up(store_url, tmp_path, fleet=small.fleet(clusters=2), faults=ROUGH, seed=11)
    wall, watch = Wall(), Watch(monkeypatch)
    lead, one, two = (hire(rig, name, wall, adopts=False) for name in ("lead", "one", "two"))
    lead.take(LEAD)
    assert conduct(rig, takers(rig, {"win-c0": one, "win-c1": two}, lead)).state is RunState.FINISHED
    assert watch.looks > 100
    assert watch.reads > 50
    assert watch.read_rows < 3 * sum(op.version for op in rig.ops()), (
        "a row is read when it has changed, not at each look"
    )
    stagehand.assert_nothing_lost(rig)


def test_what_somebody_writes_without_a_number_is_read_with_everything_some_minutes_later(tmp_path: Path) -> None:
    """The release before this one knows no numbers, and its workers may still write while this one begins."""
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=small.fleet(), faults=NO_FAULTS)
    wall = Wall()
    lead, hand = hire(rig, "lead", wall, adopts=False), hire(rig, "hand", wall, adopts=False)
    lead.take(LEAD)
    rig.clock.wait_until(small.START, lambda: False)
    lead.work()
    hand.take("win-c0")
    lead.work()
    with rig.database.begin() as conn:
        before = newest_move(conn, rig.run)
        for statement in ("UPDATE unit_op SET version = version + 1, slip_minutes = 7", "UPDATE run SET moves = moves"):
            conn.exec_driver_sql(statement)
    keep_up(lead.stage)
    assert lead.stage.moves == before
    assert {op.slip_minutes for op in lead.stage.roster.working()} == {0}
    wall.at += REREAD_EVERY
    keep_up(lead.stage)
    assert {op.slip_minutes for op in lead.stage.roster.working()} == {7}


def open_parts(rig: stagehand.Rig, name: str) -> Parts:
    return Parts(database=rig.database, open_site=lambda _: rig.site, clock=rig.clock, owner=name, wall=Wall())


def test_one_process_moves_units_of_all_its_cohorts_together_and_goes_on_with_the_rest_when_it_loses_one(
    store_url: str, tmp_path: Path
) -> None:
    rig = stagehand.set_up(store_url, tmp_path, fleet=small.fleet(clusters=3), faults=NO_FAULTS)
    first, second = open_parts(rig, "first"), open_parts(rig, "second")
    assert first.take(rig.run, LEAD)
    assert not second.take(rig.run, LEAD), "the first one has it"
    now = rig.clock.now()
    together: set[frozenset[str]] = set()
    lost_at = None
    held: set[frozenset[str]] = set()
    while True:
        with rig.database.read() as conn:
            there = leases.cohorts(conn, rig.run)
        for window in there:
            first.take(rig.run, window)
        before = {op.id: op.version for op in rig.ops()}
        seen = first.tick_all(rig.run)
        together.add(frozenset(op.window for op in rig.ops() if op.version > before.get(op.id, 0)))
        if lost_at is None and len(there) == 3:
            lost_at = there[0]
            with rig.database.begin() as conn:
                leases.set_until(conn, rig.run, [lost_at], "first", now - timedelta(days=9))
            assert second.take(rig.run, lost_at)
        held.add(frozenset(window for _, window in first.holds()))
        others = second.tick_all(rig.run) if lost_at is not None else seen
        with rig.database.read() as conn:
            run = runs.load_run(conn, rig.run)
        assert run is not None
        if run.state not in LIVE_RUNS:
            break
        instants = [found.again_at for found in (seen, others) if not found.is_over]
        rig.clock.wait_until(max(rig.clock.now(), min(instants)), lambda: False)
    assert run.state is RunState.FINISHED
    assert max(map(len, together)) > 1, "units of several windows move at one instant"
    assert frozenset({LEAD, "win-c0", "win-c1", "win-c2"}) in held
    assert frozenset({LEAD, "win-c1", "win-c2"}) in held, "the rest stays with it"
    assert first.holds() == ()
    stagehand.assert_nothing_lost(rig)
