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
