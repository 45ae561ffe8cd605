"""Keys of nodes: from a file that is a secret, printed by the command that operators run, good for one node each."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.line import Line
from tests.doors import world
from tests.doors.conftest import SECRET

from fermata.domain.ids import NodeId
from fermata.server.callers import BadSecret, BadToken, NodeKeys, read_secret

KEYS = NodeKeys(SECRET)


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Line:
    return Line(tmp_path, capsys)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(SECRET + b"\n")
    path.chmod(0o600)
    return path


def test_a_secret_is_read_from_a_file_that_only_its_owner_may_read(secret: Path) -> None:
    assert read_secret(secret) == SECRET
    for mode in (0o640, 0o604, 0o660):
        secret.chmod(mode)
        with pytest.raises(BadSecret, match="chmod 600"):
            read_secret(secret)
    with pytest.raises(BadSecret, match="cannot be read"):
        read_secret(secret.with_name("gone"))
    secret.write_bytes(b"short")
    secret.chmod(0o600)
    with pytest.raises(BadSecret, match="5 bytes"):
        read_secret(secret)


def test_the_command_prints_what_a_node_takes_as_its_proxy(
    secret: Path, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FERMATA_NODE_SECRET", str(secret))
    (told,) = line.run("node", "key", "alpha-n0", "--json", store=False).json
    assert told["http_proxy"] == f"http://alpha-n0:{KEYS.key_of(NodeId('alpha-n0'))}@127.0.0.1:8321"
    assert line.run("node", "key", "alpha-n0", "alpha-n1", store=False).out.splitlines()[0] == told["http_proxy"]
    (elsewhere,) = line.run("node", "key", "alpha-n0", "--at", "127.0.0.1:9", "--json", store=False).json
    assert elsewhere["http_proxy"].endswith("@127.0.0.1:9")
    secret.chmod(0o644)
    assert line.run("node", "key", "alpha-n0", "--json", store=False).code == 2
    assert line.run("serve", "--port", "0", "--json").code == 2, "a secret that others know is used for nothing"
    monkeypatch.delenv("FERMATA_NODE_SECRET")
    assert line.run("node", "key", "alpha-n0", "--json", store=False).code == 2


@given(st.text(min_size=1).filter(lambda name: ":" not in name), st.text())
def test_only_the_right_key_of_a_node_speaks_for_it(name: str, key: str) -> None:
    def header(password: str) -> str:
        return "Basic " + base64.b64encode(f"{name}:{password}".encode(errors="replace")).decode()

    node = name.encode(errors="replace").decode()
    assert KEYS.find(header(KEYS.key_of(NodeId(node)))) == node
    assert KEYS.find(header(key)) is None
    assert NodeKeys(None).find(header(KEYS.key_of(NodeId(node)))) is None


@given(st.text(max_size=60))
def test_whatever_else_stands_in_the_header_speaks_for_nobody(text: str) -> None:
    assert KEYS.find(text) is None
    assert KEYS.find(f"Basic {text}") is None


@given(st.text(max_size=60), st.integers(0, 200), st.characters())
def test_a_token_that_was_touched_says_nothing(other: str, place: int, letter: str) -> None:
    token = KEYS.sign(KEYS.claims(NodeId("alpha-n0"), audience="a", now=world.NOW, seconds=60))
    assert KEYS.read(token, world.NOW) is not None
    touched = token[:place] + letter + token[place + 1 :]
    for text in (other, touched):
        try:
            claims = KEYS.read(text, world.NOW)
        except BadToken:
            continue
        assert claims is None or text == token
