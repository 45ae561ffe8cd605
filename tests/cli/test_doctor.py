"""`fermata doctor`: what it prints, what it ends with, and that it leaves everything as it is."""

from pathlib import Path

import pytest
from tests.cli.line import Line

from fermata.wiring import machine


@pytest.fixture
def right(imported: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    """A store of a machine whose clock is kept, with approvers, a backup and a checkpoint."""
    policy = imported.small.folder / "policy.yaml"
    policy.write_text(policy.read_text().replace("approvers: []", "approvers: [meridian-ops]"))
    assert imported.run("import", "policy", str(policy)).code == 0
    monkeypatch.setattr(machine, "is_clock_kept", lambda: True)
    monkeypatch.setenv("FERMATA_BACKUPS", str(tmp_path / "backups"))
    monkeypatch.setenv("FERMATA_CHECKPOINTS", str(tmp_path / "points"))
    for name in ("backups", "points"):
        (tmp_path / name).mkdir()
    assert imported.run("backup", str(tmp_path / "backups" / "a.db")).code == 0
    assert imported.run("audit", "key", str(tmp_path / "audit.key"), store=False).code == 0
    points = ("--key", str(tmp_path / "audit.key"), "--out", str(tmp_path / "points"))
    assert imported.run("audit", "checkpoint", *points).code == 0
    imported.store.chmod(0o600)
    return imported


def test_a_right_set_up_has_nothing_to_mend(right: Line) -> None:
    told = right.run("doctor")
    assert (told.code, "Nothing is wrong." in told.out) == (0, True), told.out
    found = right.run("doctor", "--json").json
    assert (found["well"], found["findings"]) == (True, [])
    assert found["schema"] == "fermata.doctor/1"


def test_what_is_wrong_is_told_with_a_code_and_what_to_do_and_the_exit_code_is_1(
    right: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("short")
    secret.chmod(0o644)
    monkeypatch.setenv("FERMATA_NODE_SECRET", str(secret))
    monkeypatch.setenv("FERMATA_HOST", "0.0.0.0")
    monkeypatch.setenv("FERMATA_METRICS", str(tmp_path / "none.yaml"))
    assert right.run("brake", "on", "--reason", "smoke", "--as", "ann").code == 0
    for file in (tmp_path / "backups").iterdir():
        file.unlink()
    told = right.run("doctor")
    assert told.code == 1
    found = right.run("doctor", "--json").json
    codes = [finding["code"] for finding in found["findings"]]
    assert codes == [
        "BRAKE_LEFT_ON",
        "SECRET_READABLE",
        "SECRET_SHORT",
        "LISTENS_IN_CLEAR",
        "METRICS_UNUSABLE",
        "BACKUP_OLD",
    ]
    for finding in found["findings"]:
        assert finding["code"] in told.out
        assert finding["sentence"] in told.out
    assert "6 things to mend." in told.out


def test_a_proxy_that_access_names_is_known_to_end_tls(
    right: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = tmp_path / "access.yaml"
    monkeypatch.setenv("FERMATA_ACCESS", str(access))
    monkeypatch.setenv("FERMATA_HOST", "0.0.0.0")
    access.write_text("grants: []")
    assert [one["code"] for one in right.run("doctor", "--json").json["findings"]] == ["LISTENS_IN_CLEAR"]
    access.write_text("grants: []\ntrusted_proxy: {addresses: [10.0.0.0/24]}")
    assert right.run("doctor", "--json").json["findings"] == []
    access.write_text("grants: none")
    assert right.run("doctor").code == 2


def test_a_site_is_looked_at_as_adapters_doctor_does(
    right: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FERMATA_SITE", str(tmp_path / "site.yaml"))
    assert right.run("doctor").code == 2  # unusable input: there is no such file
    (tmp_path / "site.yaml").write_text(
        "schema: fermata.site/1\nadapters:\n  slurm:\n    kind: slurm\n    settings: {nothing: 1}\nroutes: []\n"
    )
    assert right.run("doctor").code == 2


def test_a_store_that_is_not_there_is_found_and_not_made(line: Line) -> None:
    told = line.run("doctor")
    assert (told.code, "STORE_UNREACHABLE" in told.out, line.store.exists()) == (1, True, False)


def test_settings_that_cannot_be_used_are_bad_input(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERMATA_SMTP_PORT", "many")
    assert line.run("doctor").code == 2
