"""`fermata audit`: what it says of a journal that is whole, and of one that somebody wrote past us."""

import json
import sqlite3
from pathlib import Path

import pytest
from tests.cli.line import Line


@pytest.fixture
def checkpoint(imported: Line, tmp_path: Path) -> Path:
    """A folder with a checkpoint of the journal as it is now; its keys beside it."""
    folder = tmp_path / "points"
    folder.mkdir()
    assert imported.run("audit", "key", str(tmp_path / "audit.key"), store=False).code == 0
    made = imported.run("audit", "checkpoint", "--key", str(tmp_path / "audit.key"), "--out", str(folder))
    assert made.code == 0, made.err
    return folder


def write_past_us(line: Line, *statements: str) -> None:
    with sqlite3.connect(line.store) as stored:
        for statement in ("DROP TRIGGER journal_no_update", "DROP TRIGGER journal_no_delete", *statements):
            stored.execute(statement)
    stored.close()


def test_a_whole_journal_holds_with_its_checkpoints(imported: Line, checkpoint: Path, tmp_path: Path) -> None:
    told = imported.run("audit", "verify", "--checkpoint", str(checkpoint), "--key", str(tmp_path / "audit.key.pub"))
    assert told.code == 0, told.err
    assert "The journal: " in told.out
    assert "1 checkpoint agrees with it." in told.out
    assert "cut off its end cannot be seen" in imported.run("audit", "verify").out


def test_an_edited_line_is_named_and_the_exit_code_is_1(imported: Line) -> None:
    write_past_us(imported, "UPDATE journal SET actor = 'nobody' WHERE seq = 1")
    told = imported.run("audit", "verify")
    assert (told.code, "JOURNAL_LINE_CHANGED  Line 1 " in told.out) == (1, True)
    found = json.loads(imported.run("audit", "verify", "--json").out)
    assert (found["holds"], found["broken"]["code"], found["lines"]) == (False, "JOURNAL_LINE_CHANGED", 0)


def test_lines_cut_off_the_end_are_seen_by_the_checkpoint(imported: Line, checkpoint: Path, tmp_path: Path) -> None:
    write_past_us(imported, "DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)")
    told = imported.run("audit", "verify", "--checkpoint", str(checkpoint), "--key", str(tmp_path / "audit.key.pub"))
    assert (told.code, "CHECKPOINT_BEYOND" in told.out) == (1, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("verify", "--checkpoint", "points"), "--key"),
        (("verify", "--checkpoint", "points", "--key", "audit.key"), "fermata audit key"),
        (("checkpoint", "--key", "audit.key.pub"), "fermata audit key"),
    ],
)
def test_keys_that_are_none_are_bad_input(
    imported: Line, checkpoint: Path, tmp_path: Path, words: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = imported.run("audit", *words)
    assert (told.code, says in told.err.replace("\n", " ")) == (2, True), told.err


def test_a_key_is_not_written_over(imported: Line, checkpoint: Path, tmp_path: Path) -> None:
    before = (tmp_path / "audit.key").read_bytes()
    assert imported.run("audit", "key", str(tmp_path / "audit.key"), store=False).code == 1
    assert (tmp_path / "audit.key").read_bytes() == before


def test_old_lines_go_into_an_archive_and_all_of_it_is_verified(
    imported: Line, checkpoint: Path, tmp_path: Path
) -> None:
    key, file = str(tmp_path / "audit.key"), tmp_path / "old.journal.gz"
    words = ("archive", "--before", "2999-01-01", "--to", str(file), "--key", key, "--as", "ann")
    made = imported.run("audit", *words)
    assert (made.code, f"{file.name}: lines 1 to " in made.out.replace("\n", "")) == (0, True), made.err
    assert "archive that was not given" in imported.run("audit", "verify").out.replace("\n", " ")
    words = ("verify", "--archive", str(tmp_path), "--key", f"{key}.pub", "--checkpoint", str(checkpoint))
    told = imported.run("audit", *words)
    assert (told.code, "Archives: " in told.out, "1 checkpoint agrees" in told.out) == (0, True, True), told.out
    file.write_bytes(file.read_bytes()[:-9])
    told = imported.run("audit", *words)
    assert (told.code, "ARCHIVE_UNREADABLE" in told.out) == (1, True)
    again = imported.run("audit", "archive", "--before", "2999-01-01", "--to", str(file), "--key", key, "--json")
    assert (again.code, again.json["error"]["code"]) == (1, "ARCHIVE_EXISTS")
