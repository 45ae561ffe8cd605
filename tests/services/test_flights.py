"""Flights in the store: approved, planned, heard again, shown, and over when the update is promoted or taken back."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count

import httpx
import pytest
from tests.constraints import world as w
from tests.server.conftest import HandClock, make_app
from tests.unit.domain import flying as f

from fermata.domain.fleet import Fleet
from fermata.domain.ids import CampaignId, ClusterId, CustomerId, RequestId, RunId, UpdateId, WindowId
from fermata.domain.orders import Terms
from fermata.domain.pending_lines import PendingFilter
from fermata.domain.planned_flights import PlannedFlight
from fermata.domain.plans import Plan
from fermata.domain.policy import Blocked, Flighting, Policy, Scope, ScopeLevel, Verdict
from fermata.domain.policy_trial import Outcome
from fermata.domain.qualification import Need, QualificationRule, Result, Ring
from fermata.domain.recovery import RecoveryOrder
from fermata.planning.inputs import Planned
from fermata.server.web.plan_page import render_plan
from fermata.services import requests, runs, updates
from fermata.services.consent import Order, decide
from fermata.services.errors import Refusal
from fermata.services.inventory import ImportSet, import_set
from fermata.services.plans import (
    Wanted,
    check_stored_plan,
    load_plan_inputs,
    make_plan,
    plan_stored_campaign,
    publish,
    read_inputs,
)
from fermata.services.policy import try_update
from fermata.services.run_facts import gather_facts
from fermata.services.why import explain_stored
from fermata.store import recovery, signals
from fermata.store import runs as run_store
from fermata.store.database import Database

SMALL = CampaignId("small")
FLIGHTING = Flighting(allowed_roles=frozenset({"test"}), max_nodes=2)
FREE = replace(w.customer(Blocked.NONE), approvers=("ann",), flighting=FLIGHTING)
POLICY = Policy(customers={CustomerId("lumen"): FREE}, notice=w.scenario().policy.notice, freezes=())
HOUR = timedelta(hours=1)


def ids() -> Callable[[str], str]:
    numbers = count(1)
    return lambda prefix: f"{prefix}_{next(numbers)}"


NEW_ID = ids()


@pytest.fixture(autouse=True)
def _imported(db: Database) -> None:
    bring(db, f.fleet(f.N0, f.N1))


def bring(db: Database, fleet: Fleet) -> None:
    given = ImportSet(fleet=fleet, catalogue=f.catalogue(), policy=POLICY, campaign=w.campaign())
    import_set(db, given, now=w.NOW, actor="operator-1")


def say(db: Database, scope: str, name: UpdateId = f.NIC3, verdict: Verdict = Verdict.APPROVED) -> None:
    level, of = scope.split()
    terms = Terms(only=frozenset({name}))
    order = Order(scope=Scope(level=ScopeLevel(level), name=of), verdict=verdict, terms=terms)
    decide(db, [order], now=w.NOW, new_id=NEW_ID)


def plan(db: Database) -> Plan:
    made = make_plan(db, SMALL, now=w.NOW, new_id=NEW_ID)
    assert isinstance(made, Planned)
    return made.plan


def in_force(db: Database) -> Plan:
    made = plan(db)
    publish(db, made.id, now=w.NOW, actor="operator-1")
    return made


def start(db: Database) -> RunId:
    return runs.start(db, SMALL, now=w.NOW, actor="operator-1", new_id=NEW_ID).id


def brings(of: Plan) -> list[WindowId]:
    return [window.id for window in of.windows if f.NIC3 in window.updates]


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(Refusal) as refused:
        act()
    return str(refused.value.reason.code)


def test_an_approved_flight_is_planned_checked_published_and_started(db: Database) -> None:
    assert brings(plan(db)) == []
    say(db, f"node {f.N0}")
    made = in_force(db)
    assert len(brings(made)) == 1
    assert check_stored_plan(db, made.id) == ()
    _, inputs = load_plan_inputs(db, made.id)
    assert [(each.update, each.nodes) for each in inputs.catalogue.flights] == [(f.NIC3, {f.N0})]
    assert start(db)


def test_a_plan_and_the_status_of_its_run_name_the_flights_that_windows_bring_and_no_others(db: Database) -> None:
    without = plan_stored_campaign(db, SMALL, now=w.NOW, new_id=NEW_ID)
    assert without.flights == ()
    say(db, f"node {f.N0}")
    made = plan_stored_campaign(db, SMALL, now=w.NOW, new_id=NEW_ID)
    assert isinstance(made.outcome, Planned)
    (window,) = [each for each in made.outcome.plan.windows if f.NIC3 in each.updates]
    told = PlannedFlight(update=f.NIC3, nodes=1, windows=(window.id,), first_start=window.start)
    assert made.flights == (told,)
    publish(db, made.outcome.plan.id, now=w.NOW, actor="operator-1")
    start(db)
    assert runs.status(db, SMALL).flights == (told,)
    say(db, f"node {f.N1}")
    assert runs.status(db, SMALL).flights == (told,), "what was said since is not in this plan"
    second = in_force(db)
    assert runs.status(db, SMALL).flights == (told,), "the run does not follow the new plan yet"
    start(db)
    (now,) = runs.status(db, SMALL).flights
    assert (now.nodes, now.windows) == (2, tuple(brings(second)))


def nothing_due() -> Fleet:
    """Cluster alpha alone, with all that is ready."""
    versions = {"nic_fw": "2.0", "host_os": "2.0", "gpu_fw": "2.0", "agent": "2.0"}
    alpha = ClusterId("alpha")
    found = f.fleet(*(node.name for node in w.fleet().nodes_by_cluster[alpha]), **versions)
    devices = {device.name: replace(device, version="9.0") for device in found.devices_by_cluster[alpha]}
    nodes = {node.name: node for node in found.nodes_by_cluster[alpha]}
    return Fleet(clusters={alpha: found.clusters[alpha]}, nodes=nodes, devices=devices)


def test_a_flight_may_be_approved_where_nothing_else_is_pending_or_ever_was(db: Database) -> None:
    bring(db, nothing_due())
    assert requests.list_requests(db, PendingFilter(), now=w.NOW) == ()
    say(db, f"node {f.N0}")
    made = plan(db)
    assert [(window.nodes, window.updates) for window in made.windows] == [((f.N0,), (f.NIC3,))]
    _, inputs = load_plan_inputs(db, made.id)
    assert "<dt>On</dt><dd>Sat 3 Jan<small>" in render_plan(inputs, made), "one day is no span"


def test_a_word_on_everything_is_refused_where_nothing_is_pending(db: Database) -> None:
    scope = Scope(level=ScopeLevel.CLUSTER, name="omega")
    bring(db, w.with_versions(f.fleet(), "omega-n00", nic_fw="2.0", host_os="2.0", gpu_fw="2.0", agent="2.0"))
    order = Order(scope=scope, verdict=Verdict.APPROVED)
    assert refusal(lambda: decide(db, [order], now=w.NOW, new_id=NEW_ID)) == "NOTHING_PENDING"


def test_a_plan_that_was_made_before_a_flight_was_withdrawn_is_not_published(db: Database) -> None:
    say(db, f"node {f.N0}")
    made = plan(db)
    say(db, f"node {f.N0}", verdict=Verdict.WITHDRAWN)
    assert refusal(lambda: publish(db, made.id, now=w.NOW, actor="operator-1")) == "PLAN_INPUTS_CHANGED"
    assert {v.rule for v in check_stored_plan(db, made.id)} == {"CONSENT", "FLIGHTS"}


def test_a_flight_that_is_withdrawn_or_approved_since_keeps_no_run_from_starting(db: Database) -> None:
    say(db, f"node {f.N0}")
    in_force(db)
    say(db, f"node {f.N0}", verdict=Verdict.WITHDRAWN)
    say(db, f"node {f.N1}")
    assert start(db)


def test_another_change_of_the_catalogue_does(db: Database) -> None:
    say(db, f"node {f.N0}")
    in_force(db)
    updates.withdraw_update(db, f.NIC4, now=w.NOW, actor="owner", why="never mind")
    assert refusal(lambda: start(db)) == "CATALOGUE_CHANGED"


def test_a_flight_approved_since_is_a_reason_to_plan_again_and_one_withdrawn_too(db: Database) -> None:
    say(db, f"node {f.N0}")
    in_force(db)
    run_id = start(db)
    say(db, f"node {f.N1}")
    say(db, f"node {f.N0}", verdict=Verdict.WITHDRAWN)
    with db.read() as conn:
        run = run_store.load_run(conn, run_id)
        assert run is not None
        facts = gather_facts(conn, run, read_inputs(conn, SMALL, now=w.NOW, wanted=Wanted(as_of=w.NOW)))
    assert facts.freed == {"alpha": (f.N1,)}
    (barred,) = facts.barred.values()
    assert {node for nodes in barred.values() for node in nodes} == set(f.RACK0)  # all behind its switch stay with it


def test_planning_again_moves_a_flight_to_where_it_is_approved_now(db: Database) -> None:
    say(db, f"node {f.N0}")
    first = in_force(db)
    say(db, f"node {f.N1}")
    say(db, f"node {f.N0}", verdict=Verdict.WITHDRAWN)
    second = in_force(db)
    assert second.parent == first.id
    _, inputs = load_plan_inputs(db, second.id)
    assert [set(each.nodes) for each in inputs.catalogue.flights] == [{f.N1}]
    assert len(brings(second)) == 1


def test_what_was_rolled_back_is_planned_again_on_a_new_word_alone(db: Database) -> None:
    say(db, f"node {f.N0}")
    in_force(db)
    run_id = start(db)
    order = RecoveryOrder(
        run=run_id,
        window=WindowId("w"),
        unit=f.N0,
        update=f.NIC3,
        to_version="1.0",
        actor="operator-1",
        why="it flaps",
        at=w.NOW + HOUR,
    )
    with db.begin() as conn:
        recovery.add_orders(conn, [order])
    view = updates.show_update(db, f.NIC3)
    assert [(why.code, node) for node, why in view.flights[0].grounded.items()] == [("FLIGHT_UNDONE", f.N0)]
    with db.read() as conn:
        assert read_inputs(conn, SMALL, now=w.NOW).catalogue.flights == ()


def test_a_request_tells_where_a_flight_flies_and_why_not_elsewhere(db: Database) -> None:
    bring(db, w.with_versions(f.fleet(f.N0, f.N1), f.N1, gpu_fw="2.5"))
    say(db, f"node {f.N0}")
    say(db, f"node {f.N1}")
    (flight,) = requests.show_request(db, RequestId("req_sc-alpha_deployment"), now=w.NOW).flights
    assert (flight.update, flight.nodes) == (f.NIC3, (f.N0,))
    assert flight.grounded[f.N1].sentence.startswith("alpha-n01 runs gpu_fw 2.5, not known to be qualified")
    assert requests.show_request(db, RequestId("req_sc-beta_deployment"), now=w.NOW).flights == ()


def test_a_trial_of_the_policy_knows_what_flies(db: Database) -> None:
    bring(db, w.with_versions(f.fleet(f.N0, f.N1), f.N1, gpu_fw="2.5"))
    assert try_update(db, f.N0, f.NIC3, at=w.NOW).outcome is Outcome.BLOCKED
    say(db, f"node {f.N0}")
    say(db, f"node {f.N1}")
    assert try_update(db, f.N0, f.NIC3, at=w.NOW).outcome is Outcome.ALLOWED
    assert [why.code for why in try_update(db, f.N1, f.NIC3, at=w.NOW).why] == ["FLIGHT_UNQUALIFIED"]


def test_why_a_node_is_out_says_that_it_tries_a_flight_or_why_not(db: Database) -> None:
    bring(db, w.with_versions(f.fleet(f.N0, f.N1), f.N1, gpu_fw="2.5"))
    say(db, f"node {f.N0}")
    say(db, f"node {f.N1}")
    made = in_force(db)
    told = [explain_stored(db, node, plan=made.id, campaign=None).about for node in (f.N0, f.N1)]
    assert [[why.code for why in about.reasons] for about in told if about.kind == "node"] == [
        ["FLIGHT_HERE"],
        ["FLIGHT_UNQUALIFIED"],
    ]


async def get_page(db: Database, path: str) -> str:
    app = make_app(db, HandClock(w.NOW))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        return (await client.get(path)).text


def test_pages_show_a_flight_as_one(db: Database) -> None:
    bring(db, w.with_versions(f.fleet(f.N0, f.N1), f.N1, gpu_fw="2.5"))
    say(db, f"node {f.N0}")
    say(db, f"node {f.N1}")
    made, inputs = load_plan_inputs(db, in_force(db).id)
    assert "nic (nic-3, a flight)" in render_plan(inputs, made)
    html = asyncio.run(get_page(db, "/requests?request=req_sc-alpha_deployment"))
    assert "alpha-n01: alpha-n01 runs gpu_fw 2.5, not known to be qualified" in html


def ripen(db: Database) -> None:
    need = Need(ring=Ring.CANARY, signal="soak", nodes=1)
    none: frozenset[str] = frozenset()
    rule = QualificationRule(id="any", criticalities=frozenset(), owner_teams=frozenset(), targets=none, needs=(need,))
    with db.begin() as conn:
        signals.save_rules(conn, (rule,))
    order = updates.SignalOrder(
        updates=frozenset({f.NIC3}), ring=Ring.CANARY, name="soak", result=Result.PASSED, nodes=1
    )
    updates.record_signal(db, order, now=w.NOW, actor="canary", new_id=NEW_ID)
    updates.promote_update(db, f.NIC3, now=w.NOW, actor="owner", why="soaked")


def test_promotion_makes_a_flight_production_work_and_demotion_asks_for_it_anew(db: Database) -> None:
    say(db, f"node {f.N0}")
    ripen(db)
    assert {window.cluster for window in plan(db).windows if f.NIC3 in window.updates} == {"alpha", "beta", "gamma"}
    assert updates.show_update(db, f.NIC3).flights == ()
    updates.demote_update(db, f.NIC3, now=w.NOW, actor="owner", why="it flaps")
    assert updates.show_update(db, f.NIC3).flights == ()
    assert brings(plan(db)) == []
    say(db, f"node {f.N0}")
    assert len(brings(plan(db))) == 1


def test_an_update_that_is_registered_again_does_not_fly_on_an_old_word(db: Database) -> None:
    say(db, f"node {f.N0}")
    updates.withdraw_update(db, f.NIC3, now=w.NOW, actor="owner", why="wrong build")
    bring(db, f.fleet(f.N0, f.N1))
    assert updates.show_update(db, f.NIC3).flights == ()
