"""Lists and standing plans go by what a source last said, and say when that is too old to be evidence."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.constraints import world as w
from tests.services.sources import Keeper

from fermata.domain.freshness import OldWord
from fermata.domain.ids import ClusterId
from fermata.domain.pending_lines import PendingFilter
from fermata.domain.reasons import Code
from fermata.planning.standing.outages import StandingPlan
from fermata.planning.standing.plan import Terms
from fermata.services.inventory import import_fleet
from fermata.services.requests import list_requests, page_pending
from fermata.services.standing import make_standing
from fermata.store.database import Database

HOUR = timedelta(hours=1)
ALPHA = PendingFilter(clusters=frozenset({"alpha"}))


def old_in_pending(db: Database, wanted: PendingFilter, now: datetime) -> tuple[OldWord, ...]:
    return page_pending(db, wanted, superseded=False, now=now).stale


def standing(db: Database, now: datetime) -> StandingPlan:
    return make_standing(db, Terms(days=365, notice_days=30, room_minutes=480, seed=1), now=now)


@pytest.mark.parametrize(
    ("later", "age"),
    [
        (timedelta(minutes=61), "1 h 1 min ago"),
        (timedelta(hours=24, minutes=59), "1 d 0 h ago"),
        (timedelta(days=1_000, hours=3), "1,000 d 3 h ago"),
    ],
)
def test_a_list_says_of_how_many_units_the_word_is_old_and_how_old(db: Database, later: timedelta, age: str) -> None:
    Keeper(db).sync()
    (old,) = old_in_pending(db, ALPHA, w.NOW + later)
    assert (old.source, old.observed_at, old.nodes, old.devices) == ("s1", w.NOW, 6, 4)
    assert old.reason.code is Code.INVENTORY_OLD
    assert old.reason.sentence.startswith(f"6 nodes and 4 devices are shown as s1 had them {age}. After 60 min")


def test_what_was_heard_in_time_or_belongs_to_nobody_is_not_called_old(db: Database) -> None:
    keeper = Keeper(db)
    keeper.sync()
    assert old_in_pending(db, PendingFilter(), w.NOW + HOUR) == ()
    keeper.sync(at=w.NOW + 2 * HOUR)
    assert old_in_pending(db, PendingFilter(), w.NOW + 3 * HOUR) == ()


def test_a_fleet_that_no_source_names_has_no_age(db: Database) -> None:
    Keeper(db)
    import_fleet(db, w.fleet(), now=w.NOW, actor="operator-1")
    assert old_in_pending(db, PendingFilter(), w.NOW + 1_000 * HOUR) == ()


def test_a_request_says_it_of_its_own_supercomputer(db: Database) -> None:
    Keeper(db).sync()
    assert all(view.stale == () for view in list_requests(db, PendingFilter(), now=w.NOW))
    views = {view.request.supercomputer: view for view in list_requests(db, PendingFilter(), now=w.NOW + 2 * HOUR)}
    assert {name: sum(old.nodes for old in view.stale) for name, view in views.items()} == {
        "sc-alpha": 6,
        "sc-beta": 10,
        "sc-gamma": 6,
        "sc-omega": 1,
    }


def test_a_standing_plan_says_it_cluster_by_cluster_and_plans_the_same(db: Database) -> None:
    Keeper(db).sync()
    fresh, late = standing(db, w.NOW), standing(db, w.NOW + 2 * HOUR)
    told = {of.cluster: of.troubles[0] for of in late.clusters if of.troubles}
    assert set(told) == set(w.fleet().clusters)
    assert (told[ClusterId("alpha")].units, told[ClusterId("alpha")].update) == (10, None)
    assert {trouble.reason.code for trouble in told.values()} == {Code.INVENTORY_OLD}
    assert [replace(of, troubles=of.troubles[1:]) for of in late.clusters] == list(fresh.clusters)
