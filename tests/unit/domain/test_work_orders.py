"""Consent to work orders, against a plain reading of every word on every node."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.constraints import world as w
from tests.services.orders import POLICY, both

from fermata.domain.fleet import Node
from fermata.domain.ids import CustomerId, OrderId, SupercomputerId, UpdateId
from fermata.domain.ledger import Decisions
from fermata.domain.notified import Notified
from fermata.domain.pending import FleetPending
from fermata.domain.policy import AfterDue, Blocked, Notice, Policy, PolicyRule, Said, Scope, ScopeLevel, Stance
from fermata.domain.reasons import Code
from fermata.domain.recurrence import Recurrence, RecurringWindow, Unit
from fermata.domain.repairs import FOLDED
from fermata.domain.request_basis import Basis
from fermata.domain.request_book import RequestBook
from fermata.domain.request_kinds import OrderedKind, RequestKind, due_at, request_id
from fermata.domain.request_standing import OnRecord
from fermata.domain.updates import Criticality, Impact
from fermata.domain.work_orders import OrderDesk, OrderWord, Places, Target, TargetLevel, Word, WorkOrder

FLEET = both()
PLACES = Places(FLEET)
DAY = timedelta(days=1)
OPENED = Said(actor="operator-1", at=w.NOW)
TARGETS = [
    Target(level=TargetLevel.NODE, name="alpha-n00"),
    Target(level=TargetLevel.RACK, name="alpha-r0"),
    Target(level=TargetLevel.CLUSTER, name="beta"),
    Target(level=TargetLevel.DEVICE, name="alpha-r1-tor"),
    Target(level=TargetLevel.NODE, name="gone"),
]
SCOPES = [
    Scope(level=ScopeLevel.SUPERCOMPUTER, name="sc-both"),
    Scope(level=ScopeLevel.CLUSTER, name="alpha"),
    Scope(level=ScopeLevel.CLUSTER, name="beta"),
    Scope(level=ScopeLevel.RACK, name="alpha-r0"),
    Scope(level=ScopeLevel.NODE, name="alpha-n00"),
    Scope(level=ScopeLevel.NODE, name="beta-n00"),
]
IDS = [OrderId(f"wo_{number}") for number in range(3)]


@st.composite
def orders(draw: st.DrawFn, name: OrderId) -> WorkOrder:
    begun = draw(st.booleans())
    target = draw(st.sampled_from(TARGETS))
    return WorkOrder(
        id=name,
        kind=draw(st.sampled_from([RequestKind.REPAIR, RequestKind.DECOMMISSION])),
        supercomputer=SupercomputerId("sc-both"),
        target=target,
        cause="broken",
        impact=draw(st.sampled_from(Impact)),
        criticality=Criticality.REGULAR,
        opened=OPENED,
        due_at=w.NOW + draw(st.integers(0, 3)) * DAY,
        started=OPENED if begun else None,
        held=tuple(node.name for node in PLACES.nodes(target)) if begun else (),
    )


@st.composite
def spoken(draw: st.DrawFn) -> tuple[OrderWord, ...]:
    found = []
    for seq in range(draw(st.integers(0, 5))):
        word = draw(st.sampled_from(Word))
        found.append(
            OrderWord(
                seq=seq,
                id=f"word_{seq}",
                request=request_id(SupercomputerId("sc-both"), RequestKind.REPAIR),
                incarnation=1,
                orders=frozenset(draw(st.sets(st.sampled_from(IDS), min_size=1))),
                scope=draw(st.sampled_from(SCOPES)),
                word=word,
                actor="eve",
                at=w.NOW,
                until=w.NOW + DAY if word is Word.DECLINED else None,
            )
        )
    return tuple(found)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    customers = {}
    for name in draw(st.sets(st.sampled_from(["lumen", "meridian"]))):
        customer = POLICY.customers[CustomerId(name)]
        customers[customer.id] = type(customer)(
            id=customer.id,
            deployments=customer.deployments,
            repairs=draw(st.sampled_from(Blocked)),
            except_criticality=customer.except_criticality,
            flighting=customer.flighting,
            approvers=customer.approvers,
            after_due=draw(st.sampled_from(AfterDue)),
        )
    return Policy(customers=customers, notice=POLICY.notice, freezes=())


def last_word(words: tuple[OrderWord, ...], order: WorkOrder, node: Node) -> OrderWord | None:
    cluster = FLEET.clusters[node.cluster]
    about = [word for word in words if order.id in word.orders and word.scope.covers(node, cluster)]
    return max(about, key=lambda word: word.seq, default=None)


def is_let_through(policy: Policy, order: WorkOrder, node: Node) -> bool:
    customer = policy.customers.get(FLEET.clusters[node.cluster].customer)
    return customer is not None and order.kind is RequestKind.REPAIR and not customer.repairs.blocks(order.impact)


@given(orders(IDS[0]), spoken(), policies())
def test_a_node_may_go_by_policy_by_the_last_word_on_it_or_when_its_time_is_over(
    order: WorkOrder, words: tuple[OrderWord, ...], policy: Policy
) -> None:
    heard = OrderDesk(places=PLACES, policy=policy, words=words[::-1]).hear(order)
    for node in PLACES.nodes_of(order):
        word = last_word(words, order, node)
        customer = policy.customers.get(FLEET.clusters[node.cluster].customer)
        proceeds = customer is not None and customer.after_due is AfterDue.PROCEED
        goes = is_let_through(policy, order, node) or (word is not None and word.word is Word.APPROVED)
        waits = not goes and proceeds and (word is None or word.word is not Word.WITHDRAWN)
        assert (node.name in heard.proceeding) == waits
        assert (node.name in heard.gaps) == (not goes and not waits)
    ends = {allowance.not_before for allowance in heard.allowances}
    assert all(end is not None and end >= order.due_at for end in ends)


TOLD = Notified(
    customer=CustomerId("lumen"),
    supercomputer=SupercomputerId("sc-both"),
    update=UpdateId(IDS[0]),
    impact=Impact.IMPACTFUL,
    at=w.NOW + 3 * DAY,
)
REPAIR = WorkOrder(
    id=IDS[0],
    kind=RequestKind.REPAIR,
    supercomputer=SupercomputerId("sc-both"),
    target=Target(level=TargetLevel.NODE, name="alpha-n00"),
    cause="broken",
    impact=Impact.IMPACTFUL,
    criticality=Criticality.REGULAR,
    opened=OPENED,
    due_at=w.NOW + 30 * DAY,
)


NIGHTS = (
    RecurringWindow(
        id="nights",
        start=w.MONDAY.replace(tzinfo=None),
        duration=timedelta(hours=8),
        zone="Etc/UTC",
        recurrence=Recurrence(unit=Unit.DAY),
    ),
)
A_WORD = OrderWord(
    seq=1,
    id="word_1",
    request=request_id(SupercomputerId("sc-both"), RequestKind.REPAIR),
    incarnation=1,
    orders=frozenset({IDS[0]}),
    scope=Scope(level=ScopeLevel.CLUSTER, name="alpha"),
    word=Word.APPROVED,
    actor="eve",
    at=w.NOW,
)


def desk_that_proceeds(*told: Notified, words: tuple[OrderWord, ...] = ()) -> OrderDesk:
    customers = {name: replace(one, after_due=AfterDue.PROCEED) for name, one in POLICY.customers.items()}
    return OrderDesk(places=PLACES, policy=replace(POLICY, customers=customers, notified=told), words=words)


@pytest.mark.parametrize(("word", "begins"), [(None, None), (Word.DECLINED, w.NOW + 4 * DAY), (Word.APPROVED, None)])
def test_where_policy_lets_work_begin_in_windows_a_no_until_a_day_is_kept(word: Word | None, begins: object) -> None:
    rule = PolicyRule(id="nights", stance=Stance.ALLOW_IN_WINDOWS, windows=("nights",))
    customers = {name: replace(one, rules=(rule,), windows=NIGHTS) for name, one in POLICY.customers.items()}
    said = () if word is None else (replace(A_WORD, word=word, until=w.NOW + 4 * DAY if begins else None),)
    heard = OrderDesk(places=PLACES, policy=replace(POLICY, customers=customers), words=said).hear(REPAIR)
    assert {allowance.not_before for allowance in heard.allowances} == (set() if word is Word.APPROVED else {begins})
    assert (heard.proceeding, heard.gaps) == (frozenset(), {}), "nobody goes by silence here, and nobody lacks a word"


@pytest.mark.parametrize(
    "told",
    [
        (),
        (replace(TOLD, customer=CustomerId("meridian")),),
        (replace(TOLD, supercomputer=SupercomputerId("sc-elsewhere")),),
        (replace(TOLD, update=UpdateId(IDS[1])),),
        (replace(TOLD, impact=Impact.IMPACTLESS),),
    ],
)
def test_an_order_that_its_customer_was_not_told_of_waits_and_says_so(told: tuple[Notified, ...]) -> None:
    heard = desk_that_proceeds(*told).hear(REPAIR)
    (node,) = heard.nodes
    assert heard.gaps[node].code is Code.NOTICE_NOT_DELIVERED
    assert "lumen" in heard.gaps[node].sentence
    assert (heard.allowances, heard.proceeding) == (frozenset(), frozenset())


@pytest.mark.parametrize(("days", "begins"), [(-5, 30), (0, 30), (3, 33)])
def test_an_order_that_nobody_answered_for_has_the_whole_notice_from_when_its_customer_knew(
    days: int, begins: int
) -> None:
    heard = desk_that_proceeds(replace(TOLD, at=w.NOW + days * DAY)).hear(REPAIR)
    assert heard.gaps == {}
    assert heard.proceeding == {"alpha-n00"}
    assert {allowance.not_before for allowance in heard.allowances} == {w.NOW + begins * DAY}


def test_an_approval_of_an_order_is_the_customers_own_word_and_needs_no_notice() -> None:
    yes = OrderWord(
        seq=1,
        id="word_1",
        request=REPAIR.request,
        incarnation=1,
        orders=frozenset({REPAIR.id}),
        scope=SCOPES[4],
        word=Word.APPROVED,
        actor="ann",
        at=w.NOW,
    )
    heard = desk_that_proceeds(words=(yes,)).hear(REPAIR)
    assert (heard.gaps, heard.allowances) == ({}, frozenset())


@given(st.tuples(*map(orders, IDS)), spoken(), policies(), st.integers(0, 4))
def test_a_node_is_kept_from_updates_by_orders_that_run_and_by_those_that_may_go_and_no_window_takes_in(
    made: tuple[WorkOrder, ...], words: tuple[OrderWord, ...], policy: Policy, day: int
) -> None:
    book = RequestBook(
        basis=Basis(FLEET, policy, FleetPending(nodes={}, devices={}), Decisions(FLEET, ())),
        record=OnRecord(now=w.NOW + day * DAY),
        orders={order.id: order for order in made},
        words=words,
    )
    keeping: set[str] = set()
    for order in made:
        heard = book.ordered.desk.hear(order)
        may_go = bool(heard.nodes) and not heard.gaps and not heard.proceeding
        if order.in_work or (may_go and order.kind not in FOLDED):
            keeping.update(heard.nodes)
    assert set(book.held()) == keeping


@given(
    st.builds(Notice, regular_hardware=st.integers(0, 90), critical_repair=st.integers(0, 9)),
    st.sampled_from(OrderedKind),
    st.sampled_from(Criticality),
    st.none() | st.integers(-10, 100),
)
def test_no_notice_is_shorter_than_promised_whatever_is_wished_for(
    notice: Notice, kind: OrderedKind, criticality: Criticality, wish: int | None
) -> None:
    wanted = None if wish is None else w.NOW + wish * DAY
    found = due_at(notice, kind.kind, criticality, opened_at=w.NOW, wanted_at=wanted)
    days = notice.regular_hardware if criticality is Criticality.REGULAR else notice.critical_repair
    assert found - w.NOW >= days * DAY
    assert found in (w.NOW + days * DAY, wanted)
    assert wanted is None or found >= wanted
