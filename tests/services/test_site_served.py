"""A plan that needs an adapter which the conducted site does not serve is neither made nor published."""

from datetime import timedelta

import pytest
from tests.constraints import world as w
from tests.services.test_plans import SMALL, _imported, by_hand, ids, in_force, refusal

from fermata.domain.ids import AdapterId, PlanId
from fermata.domain.routing import PortName, Route, RouteTable
from fermata.planning.inputs import Planned
from fermata.services.errors import Refusal
from fermata.services.plans import import_plan, make_plan, publish
from fermata.services.site_served import SUBJECT, note_served
from fermata.store import journal, plans
from fermata.store.database import Database

__all__ = ["_imported"]
ALL = frozenset(PortName)


def table(ports: frozenset[PortName]) -> RouteTable:
    return RouteTable(routes=(Route(adapter=AdapterId("boxes"), ports=ports),))


def test_without_a_site_that_is_conducted_every_plan_may_be_made(db: Database) -> None:
    assert isinstance(make_plan(db, SMALL, now=w.NOW, new_id=ids()), Planned)


def test_a_plan_that_needs_more_than_is_served_is_neither_made_nor_published(db: Database) -> None:
    import_plan(db, by_hand(), now=w.NOW, actor="operator-1")
    note_served(db, table(ALL - {PortName.VERIFIER}), now=w.NOW)
    with pytest.raises(Refusal, match=r"\{ports: \[verifier\], clusters: \[alpha\]") as refused:
        make_plan(db, SMALL, now=w.NOW, new_id=ids())
    assert refused.value.reason.code == "SITE_LACKS"
    with db.read() as conn:
        assert [line.id for line in plans.list_plans(conn, SMALL)] == ["plan_1"]
    assert refusal(db, PlanId("plan_1")) == "SITE_LACKS"
    assert in_force(db) is None


def test_it_may_be_published_once_a_conductor_started_that_serves_it(db: Database) -> None:
    note_served(db, table(ALL - {PortName.POWER}), now=w.NOW)
    assert refusal(db, by_hand()) == "SITE_LACKS"
    note_served(db, table(ALL - {PortName.NOTIFIER}), now=w.NOW + timedelta(minutes=1))
    publish(db, by_hand(), now=w.NOW, actor="operator-1")
    assert in_force(db) == "plan_1"


def test_what_is_served_is_journaled_when_it_changes(db: Database) -> None:
    for ports in (ALL, ALL, ALL - {PortName.JOBS}, ALL):
        note_served(db, table(ports), now=w.NOW)
    with db.read() as conn:
        lines = journal.read(conn, subject=SUBJECT)
    assert [len(line.data["routes"][0]["ports"]) for line in lines] == [len(ALL), len(ALL) - 1, len(ALL)]
