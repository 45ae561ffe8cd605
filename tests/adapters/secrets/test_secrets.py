"""Secrets by their names: each is read where it is, anew when it was renewed; nothing of it is told when it is not."""

import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.adapters.secrets.vault_server import SECRET_ID, TOKEN, WORKLOAD, VaultServer, vault
from tests.conftest import free_port

from fermata.adapters.secrets import Secrets, read, read_line
from fermata.adapters.secrets.source import FAILED_SECONDS
from fermata.domain.reasons import SecretCode
from fermata.domain.secrets import (
    LoginKind,
    Missing,
    Secret,
    SecretBook,
    SecretCommand,
    VaultTerms,
    parse_ref,
    ref_of_file,
)
from fermata.ports import Refused, TryLater

CANARY = "canary7Q9xZ2"
CANARIES = (CANARY, TOKEN, SECRET_ID, WORKLOAD)
AT_BMC = parse_ref("vault:kv/sites/bmc#password")


class Seconds:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def server() -> Iterator[VaultServer]:
    with vault() as found:
        found.values["kv/sites/bmc"] = {"password": CANARY}
        yield found


def by_token(server: VaultServer, folder: Path) -> SecretBook:
    file = folder / "token"
    file.write_text(TOKEN)
    terms = VaultTerms(url=server.url, login=LoginKind.TOKEN, credential=ref_of_file(file), seconds=5)
    return SecretBook(vault=terms, file="secrets.yaml")


def code_of(found: str | Missing) -> SecretCode:
    assert isinstance(found, Missing), "it can be read"
    assert not any(canary in found.reason.sentence for canary in CANARIES)
    return found.reason.code  # type: ignore[return-value]


@pytest.mark.parametrize("text", [CANARY, f"vault:{CANARY}", "env:a b", "command:", "http://x", "vault:kv/a", "file:"])
def test_what_is_no_name_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="a secret is named") as refused:
        parse_ref(text)
    assert CANARY not in str(refused.value)


def test_variables_files_and_credentials_of_systemd_are_read_each_time(tmp_path: Path) -> None:
    environment = {"BMC": CANARY, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    secrets = Secrets(environment=environment)
    file = tmp_path / "bmc"
    file.write_text("first\n")
    names = [parse_ref("env:BMC"), parse_ref("file:bmc", tmp_path), parse_ref("credential:bmc")]
    assert [secrets.look(name) for name in names] == [CANARY, "first", "first"]
    file.write_text("second\r\n")
    environment["BMC"] = "new"
    assert [secrets.look(name) for name in names] == ["new", "second", "second"]


def test_what_is_not_there_says_which_and_where(tmp_path: Path) -> None:
    secrets = Secrets(environment={})
    for name, where in {
        "env:BMC": "variable BMC",
        f"file:{tmp_path}/gone": f"file {tmp_path}/gone cannot be opened (No such file or directory)",
        "credential:bmc": "LoadCredential=bmc",
        "command:bmc": "describes no command bmc",
        "vault:kv/a#b": "describes no vault",
    }.items():
        found = secrets.look(parse_ref(name))
        assert code_of(found) in (SecretCode.SECRET_ABSENT, SecretCode.SECRET_UNDESCRIBED)
        assert isinstance(found, Missing)
        assert name in found.reason.sentence
        assert where in found.reason.sentence


@pytest.mark.parametrize("text", [b"", b" \n", b"a\x00b", b"\xff\xfe", b"x" * 70_000])
def test_what_can_be_no_secret_is_none(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(text)
    assert code_of(Secrets().look(ref_of_file(tmp_path / "s"))) is SecretCode.SECRET_UNFIT


def prints(script: str, **more: object) -> SecretCommand:
    return replace(SecretCommand(words=(sys.executable, "-c", script)), **more)


def test_a_command_prints_a_secret_plainly_or_in_json() -> None:
    plain = prints(f"print('{CANARY}')")
    exec_credential = prints(f'print(\'{{"status": {{"token": "{CANARY}"}}}}\')', key=("status", "token"))
    secrets = Secrets(SecretBook(commands={"plain": plain, "json": exec_credential}))
    assert secrets.look(parse_ref("command:plain")) == CANARY
    assert secrets.look(parse_ref("command:json")) == CANARY


def test_a_command_gets_no_shell_and_nothing_of_our_environment_but_what_it_needs() -> None:
    script = "import os, sys; print(sorted(set(os.environ) - {'LC_CTYPE'}), sys.argv[1])"
    command = SecretCommand(words=(sys.executable, "-c", script, "$HOME; echo x"), passed=("WANTED",))
    environment = {"PATH": "/usr/bin", "WANTED": "1", "FERMATA_SMTP_PASSWORD": CANARY}
    found = Secrets(SecretBook(commands={"c": command}), environment=environment).look(parse_ref("command:c"))
    assert found == "['PATH', 'WANTED'] $HOME; echo x"


def test_a_command_that_fails_tells_nothing_of_what_it_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    says = f"import sys; print('{CANARY}'); print('{CANARY}', file=sys.stderr)"
    commands = {
        "fails": prints(f"{says}; sys.exit(3)"),
        "hangs": prints(f"{says}; sys.stdout.flush(); import time; time.sleep(60)", seconds=0.5),
        "odd": prints(says, key=("status", "token")),
        "list": prints(f"print('[\"{CANARY}\"]')", key=("status",)),
        "gone": SecretCommand(words=("/nowhere/at/all",)),
    }
    secrets = Secrets(SecretBook(commands=commands))
    found = {name: secrets.look(parse_ref(f"command:{name}")) for name in commands}
    assert {name: code_of(each) for name, each in found.items()} == {
        "fails": SecretCode.SECRET_ABSENT,
        "hangs": SecretCode.SECRET_SOURCE_AWAY,
        "odd": SecretCode.SECRET_UNFIT,
        "list": SecretCode.SECRET_UNFIT,
        "gone": SecretCode.SECRET_ABSENT,
    }
    assert CANARY not in caplog.text


def test_a_vault_is_asked_by_token(server: VaultServer, tmp_path: Path) -> None:
    book = by_token(server, tmp_path)
    assert book.vault is not None
    book = replace(book, vault=replace(book.vault, namespace="ops"))
    assert Secrets(book).look(AT_BMC) == CANARY
    assert server.asked == ["GET /v1/kv/data/sites/bmc"]
    assert server.namespaces == ["ops"]


@pytest.mark.parametrize(
    ("login", "mount", "shown"),
    [(LoginKind.APPROLE, "approle", SECRET_ID), (LoginKind.KUBERNETES, "k8s-1", WORKLOAD)],
)
def test_a_vault_is_asked_by_role_and_by_workload(
    login: LoginKind, mount: str, shown: str, server: VaultServer, seconds: Seconds, tmp_path: Path
) -> None:
    (tmp_path / "shown").write_text(shown)
    terms = VaultTerms(
        url=server.url, login=login, role="fermata", mount=mount, credential=ref_of_file(tmp_path / "shown")
    )
    secrets = Secrets(SecretBook(vault=terms, kept=timedelta()), seconds=seconds)
    assert [secrets.look(AT_BMC) for _ in range(3)] == [CANARY] * 3
    assert server.logins == 1, "one login lasts for many questions"
    seconds.at += server.lasts
    assert secrets.look(AT_BMC) == CANARY
    assert server.logins == 2, "its time is over"
    server.tokens.clear()
    assert secrets.look(AT_BMC) == CANARY
    assert server.logins == 3, "it was taken away"
    (tmp_path / "shown").write_text("another")
    server.tokens.clear()
    assert code_of(secrets.look(AT_BMC)) is SecretCode.SECRET_NOT_GIVEN


def test_a_renewed_token_of_the_vault_is_taken_from_its_file(server: VaultServer, tmp_path: Path) -> None:
    secrets = Secrets(replace(by_token(server, tmp_path), kept=timedelta()))
    assert secrets.look(AT_BMC) == CANARY
    server.tokens = {"hvs.renewed"}
    (tmp_path / "token").write_text("hvs.renewed")
    assert secrets.look(AT_BMC) == CANARY


def test_what_the_vault_says_is_kept_for_a_while_and_read_anew_when_it_was_not_taken(
    server: VaultServer, seconds: Seconds, tmp_path: Path
) -> None:
    secrets = Secrets(by_token(server, tmp_path), seconds=seconds)
    assert [secrets.look(AT_BMC) for _ in range(9)] == [CANARY] * 9
    assert len(server.asked) == 1
    server.values["kv/sites/bmc"] = {"password": "renewed"}
    secrets.forget(AT_BMC)
    assert secrets.look(AT_BMC) == CANARY, "it was read this moment: nothing is asked in a storm"
    seconds.at += FAILED_SECONDS
    secrets.forget(AT_BMC)
    assert secrets.look(AT_BMC) == "renewed"
    server.values["kv/sites/bmc"] = {"password": "again"}
    seconds.at += secrets.book.kept.total_seconds()
    assert secrets.look(AT_BMC) == "again"


def test_a_vault_that_fails_is_told_without_what_it_said(
    server: VaultServer, seconds: Seconds, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = Secrets(by_token(server, tmp_path), seconds=seconds)
    for status, code in {
        400: SecretCode.SECRET_NOT_GIVEN,
        403: SecretCode.SECRET_NOT_GIVEN,
        404: SecretCode.SECRET_ABSENT,
        307: SecretCode.SECRET_NOT_GIVEN,
        429: SecretCode.SECRET_SOURCE_AWAY,
        500: SecretCode.SECRET_SOURCE_AWAY,
        503: SecretCode.SECRET_SOURCE_AWAY,
    }.items():
        server.status = status
        assert code_of(secrets.look(AT_BMC)) is code, f"status {status}"
        seconds.at += FAILED_SECONDS
    server.status = 0
    server.values["kv/sites/bmc"] = {"other": CANARY}
    assert code_of(secrets.look(AT_BMC)) is SecretCode.SECRET_ABSENT
    assert not any(canary in caplog.text for canary in CANARIES)


def test_an_old_answer_is_not_used_when_the_vault_is_away(
    server: VaultServer, seconds: Seconds, tmp_path: Path
) -> None:
    secrets = Secrets(by_token(server, tmp_path), seconds=seconds)
    secret = Secret(AT_BMC, secrets)
    assert read(secret) == CANARY
    server.status = 503
    seconds.at += secrets.book.kept.total_seconds()
    with pytest.raises(TryLater, match="SECRET_SOURCE_AWAY"):
        read(secret)
    asked = len(server.asked)
    with pytest.raises(TryLater):
        read(secret)
    assert len(server.asked) == asked, "whoever is away is not asked by each of a thousand units"


def test_nobody_there_is_told_as_away(tmp_path: Path) -> None:
    terms = VaultTerms(
        url=f"http://127.0.0.1:{free_port()}", login=LoginKind.TOKEN, credential=parse_ref("env:HOME"), seconds=2
    )
    found = Secrets(SecretBook(vault=terms)).look(AT_BMC)
    assert code_of(found) is SecretCode.SECRET_SOURCE_AWAY


def test_a_token_for_a_header_is_one_line_of_ascii(tmp_path: Path) -> None:
    for text in ("two\nlines", "schlüssel"):
        (tmp_path / "s").write_text(text)
        with pytest.raises(Refused) as refused:
            read_line(Secret(ref_of_file(tmp_path / "s"), Secrets()))
        assert text not in str(refused.value)


def test_a_secret_is_shown_by_its_name_alone(server: VaultServer, tmp_path: Path) -> None:
    secret = Secret(AT_BMC, Secrets(by_token(server, tmp_path)))
    read(secret)
    assert f"{secret} {secret!r}".count(str(AT_BMC)) == 1
    assert CANARY not in f"{secret} {secret!r} {secret.source!r}"
