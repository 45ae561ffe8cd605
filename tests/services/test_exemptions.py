"""What may pass a freeze: a criticality that the customer exempts, asked by one person and confirmed by another."""

from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from tests.constraints import world as w

from fermata.domain.ids import CustomerId, ExemptionId, FreezeId, OrderId, UpdateId
from fermata.domain.policy import Exemption, MaintenanceKind, Scope, ScopeLevel
from fermata.domain.policy_trial import Outcome
from fermata.domain.reasons import Code
from fermata.domain.request_kinds import RequestKind
from fermata.domain.updates import Criticality
from fermata.domain.work_orders import Target, TargetLevel
from fermata.services.errors import Refusal
from fermata.services.exemptions import ExemptionOrder, ask_exemption, confirm_exemption
from fermata.services.freezes import FreezeOrder, add_freeze, end_freeze, list_freezes
from fermata.services.inventory import ImportSet, import_set
from fermata.services.policy import try_update
from fermata.services.work_orders import NewOrder, cancel_order, open_orders, start_order
from fermata.store import journal
from fermata.store.database import Database

SCENARIO = w.scenario()
HOUR = timedelta(hours=1)
FREEZE = FreezeId("freeze_1")


@pytest.fixture(autouse=True)
def _frozen(db: Database) -> None:
    """Nothing is blocked but by the freeze; nic is urgent, and urgent work may pass a freeze."""
    lumen = replace(
        w.customer(), approvers=("ann", "bo"), except_criticality=frozenset({Criticality.CRITICAL_SECURITY})
    )
    updates = dict(SCENARIO.catalogue.updates)
    nic = UpdateId("nic")
    updates[nic] = replace(updates[nic], criticality=Criticality.CRITICAL_SECURITY)
    given = ImportSet(
        fleet=SCENARIO.fleet,
        catalogue=replace(SCENARIO.catalogue, updates=updates),
        policy=replace(SCENARIO.policy, customers={CustomerId("lumen"): lumen}),
    )
    import_set(db, given, now=w.NOW, actor="operator-1")
    order = FreezeOrder(
        scope=Scope(level=ScopeLevel.CLUSTER, name="alpha"), start=w.NOW, end=w.NOW + 9 * HOUR, reason="training run"
    )
    add_freeze(db, order, now=w.NOW, new_id=lambda prefix: f"{prefix}_1")


def ask(db: Database, *updates: str, actor: str = "conductor-1", why: str = "exploited in the field") -> Exemption:
    order = ExemptionOrder(freeze=FREEZE, updates=frozenset(map(UpdateId, updates)), reason=why, actor=actor)
    numbers = count(1)
    return ask_exemption(db, order, now=w.NOW, new_id=lambda prefix: f"{prefix}_{next(numbers)}")


def confirm(db: Database, actor: str | None = "ann", exemption: str = "exm_1") -> Exemption:
    return confirm_exemption(db, ExemptionId(exemption), now=w.NOW + HOUR, actor=actor)


def outcome(db: Database, update: str = "nic") -> Outcome:
    return try_update(db, "alpha-n00", update, at=w.NOW + 2 * HOUR).outcome


def test_an_exemption_counts_once_a_second_person_confirmed_it(db: Database) -> None:
    assert outcome(db) is Outcome.WAITS
    ask(db, "nic")
    assert outcome(db) is Outcome.WAITS
    confirmed = confirm(db).confirmed
    assert confirmed is not None
    assert (confirmed.actor, confirmed.at) == ("ann", w.NOW + HOUR)
    assert outcome(db) is Outcome.ALLOWED
    with db.read() as conn:
        lines = [(line.event, line.actor, line.why) for line in journal.read(conn, subject=f"freeze:{FREEZE}")]
    assert lines[1:] == [
        ("exemption.asked", "conductor-1", "exploited in the field"),
        ("exemption.confirmed", "ann", "exploited in the field"),
    ]


def test_it_is_for_what_it_names_alone(db: Database) -> None:
    ask(db, "nic")
    confirm(db)
    assert outcome(db, "os") is not Outcome.ALLOWED


def test_freezes_are_listed_with_what_may_pass_them_until_they_are_over(db: Database) -> None:
    ask(db, "nic")
    (view,) = list_freezes(db, now=w.NOW)
    assert [exemption.id for exemption in view.exemptions] == ["exm_1"]
    end_freeze(db, FREEZE, now=w.NOW + HOUR)
    assert list_freezes(db, now=w.NOW + HOUR) == ()


@pytest.mark.parametrize(
    ("updates", "codes"),
    [
        (("os",), ["FREEZE_NOT_EXEMPT"]),
        (("nic", "os", "gpu"), ["FREEZE_NOT_EXEMPT", "FREEZE_NOT_EXEMPT"]),
        (("nik", "oz"), ["NO_SUCH_UPDATE", "NO_SUCH_UPDATE"]),
    ],
)
def test_what_the_policy_does_not_exempt_is_not_even_asked(
    db: Database, updates: tuple[str, ...], codes: list[str]
) -> None:
    with pytest.raises(Refusal) as refused:
        ask(db, *updates)
    assert [why.code.value for why in refused.value.reasons] == codes


@pytest.mark.parametrize("why", ["", " ", "\t\n"])
def test_without_a_reason_nothing_is_asked(db: Database, why: str) -> None:
    with pytest.raises(Refusal, match="An exemption from freeze_1 needs a reason") as refused:
        ask(db, "nic", why=why)
    assert refused.value.reason.code.value == "REASON_MISSING"
    (view,) = list_freezes(db, now=w.NOW)
    assert view.exemptions == ()


def test_one_person_alone_is_not_enough(db: Database) -> None:
    ask(db, "nic", actor="ann")
    with pytest.raises(Refusal, match="a second person") as refused:
        confirm(db, "ann")
    assert refused.value.reason.code.value == "SAME_PERSON"
    assert confirm(db, "bo").confirmed is not None


@pytest.mark.parametrize(
    ("actor", "exemption", "code"),
    [("carl", "exm_1", "APPROVER_UNKNOWN"), ("ann", "exm_2", "EXEMPTION_UNKNOWN")],
)
def test_a_wrong_confirmation_is_refused(db: Database, actor: str, exemption: str, code: str) -> None:
    ask(db, "nic")
    with pytest.raises(Refusal) as refused:
        confirm(db, actor, exemption)
    assert refused.value.reason.code.value == code
    assert outcome(db) is Outcome.WAITS


def test_it_is_confirmed_once_and_while_the_freeze_lasts(db: Database) -> None:
    ask(db, "nic")
    confirm(db)
    with pytest.raises(Refusal, match="was confirmed by ann"):
        confirm(db, "bo")
    end_freeze(db, FREEZE, now=w.NOW)
    with pytest.raises(Refusal, match="No freeze freeze_1"):
        ask(db, "nic", actor="bo")


def open_repair(
    db: Database, node: str = "alpha-n00", criticality: Criticality = Criticality.CRITICAL_SECURITY
) -> OrderId:
    new = NewOrder(
        kind=RequestKind.REPAIR,
        target=Target(level=TargetLevel.NODE, name=node),
        cause="its power supply smokes",
        criticality=criticality,
    )
    (opened,) = open_orders(db, [new], now=w.NOW, actor="operator-1", new_id=lambda prefix: f"{prefix}_{node}")
    return opened.order.id


def why_not(db: Database, order: OrderId) -> set[Code]:
    """Why the order does not begin within the freeze; it does begin when there is no reason."""
    try:
        start_order(db, order, now=w.NOW + 2 * HOUR, actor="operator-1", drained=True)
    except Refusal as refusal:
        return {why.code for why in refusal.reasons}
    return set()


def ask_for_orders(db: Database, *orders: OrderId, kinds: frozenset[MaintenanceKind] = frozenset()) -> Exemption:
    wanted = ExemptionOrder(
        freeze=FREEZE,
        updates=frozenset(),
        orders=frozenset(orders),
        kinds=kinds,
        reason="it smokes",
        actor="conductor-1",
    )
    return ask_exemption(db, wanted, now=w.NOW, new_id=lambda prefix: f"{prefix}_1")


def test_a_work_order_passes_a_freeze_once_two_people_named_it(db: Database) -> None:
    order, other = open_repair(db), open_repair(db, "alpha-n01")
    assert why_not(db, order) == {Code.FROZEN}
    asked = ask_for_orders(db, order)
    assert why_not(db, order) == {Code.FROZEN}, "one person is not enough"
    with pytest.raises(Refusal) as refused:
        confirm_exemption(db, asked.id, now=w.NOW, actor="conductor-1")
    assert refused.value.reason.code is Code.APPROVER_UNKNOWN
    confirm(db)
    (view,) = list_freezes(db, now=w.NOW)
    assert view.exemptions[0].orders == {order}
    assert (why_not(db, other), why_not(db, order)) == ({Code.FROZEN}, set())


def test_a_kind_of_work_passes_with_orders_to_come_but_never_one_of_another_criticality(db: Database) -> None:
    ask_for_orders(db, kinds=frozenset({MaintenanceKind.REPAIR}))
    confirm(db)
    later, regular = open_repair(db), open_repair(db, "alpha-n01", Criticality.REGULAR)
    assert why_not(db, regular) >= {Code.FROZEN}
    assert why_not(db, later) == set()
    assert outcome(db) is Outcome.WAITS, "updates are named one by one"


def test_orders_that_may_not_pass_are_refused_with_every_reason(db: Database) -> None:
    regular = open_repair(db, criticality=Criticality.REGULAR)
    over = open_repair(db, "alpha-n01")
    cancel_order(db, over, now=w.NOW, actor="operator-1")
    for orders, kinds, codes in (
        ((), (), [Code.EXEMPTION_NAMES_NOTHING]),
        ((), (MaintenanceKind.DEPLOYMENT,), [Code.EXEMPTION_NAMES_NOTHING]),
        ((regular,), (), [Code.FREEZE_NOT_EXEMPT]),
        ((over, OrderId("wo_x")), (), [Code.ORDER_UNKNOWN, Code.ORDER_UNKNOWN]),
    ):
        with pytest.raises(Refusal) as refused:
            ask_for_orders(db, *orders, kinds=frozenset(kinds))
        assert [why.code for why in refused.value.reasons] == codes


def test_where_the_policy_exempts_nothing_no_kind_of_work_passes(db: Database) -> None:
    strict = replace(w.customer(), approvers=("ann",), except_criticality=frozenset())
    policy = replace(SCENARIO.policy, customers={CustomerId("lumen"): strict})
    import_set(db, ImportSet(policy=policy), now=w.NOW, actor="operator-1")
    with pytest.raises(Refusal) as refused:
        ask_for_orders(db, kinds=frozenset({MaintenanceKind.REPAIR}))
    assert refused.value.reason.code is Code.FREEZE_NOT_EXEMPT
