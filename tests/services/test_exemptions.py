"""What may pass a freeze: a criticality that the customer exempts, asked by one person and confirmed by another."""

from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from tests.constraints import world as w

from fermata.domain.ids import CustomerId, ExemptionId, FreezeId, UpdateId
from fermata.domain.policy import Exemption, Scope, ScopeLevel
from fermata.domain.policy_trial import Outcome
from fermata.domain.updates import Criticality
from fermata.services.errors import Refusal
from fermata.services.exemptions import ExemptionOrder, ask_exemption, confirm_exemption
from fermata.services.freezes import FreezeOrder, add_freeze, end_freeze, list_freezes
from fermata.services.inventory import ImportSet, import_set
from fermata.services.policy import try_update
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


def ask(db: Database, *updates: str, actor: str = "conductor-1") -> Exemption:
    order = ExemptionOrder(
        freeze=FREEZE, updates=frozenset(map(UpdateId, updates)), reason="exploited in the field", actor=actor
    )
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
