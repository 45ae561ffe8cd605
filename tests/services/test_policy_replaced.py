"""The stored policy read, tried beside another, and replaced: what is told beforehand is what comes of it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.constraints import world as w
from tests.formats.conftest import Small, small

from fermata.domain.ids import CustomerId, FreezeId, NodeId, UpdateId
from fermata.domain.policy import Freeze, MaintenanceKind, Notice, Policy, PolicyRule, Scope, ScopeLevel, Stance
from fermata.domain.policy_trial import Outcome
from fermata.domain.reasons import Code
from fermata.domain.recurrence import RecurringWindow, parse_recurrence
from fermata.domain.request_kinds import RequestKind
from fermata.domain.work_orders import Target, TargetLevel
from fermata.formats.policy import read_policy
from fermata.formats.policy_written import policy_document, write_document
from fermata.formats.scenario import read_scenario
from fermata.services import inventory
from fermata.services.errors import Refusal
from fermata.services.policy import preview_policy, refuse_other, replace_policy, show_policy, try_update
from fermata.services.work_orders import NewOrder, open_orders
from fermata.store import inventory as inventory_rows
from fermata.store import journal
from fermata.store.database import Database

__all__ = ["small"]
LUMEN = CustomerId("lumen")
ALLOWED = PolicyRule(
    id="alpha", stance=Stance.ALLOW, scope=Scope(level=ScopeLevel.NODE, name="alpha-n1"),
    kinds=frozenset(MaintenanceKind),
)  # fmt: skip


@pytest.fixture
def stored(db: Database, small: Small) -> Policy:
    """The small scenario, imported; its policy."""
    read = read_scenario(small.folder)
    given = inventory.ImportSet(fleet=read.fleet, catalogue=read.catalogue, policy=read.policy)
    inventory.import_set(db, given, now=w.NOW, actor="tests")
    return read.policy


def ruled(policy: Policy, *rules: PolicyRule, customer: CustomerId = LUMEN) -> Policy:
    changed = replace(policy.customers[customer], rules=rules)
    return replace(policy, customers={**policy.customers, customer: changed})


def stated(db: Database) -> Policy:
    with db.read() as conn:
        return inventory_rows.load_stated_policy(conn)


def test_a_policy_that_is_written_reads_as_the_same(stored: Policy, tmp_path: Path) -> None:
    window = RecurringWindow(
        id="nights",
        start=w.NOW.replace(tzinfo=None),
        duration=timedelta(hours=6, minutes=30),
        zone="Europe/Paris",
        recurrence=parse_recurrence("Month Last Sunday Offset-3"),
        expires=w.NOW.replace(tzinfo=None) + timedelta(days=90),
    )
    nights = PolicyRule(id="nights", stance=Stance.ALLOW_IN_WINDOWS, kinds=ALLOWED.kinds, windows=("nights",))
    rich = ruled(stored, ALLOWED, nights)
    lumen = replace(rich.customers[LUMEN], windows=(window,))
    rich = replace(rich, customers={**rich.customers, LUMEN: lumen}, notice=Notice(regular_update=30))
    for number, policy in enumerate((stored, rich)):
        path = tmp_path / f"{number}.yaml"
        path.write_text(write_document(policy_document(policy)))
        assert read_policy(path) == policy


def test_the_preview_names_every_ruling_that_changes_and_what_would_happen(db: Database, stored: Policy) -> None:
    order = NewOrder(kind=RequestKind.REPAIR, target=Target(level=TargetLevel.NODE, name="alpha-n1"), cause="it flaps")
    (opened,) = open_orders(db, [order], now=w.NOW, actor="tests", new_id=lambda prefix: f"{prefix}_1")
    found = preview_policy(db, ruled(stored, ALLOWED), now=w.NOW)
    told = {(e.update or e.order, e.after.rule, e.after.stance, e.nodes, e.example) for e in found.effects.rulings}
    assert {line[1:] for line in told} == {("alpha", Stance.ALLOW, 1, NodeId("alpha-n1"))}
    assert opened.order.id in {line[0] for line in told}
    assert UpdateId("host-os-2026.1") in {line[0] for line in told}
    pairs = {e.after.update: (e.before.outcome, e.after.outcome) for e in found.examples}
    assert pairs[UpdateId("host-os-2026.1")] == (Outcome.NEEDS_APPROVAL, Outcome.ALLOWED)
    assert stated(db) == stored, "nothing was done"
    assert try_update(db, "alpha-n1", "host-os-2026.1", at=w.NOW).outcome is Outcome.NEEDS_APPROVAL


def test_the_preview_names_the_customers_and_the_freezes_that_differ_and_no_others(
    db: Database, stored: Policy
) -> None:
    place = Scope(level=ScopeLevel.CLUSTER, name="alpha")
    kept = Freeze(
        id=FreezeId("kept"), customer=LUMEN, scope=place, start=w.NOW, end=w.NOW + timedelta(days=1), reason="a launch"
    )
    gone, added = replace(kept, id=FreezeId("gone")), replace(kept, id=FreezeId("added"))
    replace_policy(db, replace(stored, freezes=(*stored.freezes, kept, gone)), now=w.NOW, actor="ann")
    wanted = replace(ruled(stored, ALLOWED), freezes=(*stored.freezes, kept, added))
    effects = preview_policy(db, wanted, now=w.NOW).effects
    assert len(stored.customers) > 1, "there is one of whom nothing changes"
    assert effects.customers == (LUMEN,)
    assert (effects.freezes_added, effects.freezes_gone) == ((added,), (gone,))


def test_what_is_replaced_is_what_was_told_and_holds_at_once(db: Database, stored: Policy) -> None:
    wanted = replace(ruled(stored, ALLOWED), notice=replace(stored.notice, regular_update=10))
    told = preview_policy(db, wanted, now=w.NOW)
    done = replace_policy(db, wanted, now=w.NOW, actor="ann", why="agreed", check=refuse_other(told.before_sha256))
    assert done == told
    assert done.effects.due != ()
    assert (stated(db), show_policy(db).sha256) == (wanted, done.sha256)
    assert try_update(db, "alpha-n1", "host-os-2026.1", at=w.NOW).outcome is Outcome.ALLOWED
    assert try_update(db, "alpha-n0", "host-os-2026.1", at=w.NOW).outcome is Outcome.NEEDS_APPROVAL
    with db.read() as conn:
        assert [(e.actor, e.why) for e in journal.read(conn, subject="policy")][-1] == ("ann", "agreed")
    assert not preview_policy(db, wanted, now=w.NOW).changes


def test_another_policy_than_was_looked_at_is_not_replaced(db: Database, stored: Policy) -> None:
    seen = show_policy(db).sha256
    replace_policy(db, ruled(stored, ALLOWED), now=w.NOW, actor="ann")
    with pytest.raises(Refusal) as refused:
        replace_policy(db, stored, now=w.NOW, actor="bo", check=refuse_other(seen))
    assert refused.value.reason.code is Code.POLICY_CHANGED
    assert stated(db) == ruled(stored, ALLOWED)


def test_what_is_said_of_parts_that_are_not_there_is_refused_with_every_reason(db: Database, stored: Policy) -> None:
    foreign = replace(ALLOWED, id="theirs", scope=Scope(level=ScopeLevel.CLUSTER, name="beta"))
    nowhere = replace(ALLOWED, id="nowhere", scope=Scope(level=ScopeLevel.RACK, name="r-x"))
    freeze = Freeze(
        id=FreezeId("f-new"),
        customer=LUMEN,
        scope=foreign.scope or Scope(level=ScopeLevel.NODE, name=""),
        start=w.NOW,
        end=w.NOW + timedelta(days=1),
        reason="x",
    )
    wrong = replace(ruled(stored, foreign, nowhere), freezes=(*stored.freezes, freeze))
    for say in (preview_policy, lambda *given, now: replace_policy(*given, now=now, actor="ann")):
        with pytest.raises(Refusal) as refused:
            say(db, wrong, now=w.NOW)
        assert [why.code for why in refused.value.reasons] == [
            Code.RULE_NOT_YOURS,
            Code.SCOPE_UNKNOWN,
            Code.FREEZE_NOT_YOURS,
        ]
    assert stated(db) == stored
