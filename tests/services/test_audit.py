"""The journal as evidence: whoever writes past us is found out, and the first line that does not fit is named."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, make_url, text, update
from tests.constraints import world as w

from fermata.domain.checkpoints import Checkpoint
from fermata.domain.reasons import Code
from fermata.formats import checkpoints
from fermata.formats.faults import BadInput
from fermata.services import audit
from fermata.services.errors import Refusal
from fermata.store import journal
from fermata.store.database import Database, StoreUnavailable, migrate
from fermata.store.journal import Entry
from fermata.store.opening import open_database

ENTRY = Entry(at=w.NOW, actor="ops", event="node.changed", subject="node:n1", why="moved", data={"n": 1, "share": 0.5})
ODD = {
    "whole": 2.0,
    "large": 1e17,
    "beyond": 1e22,
    "small": 1e-9,
    "ü": ["\u2028", None, {"b": 1, "a": -0.0}],
    "text": "1.0]",
}


@pytest.fixture
def db(store_url: str) -> Iterator[Database]:
    """A store with 25 lines, the first and the last written alone."""
    database = Database(store_url)
    with database.begin() as conn:
        journal.append(conn, replace(ENTRY, data=ODD))
        journal.append_many(conn, [replace(ENTRY, subject=f"node:n{i}", at=w.NOW + timedelta(i)) for i in range(2, 25)])
    with database.begin() as conn:
        journal.append(conn, ENTRY)
    yield database
    database.close()


def tamper(db: Database, change: Callable[[Connection], object]) -> None:
    """What somebody does who can write to the database and knows of the triggers."""
    with db.engine.begin() as conn:
        if conn.dialect.name == "sqlite":
            conn.execute(text("DROP TRIGGER journal_no_update"))
            conn.execute(text("DROP TRIGGER journal_no_delete"))
        else:
            conn.execute(text("ALTER TABLE journal DISABLE TRIGGER ALL"))
        change(conn)


def run(sql: str) -> Callable[[Connection], object]:
    def change(conn: Connection) -> object:
        return [conn.execute(text(part)) for part in sql.split(";")]

    return change


def verify(db: Database, *points: Checkpoint) -> audit.Verified:
    return audit.verify(db, audit.Evidence(checkpoints=points), lambda *_: None)


def test_lines_as_written_fit_on_either_database(db: Database) -> None:
    found = verify(db)
    assert (found.holds, found.lines, found.seq) == (True, 25, 25)


@pytest.mark.parametrize(
    ("change", "code", "lines"),
    [
        ("UPDATE journal SET why = 'never' WHERE seq = 7", Code.JOURNAL_LINE_CHANGED, 6),
        ("UPDATE journal SET actor = 'someone' WHERE seq = 25", Code.JOURNAL_LINE_CHANGED, 24),
        ('UPDATE journal SET data = \'{"n": 2, "share": 0.5}\' WHERE seq = 3', Code.JOURNAL_LINE_CHANGED, 2),
        ("UPDATE journal SET at = (SELECT at FROM journal WHERE seq = 9) WHERE seq = 10", Code.JOURNAL_LINE_CHANGED, 9),
        ("UPDATE journal SET hash = NULL WHERE seq = 4", Code.JOURNAL_LINE_CHANGED, 3),
        ("DELETE FROM journal WHERE seq = 1", Code.JOURNAL_LINES_GONE, 0),
        ("DELETE FROM journal WHERE seq IN (12, 13)", Code.JOURNAL_LINES_GONE, 11),
        (  # two change places
            (
                "UPDATE journal SET seq = 99 WHERE seq = 5;UPDATE journal SET seq = 5 WHERE seq = 6;"
                "UPDATE journal SET seq = 6 WHERE seq = 99"
            ),
            Code.JOURNAL_LINE_CHANGED,
            4,
        ),
        (  # one goes, and the next takes its number
            "DELETE FROM journal WHERE seq = 24;UPDATE journal SET seq = 24 WHERE seq = 25",
            Code.JOURNAL_LINE_CHANGED,
            23,
        ),
    ],
)
def test_the_first_line_that_does_not_fit_is_named(db: Database, change: str, code: Code, lines: int) -> None:
    tamper(db, run(change))
    found = verify(db)
    assert found.broken is not None
    assert (found.broken.code, found.lines, found.holds) == (code, lines, False)
    if code is Code.JOURNAL_LINE_CHANGED:
        assert f"Line {lines + 1} " in found.broken.sentence
    else:
        assert f"Lines {lines + 1} to " in found.broken.sentence


def test_a_line_put_in_at_the_end_without_its_hash_is_found(db: Database) -> None:
    row: dict[str, Any] = {"at": w.NOW, "actor": "x", "event": "e", "subject": "s", "data": {}, "why": ""}
    tamper(db, lambda conn: conn.execute(insert(journal.journal), {**row, "seq": 26}))
    found = verify(db)
    assert found.broken is not None
    assert (found.broken.code, found.lines) == (Code.JOURNAL_LINE_CHANGED, 25)


def rewrite_from(conn: Connection, seq: int) -> None:
    """Everything from a line on, with hashes that fit."""
    before = {line.entry.seq: line for line in journal.read_linked(conn, 0)}
    previous = before[seq - 1].hash
    for number in range(seq, len(before) + 1):
        entry = replace(before[number].entry, why="as we like it")
        assert previous is not None
        previous = journal.hash_of(entry, previous)
        there = journal.journal.c.seq == number
        conn.execute(update(journal.journal).where(there).values(why=entry.why, hash=previous))


def test_who_writes_all_of_it_anew_is_found_out_by_a_checkpoint_alone(db: Database) -> None:
    early, late = (replace(audit.take_checkpoint(db, now=w.NOW), seq=seq, head=head_at(db, seq)) for seq in (10, 20))
    tamper(db, lambda conn: rewrite_from(conn, 15))
    assert verify(db).holds
    found = verify(db, early, late)
    assert [why.code for why in found.unmet] == [Code.CHECKPOINT_UNMET]
    assert "Line 20 " in found.unmet[0].sentence


def test_what_was_cut_off_the_end_is_found_by_a_checkpoint_alone(db: Database) -> None:
    point = audit.take_checkpoint(db, now=w.NOW)
    tamper(db, run("DELETE FROM journal WHERE seq > 20"))
    assert verify(db).holds
    assert [why.code for why in verify(db, point).unmet] == [Code.CHECKPOINT_BEYOND]


def test_an_empty_journal_holds_and_has_nothing_to_sign(store_url: str) -> None:
    database = Database(store_url)
    assert (verify(database).holds, verify(database).lines) == (True, 0)
    with pytest.raises(Refusal, match="JOURNAL_EMPTY"):
        audit.take_checkpoint(database, now=w.NOW)
    database.close()


def test_lines_of_an_older_release_are_chained_by_the_upgrade(empty_store_url: str) -> None:
    migrate(empty_store_url, "0029")
    old = Database(empty_store_url)
    row: dict[str, Any] = {"at": w.NOW, "actor": "x", "event": "e", "subject": "s", "data": ODD, "why": "w"}
    with old.engine.begin() as conn:
        for _ in range(3):
            conn.execute(insert(journal.journal).values(row))
    old.close()
    database = open_database(empty_store_url)
    with database.begin() as conn:
        journal.append(conn, ENTRY)
    assert (verify(database).holds, verify(database).lines) == (True, 4)
    with pytest.raises(StoreUnavailable, match="append-only"), database.begin() as conn:
        conn.execute(update(journal.journal).values(actor="somebody else"))
    database.close()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abü.", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.databases("postgresql")
def test_whatever_a_line_says_it_fits_once_it_was_read_back(store_url: str) -> None:
    database = Database(store_url)

    @given(st.dictionaries(st.text("abc", max_size=3), json_values, max_size=3))
    def holds(data: dict[str, Any]) -> None:
        with database.begin() as conn:
            seq = journal.append(conn, replace(ENTRY, data=data))
        with database.read() as conn:
            before = journal.read_linked(conn, seq - 2)[0].hash if seq > 1 else bytes(32)
            (line,) = journal.read_linked(conn, seq - 1)
        assert before is not None
        assert line.hash == journal.hash_of(line.entry, before)

    holds()
    database.close()


def head_at(db: Database, seq: int) -> str:
    with db.read() as conn:
        carried = journal.read_linked(conn, seq - 1)[0].hash
    assert carried is not None
    return carried.hex()


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    private = tmp_path / "audit.key"
    return private, checkpoints.make_key(private)


POINT = Checkpoint(seq=25, head="ab" * 32, at=w.NOW)


def test_a_signed_checkpoint_is_read_back_from_a_file_or_a_folder(keys: tuple[Path, Path], tmp_path: Path) -> None:
    file = tmp_path / f"journal-25{checkpoints.SUFFIX}"
    file.write_text(checkpoints.sign(POINT, keys[0]))
    assert checkpoints.read_checkpoints([file], keys[1]) == (POINT,)
    assert checkpoints.read_checkpoints([tmp_path], keys[1]) == (POINT,)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"seq": 25', '"seq": 24', "not signed"),
        ('"head": "ab', '"head": "cb', "not signed"),
        ("fermata.checkpoint/1", "fermata.checkpoint/2", "no checkpoint"),
        ('"signature": "', '"signature": "=', "no checkpoint"),
        ("{", "", "no checkpoint"),
    ],
)
def test_a_checkpoint_that_was_touched_is_refused(
    keys: tuple[Path, Path], tmp_path: Path, old: str, new: str, says: str
) -> None:
    file = tmp_path / "touched.json"
    file.write_text(checkpoints.sign(POINT, keys[0]).replace(old, new, 1))
    with pytest.raises(BadInput, match=says):
        checkpoints.read_checkpoints([file], keys[1])


def test_a_checkpoint_of_another_key_is_refused(keys: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    checkpoints.make_key(other)
    file = tmp_path / "point.json"
    file.write_text(checkpoints.sign(POINT, other))
    with pytest.raises(BadInput, match="not signed"):
        checkpoints.read_checkpoints([file], keys[1])


def test_keys_are_never_written_over_and_private_ones_are_for_their_owner(keys: tuple[Path, Path]) -> None:
    assert keys[0].stat().st_mode & 0o777 == 0o600
    before = keys[0].read_bytes()
    with pytest.raises(FileExistsError):
        checkpoints.make_key(keys[0])
    assert keys[0].read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_file_without_a_key_is_refused_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    for use in (lambda: checkpoints.sign(POINT, file), lambda: checkpoints.read_checkpoints([], file)):
        with pytest.raises(BadInput, match="fermata audit key"):
            use()


@pytest.mark.databases("postgresql")
def test_the_role_of_printed_grants_works_and_takes_nothing_back(db: Database, store_url: str) -> None:
    role = f'app "{make_url(store_url).database}'
    quoted = '"' + role.replace('"', '""') + '"'
    with db.engine.begin() as conn:
        conn.execute(text(f"CREATE ROLE {quoted} LOGIN"))
        conn.exec_driver_sql(audit.grants_of(role))
    try:
        url = make_url(store_url).set(username=role).render_as_string(hide_password=False)
        app = open_database(url)
        with app.begin() as conn:
            journal.append(conn, ENTRY)
        assert verify(app).lines == 26
        for statement in (
            "UPDATE journal SET why = ''",
            "DELETE FROM consent_entry",
            "TRUNCATE order_word",
            "ALTER TABLE journal DISABLE TRIGGER ALL",
            "UPDATE alembic_version SET version_num = '0001'",
        ):
            with pytest.raises(StoreUnavailable, match=r"permission denied|must be owner"), app.begin() as conn:
                conn.execute(text(statement))
        app.close()
    finally:
        with db.engine.begin() as conn:
            conn.execute(text(f"DROP OWNED BY {quoted}"))
            conn.execute(text(f"DROP ROLE {quoted}"))
