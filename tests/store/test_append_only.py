"""Journal and ledger of consent: lines come back as written, in order, and nobody can change them."""

from dataclasses import replace

import pytest
from sqlalchemy import Table, delete, update
from tests.constraints import world as w

from fermata.domain.ids import ApprovalId, RequestId, UpdateId
from fermata.domain.policy import ConsentEntry, Scope, ScopeLevel, Verdict
from fermata.store import consent, journal
from fermata.store.database import Database, StoreUnavailable

ENTRY = journal.Entry(
    at=w.NOW,
    actor="operator-1",
    event="node.changed",
    subject="node:n1",
    why="moved",
    data={"rack": ["r1", "r2"], "n": 1.5},
)
WORD = ConsentEntry(
    seq=0,
    id=ApprovalId("apr_1"),
    request=RequestId("req_sc-alpha_deployment"),
    incarnation=3,
    updates=frozenset({UpdateId("nic"), UpdateId("os")}),
    scope=Scope(level=ScopeLevel.RACK, name="alpha-r0"),
    verdict=Verdict.APPROVED,
    actor="lumen-capacity",
    at=w.NOW,
    reason="",
)


def test_lines_come_back_as_written_with_their_seq(db: Database) -> None:
    with db.begin() as conn:
        first = journal.append(conn, ENTRY)
        journal.append_many(conn, [replace(ENTRY, subject=f"node:n{i}") for i in range(300)])
    with db.read() as conn:
        lines = journal.read(conn)
        assert lines[0] == replace(ENTRY, seq=first)
        assert [line.subject for line in lines[1:]] == [f"node:n{i}" for i in range(300)]
        assert [line.seq for line in lines] == sorted({line.seq for line in lines})


def test_the_journal_is_read_on_from_a_line_by_subject_and_by_page(db: Database) -> None:
    with db.begin() as conn:
        journal.append_many(conn, [replace(ENTRY, subject=f"node:n{i % 2}") for i in range(6)])
    with db.read() as conn:
        page = journal.read(conn, limit=4)
        assert len(page) == 4
        assert len(journal.read(conn, after_seq=page[-1].seq)) == 2
        assert len(journal.read(conn, subject="node:n1")) == 3


def test_the_ledger_keeps_the_order_in_which_words_were_given(db: Database) -> None:
    with db.begin() as conn:
        first = consent.append_entry(conn, WORD)
        more = [replace(WORD, id=ApprovalId(f"apr_x{i}"), verdict=Verdict.WITHDRAWN) for i in range(1500)]
        seqs = consent.append_entries(conn, more)
    with db.read() as conn:
        ledger = consent.load_ledger(conn)
    assert ledger[0] == replace(WORD, seq=first)
    assert [(entry.id, entry.seq) for entry in ledger[1:]] == [
        (entry.id, seq) for entry, seq in zip(more, seqs, strict=True)
    ]


@pytest.mark.parametrize("table", [journal.journal, consent.consent_entry], ids=lambda table: table.name)
def test_the_database_forbids_changing_or_deleting_a_line(db: Database, table: Table) -> None:
    with db.begin() as conn:
        journal.append(conn, ENTRY)
        consent.append_entry(conn, WORD)
    for statement in (update(table).values(actor="somebody else"), delete(table)):
        with pytest.raises(StoreUnavailable, match="append-only"), db.begin() as conn:
            conn.execute(statement)
    with db.read() as conn:
        assert journal.read(conn)[0].actor == "operator-1"
        assert consent.load_ledger(conn)[0].actor == "lumen-capacity"


def test_naive_times_are_refused(db: Database) -> None:
    with pytest.raises(ValueError, match="aware"), db.begin() as conn:
        journal.append(conn, replace(ENTRY, at=w.NOW.replace(tzinfo=None)))
