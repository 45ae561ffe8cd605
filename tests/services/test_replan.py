"""Planning again from the store: what the runs on record say of the plan in force, and what becomes of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import pytest
from tests.constraints import world as w

from fermata.domain.ids import CampaignId, CustomerId, WindowId
from fermata.domain.observed import Fate
from fermata.domain.plans import Plan
from fermata.domain.policy import Blocked
from fermata.domain.run_states import WindowState
from fermata.planning.inputs import Planned
from fermata.services.inventory import ImportSet, import_set
from fermata.services.plans import Wanted, check_stored_plan, make_plan, publish
from fermata.services.runs import start
from fermata.store import plans, runs
from fermata.store.database import Database

SCENARIO = w.scenario(
    policy=replace(w.scenario().policy, customers={CustomerId("lumen"): w.customer(Blocked.NONE)}), ledger=()
)
SMALL = CampaignId("small")
HOUR = timedelta(hours=1)


def ids() -> Callable[[str], str]:
    numbers = count(1)
    return lambda prefix: f"{prefix}_{next(numbers)}"


@pytest.fixture
def in_force(db: Database) -> Plan:
    given = ImportSet(
        fleet=SCENARIO.fleet, catalogue=SCENARIO.catalogue, policy=SCENARIO.policy, campaign=SCENARIO.campaign
    )
    import_set(db, given, now=w.NOW, actor="operator-1")
    made = make_plan(db, SMALL, now=w.NOW, new_id=ids())
    assert isinstance(made, Planned)
    publish(db, made.plan.id, now=w.NOW, actor="operator-1")
    start(db, SMALL, now=w.NOW, actor="operator-1", new_id=ids())
    return made.plan


def become(db: Database, window: WindowId, state: WindowState, opened: datetime | None = None) -> None:
    with db.begin() as conn:
        run = runs.live_run(conn, SMALL)
        assert run is not None
        row = runs.load_window(conn, run.id, window)
        assert row is not None
        runs.save_window(conn, replace(row, state=state, opened_at=opened, closed_at=opened and opened + 6 * HOUR))


def plan_again(db: Database, now: datetime) -> Planned:
    made = make_plan(db, SMALL, now=now, new_id=lambda kind: f"{kind}_next", wanted=Wanted(as_of=now))
    assert isinstance(made, Planned), made
    return made


def test_a_missed_window_is_planned_again_and_the_others_stay(db: Database, in_force: Plan) -> None:
    first = in_force.windows[0]
    become(db, first.id, WindowState.MISSED)
    made = plan_again(db, first.end)
    assert made.diff is not None
    assert made.diff.ran == ()
    begun = [window.id for window in in_force.windows if window.start < first.end]
    assert [(x.was[0].id, x.cause.code.value) for x in made.diff.changes] == [(name, "DID_NOT_RUN") for name in begun]
    assert {window for window in in_force.windows if window.id not in begun} <= set(made.plan.windows)
    assert check_stored_plan(db, made.plan.id) == ()


def test_a_window_that_is_open_stands_in_the_new_plan_and_keeps_its_row(db: Database, in_force: Plan) -> None:
    first = in_force.windows[0]
    become(db, first.id, WindowState.OPEN, first.start)
    with db.read() as conn:
        run = runs.live_run(conn, SMALL)
        assert run is not None
    made = plan_again(db, first.start + HOUR)
    assert made.diff is not None
    left = set(first.nodes) - {n for x in made.plan.windows if x.id == first.id for n in x.nodes}
    assert left == set(first.nodes), "nobody holds its nodes, so it left them"
    publish(db, made.plan.id, now=first.start + HOUR, actor="operator-1")
    start(db, SMALL, now=first.start + HOUR, actor="operator-1", new_id=ids())
    with db.read() as conn:
        row = runs.load_window(conn, run.id, first.id)
        assert row is not None
        assert (row.plan, row.state) == (in_force.id, WindowState.OPEN)


def test_what_a_plan_was_told_is_kept_with_it(db: Database, in_force: Plan) -> None:
    first = in_force.windows[0]
    become(db, first.id, WindowState.CANCELLED)
    made = plan_again(db, first.end)
    with db.read() as conn:
        kept = plans.load_observed(conn, made.plan.id)
        assert plans.load_observed(conn, in_force.id) is None
    assert kept is not None
    assert (first.id, Fate.CANCELLED) in [(seen.window, seen.fate) for seen in kept.windows]
