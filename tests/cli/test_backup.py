"""`fermata backup` and `restore`: one file, an empty store, the brake on, and what is said of each."""

from pathlib import Path

from tests.cli.line import Line


def test_a_store_is_backed_up_rehearsed_and_restored(imported: Line, tmp_path: Path) -> None:
    file, target = tmp_path / "backup.db", tmp_path / "restored.db"
    made = imported.run("backup", str(file))
    assert (made.code, "backed up. " in made.out) == (0, True), made.err
    assert "can be restored. " in imported.run("restore", str(file), "--verify").out
    done = imported.run("restore", str(file), "--as", "ann", "--store", str(target), store=False)
    assert (done.code, "the brake is on. " in done.out) == (0, True), done.err
    brake = imported.run("brake", "show", "--store", str(target), store=False).out.replace("\n", " ")
    assert "The brake is on" in brake
    assert "ann" in brake
    assert imported.run("audit", "verify", "--store", str(target), store=False).code == 0


def test_what_is_there_is_left_alone(imported: Line, tmp_path: Path) -> None:
    file = tmp_path / "backup.db"
    assert imported.run("backup", str(file), "--json").json["file"] == str(file)
    again = imported.run("backup", str(file))
    assert (again.code, "BACKUP_EXISTS" in again.err) == (1, True)
    onto = imported.run("restore", str(file))
    assert (onto.code, "STORE_NOT_EMPTY" in onto.err) == (1, True)
    none = imported.run("restore", str(tmp_path / "none.db"), "--verify")
    assert (none.code, "BACKUP_UNREADABLE" in none.err) == (1, True)


def test_a_folder_keeps_the_newest_backups_and_whatever_else_lies_there(imported: Line, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    for name in ("fermata-20250101T000000Z.db", "fermata-20250102T000000Z.db", "by-hand.db", "fermata-1.db"):
        (folder / name).touch()
    made = Path(imported.run("backup", str(folder), "--keep", "2", "--json").json["file"])
    assert {path.name for path in folder.iterdir()} == {
        "fermata-20250102T000000Z.db",
        "by-hand.db",
        "fermata-1.db",
        made.name,
    }
    assert made.stat().st_mode & 0o777 == 0o600
    assert imported.run("restore", str(made), "--verify").code == 0
    assert imported.run("backup", str(folder / "none"), "--keep", "2").code == 2


def test_a_backup_that_fails_takes_no_older_one_away(line: Line, tmp_path: Path) -> None:
    (tmp_path / "fermata-20250101T000000Z.db").touch()
    assert line.run("backup", str(tmp_path), "--keep", "1").code == 1
    assert (tmp_path / "fermata-20250101T000000Z.db").exists()
