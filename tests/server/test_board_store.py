"""The board's reads on both databases, and over a run that went from one plan to the next."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.server import world

from fermata.domain.ids import PlanId, WindowId
from fermata.domain.run_states import WindowState
from fermata.services.board import BoardReader
from fermata.services.board_views import Mark
from fermata.store import board, plans, runs
from fermata.store.database import Database

SIZE = world.Size()


@pytest.fixture
def either(store_url: str) -> Iterator[Database]:
    """The campaign half-way through, on SQLite and on PostgreSQL."""
    db = Database(store_url)
    world.save_campaign(db, SIZE)
    world.save_run(db, SIZE, world.save_plan(db, SIZE))
    yield db
    db.close()


def test_snapshot_counts_every_unit_once_on_either_database(either: Database) -> None:
    taken = BoardReader(either).snapshot(world.NOW)
    figures = taken.figures
    assert figures is not None
    opened = [chip for day in taken.days for chip in day.chips if chip.taken]
    assert figures.returned + figures.out == sum(chip.taken for chip in opened)
    assert figures.tail == sum(reason.nodes for reason in taken.tail) == SIZE.tail
    assert figures.in_service == figures.baseline - figures.out


def test_samples_are_read_from_where_the_last_read_ended(either: Database) -> None:
    with either.read() as conn:
        seq, every = board.samples_after(conn, world.RUN, 0)
        again, nothing = board.samples_after(conn, world.RUN, seq)
    assert len(every) > 100
    assert (again, nothing) == (seq, ())


def test_run_that_went_over_to_a_new_plan_shows_what_both_did_and_nothing_twice(either: Database) -> None:
    before = BoardReader(either).snapshot(world.NOW)
    dropped, moved = WindowId("w022"), WindowId("w023")
    old = world.plan(SIZE)
    last = next(window for window in old.windows if window.id == moved)
    later = replace(last, id=WindowId("w023b"), start=last.start + timedelta(days=1), end=last.end + timedelta(days=1))
    fresh = replace(old, id=PlanId("plan_next"), parent=old.id, windows=(later,))
    with either.begin() as conn:
        plans.save_plan(conn, fresh, world.NOW)
        for row in runs.load_windows(conn, world.RUN):
            if row.window in {dropped, moved}:
                runs.save_window(conn, replace(row, state=WindowState.CANCELLED))
            if row.window == moved:
                start, end = later.start, later.end
                added = replace(row, window=later.id, plan=fresh.id, planned_start=start, planned_end=end, version=1)
        runs.add_windows(conn, [added])
        run = runs.load_run(conn, world.RUN)
        assert run is not None
        runs.save_run(conn, replace(run, plan=fresh.id))
    after = BoardReader(either).snapshot(world.NOW)
    names = [chip.id for day in after.days for chip in day.chips]
    assert len(names) == len(set(names)) == 23
    assert later.id in names
    assert not {dropped, moved} & set(names)
    assert after.days[-1].after_deadline
    assert [chip.mark for chip in after.days[-1].chips] == [Mark.PLANNED]
    assert before.figures is not None
    assert after.figures is not None
    assert after.figures.returned == before.figures.returned
