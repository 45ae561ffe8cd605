"""What `fermata doctor` reads from a store, on either database, and that it changes nothing there."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import insert, make_url, text
from tests.constraints import world as w
from tests.services.test_audit import ENTRY, tamper
from tests.services.test_backups import LEASE, RUN

from fermata.domain.doctor_facts import StoreFacts
from fermata.domain.ids import ClusterId, CustomerId
from fermata.domain.intents import EVERYWHERE, Intent, ScopeKind
from fermata.domain.policy import Notice, Policy
from fermata.domain.reasons import Code
from fermata.domain.run_states import Desired
from fermata.services import audit, doctor
from fermata.services.inventory import ImportSet, import_set
from fermata.store import intents, journal, plans
from fermata.store.database import Database, migrate
from fermata.store.leases import lease
from fermata.store.opening import open_database
from fermata.store.runs import run

CUSTOMER = CustomerId("lumen")


@pytest.fixture
def filled(store_url: str) -> Iterator[Database]:
    """A fleet, its policy and a campaign."""
    database = open_database(store_url)
    case = w.scenario()
    said = ImportSet(fleet=case.fleet, catalogue=case.catalogue, policy=case.policy, campaign=case.campaign)
    import_set(database, said, now=w.NOW, actor="ann")
    yield database
    database.close()


def facts(url: str) -> StoreFacts:
    look, _ = doctor.look(url, now=w.NOW)
    assert look.facts is not None, look
    return look.facts


def rule(database: Database, policy: Policy) -> None:
    import_set(database, ImportSet(policy=policy), now=w.NOW, actor="ann")


def test_a_store_as_it_should_be_has_nothing_to_tell(filled: Database, store_url: str) -> None:
    found = facts(store_url)
    assert (found.unapproved, found.unruled, found.zones, found.in_force, found.brake) == ((), (), (), (), None)
    assert (found.journal.begins, found.journal.broken) == (w.NOW, None)
    with filled.read() as conn:
        assert found.journal.lines == journal.read_head(conn)[0]
    if found.clock_ahead is not None:
        assert abs(found.clock_ahead) < timedelta(seconds=2)


def test_customers_without_approvers_or_policy_are_named(filled: Database, store_url: str) -> None:
    silent = replace(w.scenario().policy.customers[CUSTOMER], approvers=())
    rule(filled, Policy(customers={CUSTOMER: silent}, notice=Notice(), freezes=()))
    assert facts(store_url).unapproved == (CUSTOMER,)
    rule(filled, Policy(customers={}, notice=Notice(), freezes=()))
    assert facts(store_url).unruled == ((CUSTOMER, 23),)


def test_a_zone_that_this_machine_does_not_know_is_named(filled: Database, store_url: str) -> None:
    with filled.begin() as conn:
        conn.execute(text("UPDATE cluster SET timezone = 'Mars/Olympus' WHERE name = :name"), {"name": "alpha"})
    assert facts(store_url).zones == (("Mars/Olympus", f"cluster {ClusterId('alpha')}"),)


def test_the_plan_in_force_is_named_until_it_is_over(filled: Database, store_url: str) -> None:
    case = w.scenario()
    plan = w.plan(case, w.windows(case))
    with filled.begin() as conn:
        plans.save_plan(conn, plan, w.NOW)
    assert facts(store_url).in_force == ()
    with filled.begin() as conn:
        plans.publish_plan(conn, plan.id, w.NOW)
    (found,) = facts(store_url).in_force
    assert (found.plan, found.campaign, found.needs_metrics) == (plan.id, plan.campaign, False)
    later = max(window.end for window in plan.windows)
    look, _ = doctor.look(store_url, now=later)
    assert look.facts is not None
    assert look.facts.in_force == ()
    with filled.begin() as conn:
        conn.execute(insert(run), {**RUN, "campaign": plan.campaign, "plan": plan.id, "state": "finished"})
    assert facts(store_url).in_force == ()


def test_the_brake_and_leases_that_are_held_are_told(filled: Database, store_url: str) -> None:
    word = Intent(kind=ScopeKind.BRAKE, scope=EVERYWHERE, desired=Desired.PAUSE, actor="ann", why="smoke", at=w.NOW)
    with filled.begin() as conn:
        intents.append_intent(conn, word)
        conn.execute(insert(run), RUN)
        conn.execute(insert(lease), [LEASE, {**LEASE, "window": "w1", "owner": ""}])
    look, held = doctor.look(store_url, now=w.NOW)
    assert look.facts is not None
    assert look.facts.brake is not None
    assert look.facts.brake.actor == "ann"
    assert [(each.run, each.window, each.owner) for each in held] == [("run_1", "", "worker-1")]


def test_a_line_that_was_edited_is_found_among_the_last(filled: Database, store_url: str) -> None:
    with filled.begin() as conn:
        journal.append_many(conn, [replace(ENTRY, subject=f"node:n{i}") for i in range(9)])
    tamper(filled, lambda conn: conn.execute(text("UPDATE journal SET why = 'nobody' WHERE seq = 3")))
    broken = facts(store_url).journal.broken
    assert broken is not None
    assert broken.code is Code.JOURNAL_LINE_CHANGED
    assert "Line 3 " in broken.sentence


@pytest.mark.databases("postgresql")
def test_a_role_that_may_take_lines_back_is_told_until_the_grants_are_applied(filled: Database, store_url: str) -> None:
    owner = facts(store_url)
    assert (owner.unguarded, owner.role) == (audit.APPEND_ONLY, make_url(store_url).username)
    plain = make_url(store_url).set(drivername="postgresql").render_as_string(hide_password=False)
    role = "fermata_doctor_test"
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN".encode())
        try:
            connection.execute(audit.grants_of(role).encode())
            url = make_url(store_url).set(username=role).render_as_string(hide_password=False)
            found = facts(url)
            assert (found.unguarded, found.role) == ((), role)
        finally:
            connection.execute(f"DROP OWNED BY {role}".encode())
            connection.execute(f"DROP ROLE {role}".encode())


def test_a_store_of_another_release_is_told_and_left_as_it_is(empty_store_url: str) -> None:
    migrate(empty_store_url, "0033")
    look, held = doctor.look(empty_store_url, now=w.NOW)
    assert (look.found, look.facts, held) == ("0033", None, ())
    assert look.known > look.found
    assert doctor.look(empty_store_url, now=w.NOW)[0] == look


def test_a_store_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    place = tmp_path / "none.db"
    look, _ = doctor.look(f"sqlite:///{place}", now=w.NOW)
    assert (look.why, place.exists()) == ("there is no such file", False)
    nobody, _ = doctor.look("postgresql+psycopg://nobody:secret@127.0.0.1:1/none", now=w.NOW)
    assert nobody.why
    assert "secret" not in f"{nobody.place} {nobody.why}"
