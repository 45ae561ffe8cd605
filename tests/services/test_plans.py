"""Plans in the store: made from it, checked against it, and put in force only when all is as it was."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from tests.constraints import world as w
from tests.services.sources import S1, Said, sources

from fermata.domain.hashing import content_sha256, fleet_sha256
from fermata.domain.ids import CampaignId, CustomerId, FreezeId, NodeId, PlanId
from fermata.domain.plans import ConsentBasis, InputHashes, Plan
from fermata.domain.policy import Blocked, Freeze, Policy, Scope, ScopeLevel
from fermata.planning.inputs import Planned
from fermata.services.errors import Refusal
from fermata.services.inventory import ImportSet, import_set
from fermata.services.inventory_sources import sync_source
from fermata.services.plans import Wanted, check_stored_plan, import_plan, make_plan, publish
from fermata.store import consent, inventory, journal, plans
from fermata.store.database import Database

POLICY = replace(w.scenario().policy, customers={CustomerId("lumen"): w.customer(Blocked.NONE)})
SCENARIO = w.scenario(policy=POLICY, ledger=())
SMALL = CampaignId("small")


def ids() -> Callable[[str], str]:
    numbers = count(1)
    return lambda prefix: f"{prefix}_{next(numbers)}"


def by_hand(name: str = "plan_1", *, policy: Policy = POLICY) -> Plan:
    """A plan that breaks no rule, made for what the store holds."""
    hashes = InputHashes(
        fleet=fleet_sha256(SCENARIO.fleet),
        updates=content_sha256(SCENARIO.catalogue),
        policy=content_sha256(policy),
        campaign=content_sha256(SCENARIO.campaign),
    )
    return replace(w.plan(SCENARIO, w.windows(SCENARIO)), id=PlanId(name), inputs=hashes)


@pytest.fixture(autouse=True)
def _imported(db: Database) -> None:
    given = ImportSet(
        fleet=SCENARIO.fleet, catalogue=SCENARIO.catalogue, policy=SCENARIO.policy, campaign=SCENARIO.campaign
    )
    import_set(db, given, now=w.NOW, actor="operator-1")


def refusal(db: Database, plan: Plan | PlanId) -> str:
    with pytest.raises(Refusal) as refused:
        publish(db, plan, now=w.NOW, actor="operator-1")
    return refused.value.reason.code.value


def in_force(db: Database) -> PlanId | None:
    with db.read() as conn:
        return plans.published_plan_id(conn, SMALL)


def test_a_plan_made_from_the_store_is_checked_stored_and_published(db: Database) -> None:
    made = make_plan(db, SMALL, now=w.NOW, new_id=ids())
    assert isinstance(made, Planned)
    assert (made.plan.id, made.plan.consent, made.plan.created_at) == ("plan_1", ConsentBasis.RECORDED, w.NOW)
    assert check_stored_plan(db, made.plan.id) == ()
    assert not publish(db, made.plan.id, now=w.NOW, actor="operator-1", why="agreed").already
    assert in_force(db) == "plan_1"
    with db.read() as conn:
        lines = journal.read(conn, subject="plan:plan_1")
    assert [(line.event, line.actor, line.why) for line in lines] == [
        ("plan.stored", "planner", ""),
        ("plan.published", "operator-1", "agreed"),
    ]


def test_without_consent_everything_is_left_unplanned_with_its_reason(db: Database) -> None:
    blocked = replace(POLICY, customers={CustomerId("lumen"): w.customer(Blocked.ALL)})
    import_set(db, ImportSet(policy=blocked), now=w.NOW, actor="operator-1")
    made = make_plan(db, SMALL, now=w.NOW, new_id=ids())
    assert isinstance(made, Planned)
    assert made.plan.windows == ()
    assert {left.reason.code for left in made.plan.unplanned} == {"APPROVAL_MISSING"}


def test_publishing_the_plan_in_force_again_is_reported_and_not_repeated(db: Database) -> None:
    publish(db, by_hand(), now=w.NOW, actor="operator-1")
    assert publish(db, PlanId("plan_1"), now=w.NOW, actor="operator-1").already


def test_a_plan_from_files_is_stored_once_and_never_under_anothers_id(db: Database) -> None:
    assert import_plan(db, by_hand(), now=w.NOW, actor="operator-1")
    assert not import_plan(db, by_hand(), now=w.NOW, actor="operator-1")
    with pytest.raises(Refusal) as refused:
        import_plan(db, replace(by_hand(), windows=()), now=w.NOW, actor="operator-1")
    assert refused.value.reason.code == "PLAN_EXISTS"


def test_a_draft_that_assumes_consent_is_refused_and_not_kept(db: Database) -> None:
    assert refusal(db, replace(by_hand(), consent=ConsentBasis.ASSUMED)) == "PLAN_CONSENT_ASSUMED"
    assert refusal(db, PlanId("plan_1")) == "PLAN_UNKNOWN"


def change(db: Database, what: str) -> None:
    """A node moved on, or a freeze over the window of alpha."""
    with db.begin() as conn:
        if what == "fleet":
            inventory.record_versions(conn, {NodeId("alpha-n00"): {"nic_fw": "2.0"}})
            return
        freeze = Freeze(
            id=FreezeId("f1"),
            customer=CustomerId("lumen"),
            scope=Scope(level=ScopeLevel.CLUSTER, name="alpha"),
            start=w.MONDAY,
            end=w.MONDAY + timedelta(days=1),
            reason="launch",
        )
        consent.add_freeze(conn, freeze)


@pytest.mark.parametrize("changed", ["fleet", "policy"])
def test_a_plan_for_inputs_that_changed_since_is_refused_and_they_are_named(db: Database, changed: str) -> None:
    import_plan(db, by_hand(), now=w.NOW, actor="operator-1")
    change(db, changed)
    with pytest.raises(Refusal, match=changed) as refused:
        publish(db, PlanId("plan_1"), now=w.NOW, actor="operator-1")
    assert refused.value.reason.code == "PLAN_INPUTS_CHANGED"
    assert in_force(db) is None


def test_a_stored_plan_is_judged_by_its_own_fleet_and_by_todays_freezes(db: Database) -> None:
    import_plan(db, by_hand(), now=w.NOW, actor="operator-1")
    change(db, "fleet")
    assert check_stored_plan(db, PlanId("plan_1")) == ()
    change(db, "policy")
    assert {violation.window for violation in check_stored_plan(db, PlanId("plan_1"))} == {"w-alpha"}


def test_a_plan_that_breaks_a_rule_is_refused(db: Database) -> None:
    twice = by_hand()
    assert refusal(db, replace(twice, windows=(*twice.windows, twice.windows[0]))) == "PLAN_VIOLATES"
    with pytest.raises(Refusal, match="breaks"):
        import_plan(db, replace(twice, windows=twice.windows[1:]), now=w.NOW, actor="operator-1")


def test_a_plan_that_outruns_consent_is_refused(db: Database) -> None:
    blocked = replace(POLICY, customers={CustomerId("lumen"): w.customer(Blocked.ALL)})
    import_set(db, ImportSet(policy=blocked), now=w.NOW, actor="operator-1")
    assert refusal(db, by_hand(policy=blocked)) == "PLAN_VIOLATES"


def test_a_plan_takes_the_place_of_its_parent_only(db: Database) -> None:
    assert refusal(db, replace(by_hand("plan_2"), parent=PlanId("plan_1"))) == "PLAN_PARENT_STALE"
    publish(db, by_hand(), now=w.NOW, actor="operator-1")
    assert refusal(db, by_hand("plan_2")) == "PLAN_PARENT_STALE"
    assert in_force(db) == "plan_1"


def test_an_unknown_campaign_is_refused(db: Database) -> None:
    with pytest.raises(Refusal) as refused:
        make_plan(db, CampaignId("other"), now=w.NOW, new_id=ids())
    assert refused.value.reason.code == "CAMPAIGN_UNKNOWN"


def test_what_inventory_did_not_confirm_for_too_long_is_not_planned_nor_published(db: Database) -> None:
    """A plan made in time is refused later; one made later leaves those nodes out, for their versions are unknown."""
    said = Said(SCENARIO.fleet)
    sync_source(db, sources(said), S1, now=w.NOW, actor="operator-1", new_id=ids())
    made = make_plan(db, SMALL, now=w.NOW, new_id=ids())
    assert isinstance(made, Planned)
    late = w.NOW + timedelta(hours=2)
    with pytest.raises(Refusal) as refused:
        publish(db, made.plan.id, now=late, actor="operator-1")
    assert refused.value.reason.code.value == "INVENTORY_STALE"
    wanted = Wanted(as_of=w.NOW)
    again = make_plan(db, SMALL, now=late, new_id=lambda prefix: f"{prefix}_late", wanted=wanted)
    assert isinstance(again, Planned)
    assert again.plan.windows == ()
    assert {left.reason.code.value for left in again.plan.unplanned} <= {"VERSION_UNKNOWN", "SHARED_DEVICE_UNAPPROVED"}
    sync_source(db, sources(said), S1, now=late, actor="operator-1", new_id=ids())
    assert not publish(db, made.plan.id, now=late, actor="operator-1").already
