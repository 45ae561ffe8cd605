"""Old lines in a file of their own: what is left is still proven, archive and store together, and nothing goes that
somebody needs.
"""

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import insert, make_url, text
from tests.constraints import world as w
from tests.services.notice_world import Desk
from tests.services.test_audit import ENTRY, ODD, tamper
from tests.services.test_backups import RUN, told
from tests.services.test_notices_pruned import desk, rows

from fermata.domain.checkpoints import Checkpoint
from fermata.formats import checkpoints
from fermata.services import archives, audit, backups
from fermata.services.audit import Evidence
from fermata.services.errors import Refusal
from fermata.services.inventory import ImportSet, import_set
from fermata.store import cuts, journal, plans
from fermata.store.database import Database, StoreUnavailable
from fermata.store.opening import open_database
from fermata.store.runs import run

__all__ = ["desk"]

LINES = 30  # a day apart
LATE = w.NOW + timedelta(days=400)


@pytest.fixture
def db(store_url: str, tmp_path: Path) -> Iterator[Database]:
    """A journal of a month, the first line with odd facts."""
    database = open_database(store_url, seal_key=tmp_path / "seal")
    entries = [replace(ENTRY, subject=f"node:n{i}", at=w.NOW + timedelta(days=i)) for i in range(LINES)]
    with database.begin() as conn:
        journal.append_many(conn, [replace(entries[0], data=ODD), *entries[1:]])
    yield database
    database.close()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A private one; its public one stands beside it."""
    checkpoints.make_key(tmp_path / "audit.key")
    return tmp_path / "audit.key"


@pytest.fixture
def public(key: Path) -> Path:
    return key.with_name("audit.key.pub")


def cut(db: Database, key: Path, name: str, days: int) -> Path:
    file = key.with_name(name)
    at = w.NOW + timedelta(days=days)
    archives.archive(db, file, at, key, told, now=LATE, actor="ann")
    return file


def verify(db: Database, *files: Path, key: Path | None = None, points: tuple[Checkpoint, ...] = ()) -> audit.Verified:
    return audit.verify(db, Evidence(checkpoints=points, archives=files, key=key), told)


def codes(found: audit.Verified) -> list[str]:
    return [str(why.code) for why in (*((found.broken,) if found.broken else ()), *found.unmet)]


def rewrite(file: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """As somebody does who can write to the archive."""
    told = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    change(told)
    file.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in told).encode()))


def point_at(db: Database, seq: int) -> Checkpoint:
    with db.read() as conn:
        (line,) = cuts.read_page(conn, seq - 1, seq)
    assert line.hash is not None
    return Checkpoint(seq=seq, head=line.hash.hex(), at=w.NOW)


def test_what_is_left_is_proven_alone_and_with_its_archives(db: Database, key: Path, public: Path) -> None:
    early = point_at(db, 4)
    first, second = cut(db, key, "a.journal.gz", 10), cut(db, key, "b.journal.gz", 20)
    with db.read() as conn:
        left = journal.read(conn)
        assert (left[0].seq, left[-1].event, left[-1].data["last"]) == (21, "journal.archived", 20)
    alone = verify(db, key=public, points=(early,))
    assert (codes(alone), alone.lines, alone.begins, alone.archived, alone.behind) == ([], 12, 20, 0, 1)
    whole = verify(db, second, first, key=public, points=(early,))
    assert (codes(whole), whole.lines, whole.archived, whole.behind) == ([], 12, 20, 0)
    with db.begin() as conn:
        assert journal.append(conn, ENTRY) == 33
    assert verify(db, first, second, key=public).holds


def test_lines_come_back_from_an_archive_as_they_were(db: Database, key: Path) -> None:
    with db.read() as conn:
        before = journal.read_linked(conn, 0)[:10]
    file = cut(db, key, "a.journal.gz", 10)
    rows_there = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert [cuts.from_plain(row["line"]) for row in rows_there if "line" in row] == list(before)
    assert (file.stat().st_mode & 0o777, rows_there[-1]) == (0o600, {"end": {"lines": 10, "notices": 0}})


CHANGES: dict[str, tuple[Callable[[list[dict[str, Any]]], object], str]] = {
    "edited": (lambda told: told[3]["line"].update(actor="nobody"), "ARCHIVE_CHANGED"),
    "facts": (lambda told: told[3]["line"]["data"].update(n=2), "ARCHIVE_CHANGED"),
    "removed": (lambda told: told.pop(4), "ARCHIVE_CHANGED"),
    "swapped": (lambda told: told.insert(3, told.pop(4)), "ARCHIVE_CHANGED"),
    "put in": (lambda told: told.insert(3, told[3]), "ARCHIVE_CHANGED"),
    "last line": (lambda told: told.pop(-2), "ARCHIVE_UNREADABLE"),
    "end": (lambda told: told.pop(-1), "ARCHIVE_UNREADABLE"),
    "no hash": (lambda told: told[3]["line"].update(hash=None), "ARCHIVE_UNREADABLE"),
    "head": (lambda told: told[0].update(head="00" * 32), "ARCHIVE_UNSIGNED"),
    "signature": (lambda told: told[0].update(signature="AAAA"), "ARCHIVE_UNSIGNED"),
    "schema": (lambda told: told[0].update(schema="other/1"), "ARCHIVE_UNREADABLE"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.databases("sqlite")
def test_an_archive_that_somebody_wrote_to_is_found_out(db: Database, key: Path, public: Path, change: str) -> None:
    file = cut(db, key, "a.journal.gz", 10)
    how, code = CHANGES[change]
    rewrite(file, how)
    found = verify(db, file, key=public)
    assert codes(found) == [code]
    assert not found.holds


@pytest.mark.databases("sqlite")
def test_an_archive_that_was_only_packed_anew_is_not_the_one_of_the_cut(db: Database, key: Path) -> None:
    file = cut(db, key, "a.journal.gz", 10)
    rewrite(file, lambda told: told[0].update(note="harmless"))
    assert codes(verify(db, file)) == ["CUT_UNMET"]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", gzip.compress(b"[1]\n"), gzip.compress(b"\0" * (17 << 20))],
    ids=["empty", "not packed", "no line of ours", "a line without end"],
)
def test_what_is_no_archive_is_told_and_not_read_into_memory(db: Database, key: Path, content: bytes) -> None:
    file = cut(db, key, "a.journal.gz", 10)
    file.write_bytes(content)
    assert codes(verify(db, file)) == ["ARCHIVE_UNREADABLE"]


def test_lines_edited_after_the_cut_are_found(db: Database, key: Path) -> None:
    cut(db, key, "a.journal.gz", 10)
    tamper(db, lambda conn: conn.execute(text("UPDATE journal SET actor = 'nobody' WHERE seq = 11")))
    assert codes(verify(db)) == ["JOURNAL_LINE_CHANGED"]


def test_lines_taken_away_without_a_cut_are_found(db: Database, key: Path) -> None:
    cut(db, key, "a.journal.gz", 10)
    tamper(db, lambda conn: conn.execute(text("DELETE FROM journal WHERE seq <= 12")))
    assert codes(verify(db)) == ["JOURNAL_LINES_GONE"]


def test_a_cut_that_nobody_signed_is_found_with_the_key(db: Database, key: Path, public: Path) -> None:
    """Who may do all with the database takes lines away and says that they are archived."""
    forged = point_at(db, 12)
    row = "INSERT INTO journal_cut VALUES (12, 1, :zero, :head, :at, 'AAAA', 'gone.gz', '00')"
    values = {"zero": bytes(32), "head": bytes.fromhex(forged.head), "at": "2026-01-01 00:00:00"}

    def forge(conn: Any) -> None:
        conn.execute(text(row), values)
        conn.execute(text("DELETE FROM journal WHERE seq <= 12"))

    tamper(db, forge)
    assert verify(db).holds  # which is why the key is there
    assert codes(verify(db, key=public)) == ["CUT_UNSIGNED"]


def test_an_archive_in_between_that_is_not_given_is_missed(db: Database, key: Path) -> None:
    first, second, third = (cut(db, key, f"{days}.journal.gz", days) for days in (5, 10, 15))
    assert codes(verify(db, first, third)) == ["ARCHIVE_MISSING"]
    assert codes(verify(db, first, second)) == ["ARCHIVE_MISSING"]
    assert verify(db, second, third).holds  # from line 6 on
    assert verify(db, first, second, third).holds


def test_the_database_lets_no_line_go_that_no_cut_let_go(db: Database, key: Path) -> None:
    with pytest.raises(StoreUnavailable, match="append-only"), db.begin() as conn:
        conn.execute(text("DELETE FROM journal WHERE seq = 1"))
    cut(db, key, "a.journal.gz", 10)
    for sql in (
        "DELETE FROM journal WHERE seq = 11",
        "DELETE FROM journal",
        "UPDATE journal SET actor = 'nobody'",
        "DELETE FROM journal_cut",
        "UPDATE journal_cut SET seq = 20",
    ):
        with pytest.raises(StoreUnavailable, match="append-only"), db.begin() as conn:
            conn.execute(text(sql))


def test_a_cut_that_was_killed_before_its_lines_were_gone_is_ended_by_the_next(
    db: Database, key: Path, public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(cuts, "drop_lines", lambda *_: 0)
        first = cut(db, key, "a.journal.gz", 10)
    assert verify(db, first, key=public).lines == LINES + 1
    with db.begin() as conn:
        cuts.drop_lines(conn, 10, 4)
    assert verify(db, first, key=public).holds  # those that are left of it are before the cut
    second = cut(db, key, "b.journal.gz", 20)
    with db.read() as conn:
        assert journal.read(conn)[0].seq == 21
    assert verify(db, first, second, key=public).holds


def test_a_journal_that_does_not_fit_is_not_archived(db: Database, key: Path) -> None:
    tamper(db, lambda conn: conn.execute(text("UPDATE journal SET actor = 'nobody' WHERE seq = 3")))
    with pytest.raises(Refusal, match="ARCHIVE_BROKEN"):
        cut(db, key, "a.journal.gz", 10)
    with db.read() as conn:
        assert (journal.read(conn)[0].seq, cuts.load_cuts(conn)) == (1, ())
    assert sorted(path.name for path in key.parent.glob("*.gz*")) == []


def test_nothing_is_there_to_archive_or_the_file_is(db: Database, key: Path) -> None:
    with pytest.raises(Refusal, match="ARCHIVE_EMPTY"):
        cut(db, key, "a.journal.gz", 0)
    cut(db, key, "a.journal.gz", 10)
    with pytest.raises(Refusal, match="ARCHIVE_EXISTS"):
        cut(db, key, "a.journal.gz", 20)
    with pytest.raises(Refusal, match="ARCHIVE_EMPTY"):
        cut(db, key, "b.journal.gz", 10)


def test_the_last_line_stays_whatever_is_asked(db: Database, key: Path, public: Path) -> None:
    file = cut(db, key, "a.journal.gz", 4_000)
    found = verify(db, file, key=public)
    assert (found.lines, found.archived, codes(found)) == (2, LINES - 1, [])


def test_what_a_campaign_that_is_not_over_needs_stays(db: Database, key: Path) -> None:
    case = w.scenario()
    said = ImportSet(fleet=case.fleet, catalogue=case.catalogue, policy=case.policy, campaign=case.campaign)
    import_set(db, said, now=LATE, actor="ann")
    plan = w.plan(case, w.windows(case))
    with db.begin() as conn:
        plans.save_plan(conn, plan, w.NOW + timedelta(days=8))
        plans.publish_plan(conn, plan.id, w.NOW + timedelta(days=9))
        conn.execute(insert(run), {**RUN, "campaign": plan.campaign, "plan": plan.id})
    with pytest.raises(Refusal, match=f"ARCHIVE_NEEDED: Campaign {plan.campaign} is not over"):
        cut(db, key, "a.journal.gz", 10)
    cut(db, key, "a.journal.gz", 8)
    with db.begin() as conn:
        conn.execute(text("UPDATE run SET state = 'finished'"))
    cut(db, key, "b.journal.gz", 10)


def test_what_holds_until_the_next_word_is_said_again(db: Database, key: Path) -> None:
    word = replace(ENTRY, event="site.served", subject="site", data={"routes": [1, 2]})
    with db.begin() as conn:
        journal.append(conn, word)
        journal.append_many(conn, [replace(ENTRY, at=w.NOW + timedelta(days=50))] * 2)
    cut(db, key, "a.journal.gz", 40)
    with db.read() as conn:
        found = journal.read_last(conn, "site")
    assert found is not None
    assert (found.data, found.actor, found.event) == (word.data, word.actor, "site.served")


def test_notices_that_nobody_needs_go_with_the_lines(desk: Desk, tmp_path: Path, key: Path) -> None:
    before = rows(desk)
    with desk.db.begin() as conn:
        journal.append(conn, replace(ENTRY, at=LATE))
    file = tmp_path / "a.journal.gz"
    made = archives.archive(desk.db, file, w.NOW + timedelta(days=300), key, told, now=LATE, actor="ann")
    told_there = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    gone = [row["notice"] for row in told_there if "notice" in row]
    after = rows(desk)
    assert len(gone) == made.notices == before[0] - after[0] > 0
    assert sum(len(notice["deliveries"]) for notice in gone) == before[1] - after[1] > 0
    assert verify(desk.db, file).holds


def test_a_backup_of_a_journal_that_was_cut_is_restored_and_still_proven(
    db: Database, key: Path, public: Path, tmp_path: Path
) -> None:
    file = cut(db, key, "a.journal.gz", 10)
    backups.back_up(db, tmp_path / "backup.db")
    target = f"sqlite:///{tmp_path / 'restored.db'}"
    backups.restore(tmp_path / "backup.db", target, told, now=LATE, actor="ann")
    restored = open_database(target)
    assert verify(restored, file, key=public).holds
    restored.close()


def test_an_old_backup_and_an_archive_made_since_fit_together(
    db: Database, key: Path, public: Path, tmp_path: Path
) -> None:
    backups.back_up(db, tmp_path / "old.db")
    file = cut(db, key, "a.journal.gz", 10)
    old = open_database(f"sqlite:///{tmp_path / 'old.db'}")
    assert verify(old, file, key=public).holds
    tamper(old, lambda conn: conn.execute(text("UPDATE journal SET hash = x'00' WHERE seq = 10")))
    assert codes(verify(old, file, key=public)) == ["JOURNAL_LINE_CHANGED", "CUT_UNMET"]
    old.close()


@pytest.mark.databases("postgresql")
def test_the_role_of_the_server_can_neither_cut_nor_archive(db: Database, store_url: str, key: Path) -> None:
    role = "fermata_archive_test"
    plain = make_url(store_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN".encode())
        try:
            connection.execute(audit.grants_of(role).encode())
            served = Database(make_url(store_url).set(username=role).render_as_string(hide_password=False))
            with pytest.raises(Refusal, match="ARCHIVE_FORBIDDEN"):
                cut(served, key, "a.journal.gz", 10)
            row = "INSERT INTO journal_cut VALUES (12, 1, '', '', now(), '', '', '')"
            for sql in (row, "DELETE FROM journal WHERE seq <= 12"):
                with pytest.raises(StoreUnavailable, match="permission denied"), served.begin() as conn:
                    conn.execute(text(sql))
            served.close()
        finally:
            connection.execute(f"DROP OWNED BY {role}".encode())
            connection.execute(f"DROP ROLE {role}".encode())
