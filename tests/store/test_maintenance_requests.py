"""Maintenance requests that clients put come back as written; a name is taken by one of them that was not deleted."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.constraints import world as w

from fermata.domain.ids import OrderId
from fermata.store import maintenance_requests as stored
from fermata.store.database import Database, StoreUnavailable
from fermata.store.maintenance_requests import KeptRequest, PutRequest

KEPT = KeptRequest(
    id="mr_1",
    path="/subscriptions/s/maintenancerequests/fix-1",
    actor="ann",
    made_at=w.NOW,
    asked=PutRequest(
        name="Fix-1",
        description="Link down,\nplease replace.",
        type="Unhealthy",
        state="Approved",
        resources=("/Subscriptions/s/a", "/subscriptions/s/b"),
        category="EthLinkFlap",
    ),
    orders=((OrderId("wo_1"), OrderId("wo_2")), (OrderId("wo_2"),)),
)
OTHER = replace(KEPT, id="mr_2", path="/subscriptions/s/maintenancerequests/fix_2")
BELOW = "/subscriptions/s/maintenancerequests/"


def test_a_request_comes_back_as_it_was_put(db: Database) -> None:
    with db.begin() as conn:
        for kept in (OTHER, KEPT):
            stored.add_request(conn, kept)
    with db.read() as conn:
        assert stored.load_requests(conn, BELOW) == (KEPT, OTHER)
        assert stored.load_requests(conn, f"{BELOW}fix_") == (OTHER,), "a path is no pattern"
        assert stored.find_at(conn, KEPT.path) == KEPT
        assert stored.find_at(conn, f"{BELOW}fix") is None
        assert stored.find_ever(conn, "mr_2") == OTHER
        assert stored.find_ever(conn, "mr_3") is None


def test_one_that_was_deleted_stays_on_record_and_its_path_is_free(db: Database) -> None:
    later = w.NOW + timedelta(hours=1)
    again = replace(KEPT, id="mr_3", made_at=later)
    with db.begin() as conn:
        stored.add_request(conn, KEPT)
        stored.mark_deleted(conn, KEPT.id, later)
        assert stored.find_at(conn, KEPT.path) is None
        stored.add_request(conn, again)
    with db.read() as conn:
        assert stored.load_requests(conn, BELOW) == (again,)
        assert stored.find_at(conn, KEPT.path) == again
        assert stored.find_ever(conn, KEPT.id) == replace(KEPT, deleted_at=later)


def test_two_at_one_path_are_refused_by_the_database(db: Database) -> None:
    with db.begin() as conn:
        stored.add_request(conn, KEPT)
    with pytest.raises(StoreUnavailable), db.begin() as conn:
        stored.add_request(conn, replace(KEPT, id="mr_2"))
