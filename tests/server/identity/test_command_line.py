"""The command line signs somebody in by a second device, keeps that to itself, and renews it."""

import re
from pathlib import Path

import pytest
from tests.cli.line import Line
from tests.server.identity.conftest import PERSON, Served
from tests.server.identity.issuer import Issuer


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config" / "credentials.json"
    monkeypatch.setenv("FERMATA_CREDENTIALS", str(path))
    for name in ("FERMATA_TOKEN", "FERMATA_TOKEN_FILE", "FERMATA_SERVER", "FERMATA_STORE"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Line:
    return Line(tmp_path, capsys)


def test_somebody_signs_in_is_renewed_makes_a_token_and_signs_out(
    line: Line, kept: Path, served: Served, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*words: str):
        return line.run(*words, "--server", served.url, store=False)

    assert "CALLER_UNKNOWN" in run("requests").err
    issuer.access_seconds = 20  # which is within the half minute before its end
    told = run("sign-in", "--json")
    assert told.code == 0, told.err
    assert "ABCD-EFGH" in told.err
    assert told.json["name"] == PERSON
    assert issuer.refreshed == 1
    assert kept.stat().st_mode & 0o777 == 0o600
    issuer.access_seconds = 300
    assert run("whoami", "--json").json["name"] == PERSON
    assert run("whoami", "--json").code == 0
    assert issuer.refreshed == 2, "a token that is good for minutes is not renewed"
    made = run("tokens", "create", "job", "--grant", "viewer", "--json").json
    assert run("tokens", "list", "--json").json["tokens"][-1]["id"] == made["id"]
    assert run("sign-out", "--json").json["signed_out"]
    assert run("whoami").code == 1
    monkeypatch.setenv("FERMATA_TOKEN", made["token"])
    assert run("whoami", "--json").json["grants"] == ["viewer"]
    assert run("tokens", "revoke", made["id"]).code == 0
    assert "unknown, over or revoked" in run("whoami").err


def test_what_is_kept_is_not_read_when_others_may_and_never_sent_in_clear(
    line: Line, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.parent.mkdir()
    kept.write_text("{}")
    kept.chmod(0o644)
    assert "chmod 600" in line.run("whoami", "--server", "http://127.0.0.1:9", store=False).err
    kept.unlink()
    monkeypatch.setenv("FERMATA_TOKEN", "fmt_x")
    assert "not encrypted" in line.run("whoami", "--server", "http://fermata.example", store=False).err


def test_the_access_key_of_a_token_is_printed_for_clients_of_aws_in_its_place(line: Line) -> None:
    told = line.run("tokens", "create", "job", "--grant", "viewer:customer=acme", "--aws")
    assert told.code == 0, told.err
    assert re.fullmatch(r"AWS_ACCESS_KEY_ID=tok_\w{26}\nAWS_SECRET_ACCESS_KEY=[\w+/]{43}=\n", told.out)
    found = line.run("tokens", "create", "job", "--grant", "viewer", "--json").json
    assert (found["access_key"]["id"], found["no_access_key"]) == (found["id"], "")
    assert found["token"].startswith("fmt_")


def test_a_token_that_was_to_have_an_access_key_and_has_none_is_revoked_again(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FERMATA_SEAL_KEY", str(tmp_path / "nowhere" / "key"))
    told = line.run("tokens", "create", "job", "--grant", "viewer", "--aws")
    assert (told.code, told.out, "no key can be written" in told.err) == (1, "", True)
    (token,) = line.run("tokens", "list", "--json").json["tokens"]
    assert token["revoked_at"]
    found = line.run("tokens", "create", "job", "--grant", "viewer", "--json").json
    assert (found["access_key"], "no key can be written" in found["no_access_key"]) == (None, True)
    assert found["token"].startswith("fmt_")
