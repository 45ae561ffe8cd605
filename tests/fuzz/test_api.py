"""What is said of callers who ask the whole API holds, and what they should not have done is found."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.conftest import copy_sqlite
from tests.fuzz.api_callers import judge_journal, list_callers, list_forbidden
from tests.tenants import world

from fermata.store import journal
from fermata.store.database import Database

CALLERS = list_callers()


@pytest.mark.parametrize(
    ("key", "may", "may_not"),
    [
        ("viewer-of-a-customer", "GET /api/v1/freezes", "POST /api/v1/freezes"),
        ("approver-of-a-customer", "POST /api/v1/freezes", "POST /api/v1/brake/off"),
        ("auditor-of-everything", "GET /api/v1/journal", "POST /api/v1/approvals"),
        ("automation-of-a-supercomputer", "POST /api/v1/work-orders", "POST /api/v1/campaigns/{campaign}/plan"),
    ],
)
def test_what_none_of_a_callers_roles_may_do_is_known_before_it_is_asked(key: str, may: str, may_not: str) -> None:
    forbidden = list_forbidden(CALLERS[key])
    assert may_not in forbidden
    assert may not in forbidden


def test_who_has_all_roles_is_forbidden_nothing_but_what_was_laid_down_for_emergencies() -> None:
    assert list_forbidden(CALLERS["the-whole"]) == ["POST /api/v1/break-glass"]


@pytest.mark.parametrize(
    ("key", "event", "subject", "is_found"),
    [
        ("viewer-of-a-customer", "freeze.added", "freeze:one", True),
        ("viewer-of-a-customer", "identity.token_revoked", "token:one", False),
        ("approver-of-a-customer", "consent.approved", "cluster:zqalpha", True),
        ("approver-of-a-customer", "consent.approved", "cluster:zqgamma", False),
        ("the-whole", "consent.approved", "cluster:zqalpha", False),
    ],
)
def test_what_somebody_changed_and_should_not_have_stands_in_the_journal(
    key: str, event: str, subject: str, is_found: bool, sqlite_template: Path, tmp_path: Path
) -> None:
    store, caller = tmp_path / "store.sqlite", CALLERS[key]
    copy_sqlite(sqlite_template, store)
    db = Database(f"sqlite:///{store}")
    lines = [("freeze.added", "freeze:before"), ("identity.token_made", "token:one"), (event, subject)]
    with db.begin() as conn:
        for at, (named, of) in enumerate(lines):
            when = world.NOW + timedelta(seconds=at)
            journal.append(conn, journal.Entry(at=when, actor=caller.name, event=named, subject=of, why=""))
    db.close()
    assert bool(judge_journal(store, caller)) == is_found
