"""Where a deployment stands, by what the store holds: consent, notices, plans in force, runs, the day."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import pytest
from tests.constraints import world as w
from tests.services.orders import begin, say, target
from tests.services.work import start_work

from fermata.domain.ids import CampaignId, ClusterId, CustomerId, NodeId, RequestId, UpdateId
from fermata.domain.orders import Terms
from fermata.domain.pending import find_pending
from fermata.domain.policy import AfterDue, Scope, ScopeLevel, Verdict
from fermata.domain.reasons import Code
from fermata.domain.request_kinds import RequestKind
from fermata.domain.request_standing import NextStep, Standing
from fermata.domain.request_states import RequestState
from fermata.domain.updates import Catalogue
from fermata.planning.inputs import Planned
from fermata.services.consent import Order, approve, decide, withdraw
from fermata.services.errors import Refusal
from fermata.services.inventory import ImportSet, import_set, import_updates
from fermata.services.plans import check_stored_plan, make_plan, publish
from fermata.services.requests import record_notice, refresh_requests, show_request, watch_requests
from fermata.services.work_orders import NewOrder, complete_order, open_orders
from fermata.store import inventory, journal
from fermata.store.database import Database

SCENARIO = w.scenario()
ALPHA = RequestId("req_sc-alpha_deployment")
DAY = timedelta(days=1)
S = RequestState


@pytest.fixture
def mint() -> Callable[[str], str]:
    numbers = count(1)
    return lambda prefix: f"{prefix}_{next(numbers)}"


def prepare(db: Database, after_due: AfterDue = AfterDue.ESCALATE) -> None:
    policy = replace(SCENARIO.policy, customers={CustomerId("lumen"): replace(w.customer(), after_due=after_due)})
    given = ImportSet(fleet=SCENARIO.fleet, catalogue=SCENARIO.catalogue, policy=policy, campaign=SCENARIO.campaign)
    import_set(db, given, now=w.NOW, actor="operator-1")


def yes(db: Database, text: str, mint: Callable[[str], str]) -> None:
    level, name = text.split()
    approve(db, Scope(level=ScopeLevel(level), name=name), now=w.NOW, actor=None, new_id=mint)


def standing(db: Database, now: datetime = w.NOW) -> Standing:
    return show_request(db, ALPHA, now=now).standing


def state(db: Database, now: datetime = w.NOW) -> RequestState:
    return standing(db, now).state


def told(db: Database) -> list[str]:
    with db.read() as conn:
        lines = journal.read(conn, subject=f"request:{ALPHA}")
    return [line.event.removeprefix("request.") for line in lines if line.event != "request.changed"]


def test_from_asking_to_done(db: Database, mint: Callable[[str], str]) -> None:
    prepare(db)
    assert (state(db), standing(db).needed) == (S.PENDING, NextStep.NOTIFY)
    record_notice(db, ALPHA, now=w.NOW, actor="operator-1", why="by telephone")
    assert (state(db), standing(db).who) == (S.NOTIFIED, ("lumen",))
    yes(db, "rack alpha-r0", mint)
    assert state(db) is S.PARTLY_APPROVED
    yes(db, "supercomputer sc-alpha", mint)
    assert (state(db), standing(db).needed) == (S.APPROVED, NextStep.PLAN)
    made = make_plan(db, CampaignId("small"), now=w.NOW, new_id=mint)
    assert isinstance(made, Planned)
    assert {window.cluster for window in made.plan.windows} == {ClusterId("alpha")}
    publish(db, made.plan.id, now=w.NOW, actor="operator-1")
    assert state(db) is S.SCHEDULED
    over = max(window.end for window in made.plan.windows)
    assert state(db, over) is S.APPROVED, "what did not open in its time has none to come"
    watch_requests(db, now=w.NOW)
    with db.begin() as conn:
        start_work(conn, "alpha-n00")
    assert state(db) is S.IN_PROGRESS
    watch_requests(db, now=w.NOW)
    assert told(db) == ["told", "notified", "scheduled", "in_progress"]


def test_nothing_left_to_do_is_completed_and_nothing_left_to_ask_is_cancelled(db: Database) -> None:
    prepare(db)
    with db.begin() as conn:
        pending = find_pending(SCENARIO.fleet, SCENARIO.catalogue)
        alpha = {name: unit for name, unit in pending.nodes.items() if name.startswith("alpha")}
        brought = {
            name: {due.update.component: due.update.to_version for due in unit.due} for name, unit in alpha.items()
        }
        inventory.record_versions(conn, brought)
        devices = {name: unit for name, unit in pending.devices.items() if name.startswith("alpha")}
        inventory.record_device_versions(conn, {n: unit.due[0].update.to_version for n, unit in devices.items()})
    refresh_requests(db, now=w.NOW)
    assert state(db) is S.COMPLETED
    beta = RequestId("req_sc-beta_deployment")
    import_updates(db, replace(SCENARIO.catalogue, updates={}), now=w.NOW, actor="operator-1")
    assert show_request(db, beta, now=w.NOW).standing.state is S.CANCELLED
    assert state(db) is S.COMPLETED
    import_updates(db, SCENARIO.catalogue, now=w.NOW, actor="operator-1")
    assert show_request(db, beta, now=w.NOW).standing.state is S.PENDING


def test_a_deployment_is_overdue_from_its_due_date_on(db: Database, mint: Callable[[str], str]) -> None:
    prepare(db)
    due = w.NOW + 90 * DAY
    assert state(db, due - timedelta(seconds=1)) is S.PENDING
    assert (state(db, due), standing(db, due).needed) == (S.OVERDUE, NextStep.ESCALATE)
    yes(db, "supercomputer sc-alpha", mint)
    assert state(db, due) is S.APPROVED


def test_a_deployment_that_was_told_late_is_not_overdue_before_its_promised_notice_is_over(db: Database) -> None:
    prepare(db)
    old = {name: replace(update, released_at=w.NOW - 400 * DAY) for name, update in SCENARIO.catalogue.updates.items()}
    import_updates(db, replace(SCENARIO.catalogue, updates=old), now=w.NOW, actor="operator-1")
    assert show_request(db, ALPHA, now=w.NOW).request.due_at == w.NOW - 310 * DAY
    before = standing(db, w.NOW + 90 * DAY - timedelta(seconds=1))
    assert before.state is S.PENDING
    assert "but the promised notice counts from when they were told" in before.why.sentence
    assert state(db, w.NOW + 90 * DAY) is S.OVERDUE
    no = Order(
        scope=Scope(level=ScopeLevel.CLUSTER, name="alpha"),
        verdict=Verdict.DECLINED,
        reason="launch",
        terms=Terms(until=w.NOW + 90 * DAY),
    )
    decide(db, [no], now=w.NOW, new_id=lambda prefix: f"{prefix}_1")
    assert state(db, w.NOW) is S.DECLINED


def test_what_was_approved_does_not_make_a_request_overdue(db: Database, mint: Callable[[str], str]) -> None:
    prepare(db)
    yes(db, "supercomputer sc-alpha", mint)
    late = replace(
        SCENARIO.catalogue.updates[UpdateId("agent")], id=UpdateId("bios"), released_at=w.NOW + 10 * DAY,
        component="host_os", to_version="3.0",
    )  # fmt: skip
    with_late = Catalogue(
        defaults=SCENARIO.catalogue.defaults,
        team_limits=SCENARIO.catalogue.team_limits,
        updates={**SCENARIO.catalogue.updates, late.id: late},
    )
    import_updates(db, with_late, now=w.NOW, actor="operator-1")
    view = show_request(db, ALPHA, now=w.NOW + 99 * DAY)
    assert view.request.due_at == w.NOW + 90 * DAY
    assert view.standing.state is S.PARTLY_APPROVED  # of managers, on which no more is due than was approved
    assert state(db, w.NOW + 100 * DAY) is S.OVERDUE


def test_by_its_own_policy_a_deployment_proceeds_after_its_due_date(db: Database, mint: Callable[[str], str]) -> None:
    prepare(db, AfterDue.PROCEED)
    due = w.NOW + 90 * DAY
    assert (state(db), standing(db).needed) == (S.PENDING, NextStep.NOTIFY)
    after = standing(db, due)
    assert (after.state, after.needed, after.why.code) == (S.OVERDUE, NextStep.PLAN, Code.REQUEST_PROCEEDS)
    yes(db, "supercomputer sc-alpha", mint)
    assert state(db, due) is S.APPROVED
    withdraw(db, Scope(level=ScopeLevel.NODE, name="alpha-n00"), now=w.NOW, actor=None, new_id=mint)
    assert standing(db, due).needed is NextStep.ESCALATE, "what was withdrawn does not proceed by itself"


def test_a_notice_counts_from_the_first_and_ends_with_the_request(db: Database) -> None:
    prepare(db)
    for day in (0, 1):
        record_notice(db, ALPHA, now=w.NOW + day * DAY, actor="operator-1")
    assert "2026-01-02" in standing(db, w.NOW + DAY).why.sentence
    import_updates(db, replace(SCENARIO.catalogue, updates={}), now=w.NOW, actor="operator-1")
    with pytest.raises(Refusal) as refused:
        record_notice(db, ALPHA, now=w.NOW, actor="operator-1")
    assert refused.value.reason.code is Code.NOTHING_PENDING
    import_updates(db, SCENARIO.catalogue, now=w.NOW, actor="operator-1")
    assert state(db) is S.PENDING, "what is asked anew is told anew"


def test_a_plan_leaves_a_node_to_a_move_that_may_go_and_takes_it_again_afterwards(
    db: Database, mint: Callable[[str], str]
) -> None:
    prepare(db)
    yes(db, "supercomputer sc-alpha", mint)
    before = make_plan(db, CampaignId("small"), now=w.NOW, new_id=mint)
    assert isinstance(before, Planned)
    node = NodeId("alpha-n00")
    asked = NewOrder(kind=RequestKind.MOVE, target=target(f"node {node}"), cause="row 7")
    (opened,) = open_orders(db, [asked], now=w.NOW, actor="operator-1", new_id=mint)
    assert check_stored_plan(db, before.plan.id) == (), "what nobody approved keeps nothing"
    say(db, opened.request)
    assert {violation.rule for violation in check_stored_plan(db, before.plan.id)} == {"WORK_ORDERS"}
    with pytest.raises(Refusal) as refused:
        publish(db, before.plan.id, now=w.NOW, actor="operator-1")
    assert "WORK_ORDERS" in refused.value.reason.sentence
    made = make_plan(db, CampaignId("small"), now=w.NOW, new_id=mint)
    assert isinstance(made, Planned)
    assert node not in {name for window in made.plan.windows for name in window.nodes}
    assert Code.ORDER_FIRST in {left.reason.code for left in made.plan.unplanned if node in left.nodes}
    begin(db, opened.order.id)
    complete_order(db, opened.order.id, now=w.NOW, actor="operator-1")
    assert check_stored_plan(db, before.plan.id) == ()


def test_a_plan_takes_a_node_with_a_repair_that_may_go_and_leaves_it_while_that_runs(
    db: Database, mint: Callable[[str], str]
) -> None:
    prepare(db)
    yes(db, "supercomputer sc-alpha", mint)
    node = NodeId("alpha-n00")
    asked = NewOrder(kind=RequestKind.REPAIR, target=target(f"node {node}"), cause="fan")
    (opened,) = open_orders(db, [asked], now=w.NOW, actor="operator-1", new_id=mint)
    say(db, opened.request)
    made = make_plan(db, CampaignId("small"), now=w.NOW, new_id=mint)
    assert isinstance(made, Planned)
    assert node in {name for window in made.plan.windows for name in window.nodes}
    assert check_stored_plan(db, made.plan.id) == ()
    begin(db, opened.order.id)
    assert {violation.rule for violation in check_stored_plan(db, made.plan.id)} == {"WORK_ORDERS"}


def test_a_node_that_a_move_keeps_has_no_time_to_come(db: Database, mint: Callable[[str], str]) -> None:
    prepare(db)
    yes(db, "supercomputer sc-alpha", mint)
    made = make_plan(db, CampaignId("small"), now=w.NOW, new_id=mint)
    assert isinstance(made, Planned)
    publish(db, made.plan.id, now=w.NOW, actor="operator-1")
    asked = NewOrder(kind=RequestKind.MOVE, target=target("node alpha-n00"), cause="fan")
    (opened,) = open_orders(db, [asked], now=w.NOW, actor="operator-1", new_id=mint)
    assert state(db) is S.SCHEDULED
    assert {(m.kind, m.state) for m in opened.meets} == {(RequestKind.DEPLOYMENT, S.SCHEDULED)}
    say(db, opened.request)
    found = standing(db)
    assert (found.state, found.needed) == (S.APPROVED, NextStep.PLAN)
    assert "1 unit without a time" in found.why.sentence
