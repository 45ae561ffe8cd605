"""Plans are kept for good, one is in force at a time, and the inputs they were made from are kept with them."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.constraints import world as w

from fermata.domain.fleet import Fleet
from fermata.domain.hashing import fleet_sha256
from fermata.domain.ids import CampaignId, PlanId
from fermata.domain.plans import Plan
from fermata.store import plans
from fermata.store.database import Database, NotStored, StoreUnavailable

SMALL = CampaignId("small")


def plan(name: str, parent: str | None = None) -> Plan:
    made = w.plan(w.scenario(), w.windows(w.scenario()))
    return replace(made, id=PlanId(name), parent=PlanId(parent) if parent else None)


def test_a_plan_comes_back_equal(db: Database) -> None:
    with db.begin() as conn:
        plans.save_plan(conn, plan("plan_1"), w.NOW)
    with db.read() as conn:
        assert plans.load_plan(conn, PlanId("plan_1")) == plan("plan_1")
        with pytest.raises(NotStored, match="plan_2"):
            plans.load_plan(conn, PlanId("plan_2"))


def test_a_plan_is_never_stored_over_another(db: Database) -> None:
    with db.begin() as conn:
        plans.save_plan(conn, plan("plan_1"), w.NOW)
    with pytest.raises(StoreUnavailable), db.begin() as conn:
        plans.save_plan(conn, plan("plan_1"), w.NOW)


def test_the_last_published_plan_of_a_campaign_is_in_force(db: Database) -> None:
    with db.begin() as conn:
        assert plans.published_plan(conn, SMALL) is None
        plans.save_plan(conn, plan("plan_1"), w.NOW)
        plans.save_plan(conn, plan("plan_2", parent="plan_1"), w.NOW + timedelta(hours=1))
        plans.publish_plan(conn, PlanId("plan_1"), w.NOW)
        plans.publish_plan(conn, PlanId("plan_2"), w.NOW)
    with db.read() as conn:
        assert plans.published_plan_id(conn, SMALL) == "plan_2"
        assert plans.published_plan(conn, SMALL) == plan("plan_2", parent="plan_1")
        assert plans.published_plan(conn, CampaignId("other")) is None
        lines = plans.list_plans(conn, SMALL)
    assert [(line.id, line.windows, line.nodes, line.published_at) for line in lines] == [
        ("plan_1", 5, 22, w.NOW),
        ("plan_2", 5, 22, w.NOW),
    ]


def test_two_plans_never_take_the_place_of_the_same_one(db: Database) -> None:
    with db.begin() as conn:
        for name in ("plan_1", "plan_2"):
            plans.save_plan(conn, plan(name), w.NOW)
        plans.publish_plan(conn, PlanId("plan_1"), w.NOW)
    with pytest.raises(StoreUnavailable), db.begin() as conn:
        plans.publish_plan(conn, PlanId("plan_2"), w.NOW)


def test_the_fleet_of_a_plan_is_kept_once_by_its_content(db: Database) -> None:
    sha = fleet_sha256(w.fleet())
    with db.begin() as conn:
        plans.save_snapshot(conn, sha, w.fleet())
        plans.save_snapshot(conn, sha, w.fleet())
    with db.read() as conn:
        kept: Fleet = plans.load_fleet_snapshot(conn, sha)
        assert fleet_sha256(kept) == sha
        assert kept.nodes == w.fleet().nodes
        with pytest.raises(NotStored):
            plans.load_fleet_snapshot(conn, "0" * 64)
