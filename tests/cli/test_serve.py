"""`fermata serve`: loopback only, and a simulated fleet that takes whatever plan is in force."""

import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.cli.demo_world import AS_FAST_AS_IT_GOES, play, report_of
from tests.cli.line import Line
from tests.conformance.receivers import make_certificate
from tests.conftest import copy_sqlite

from fermata.cli.serve import Simulation
from fermata.server.limits.bounds import CONNECTION_BOUNDS
from fermata.server.serving import bind_socket
from fermata.settings import read_settings
from fermata.wiring.stores import open_database

SECONDS_MAX = 45


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com"])
def test_addresses_that_others_can_reach_are_refused(host: str, line: Line) -> None:
    answer = line.run("serve", "--host", host, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "NOT_LOOPBACK")


@pytest.mark.parametrize(
    ("text", "words", "missing"),
    [
        (None, (), "nobody would have to sign in"),
        ("grants: []", (), "nobody could come in"),
        ("oidc: {issuer: 'https://idp.example', client_id: f}\ngrants: []", (), "would not be encrypted"),
        (
            "oidc: {issuer: 'https://idp.example', client_id: f}\ngrants: []\ntrusted_proxy: {addresses: [10.0.0.5]}",
            (),
            "no browser could call it",
        ),
    ],
)
def test_what_others_can_reach_needs_sign_in_encryption_and_a_name(
    tmp_path: Path, line: Line, text: str | None, words: tuple[str, ...], missing: str
) -> None:
    path = tmp_path / "access.yaml"
    path.write_text(text or "")
    named = ["--access", str(path)] if text else []
    answer = line.run("serve", "--host", "0.0.0.0", *named, *words, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "NOT_LOOPBACK")
    assert missing in answer.json["error"]["sentence"]


def test_with_all_three_it_gets_as_far_as_the_port(tmp_path: Path, line: Line) -> None:
    path = tmp_path / "access.yaml"
    path.write_text(
        "oidc: {issuer: 'https://idp.example', client_id: f}\ngrants: []\ntrusted_proxy: {addresses: [10.0.0.5]}"
    )
    taken = bind_socket("0.0.0.0", 0)
    words = ["--host", "0.0.0.0", "--port", str(taken.getsockname()[1]), "--names", "fermata.example"]
    answer = line.run("serve", *words, "--access", str(path), "--json")
    taken.close()
    assert (answer.code, answer.json["error"]["code"]) == (1, "PORT_TAKEN")


def test_a_proxy_that_access_names_holds_more_connections_than_one_address(
    tmp_path: Path, sqlite_template: Path
) -> None:
    store, access = tmp_path / "store.sqlite", tmp_path / "access.yaml"
    copy_sqlite(sqlite_template, store)
    access.write_text("grants: []\ntrusted_proxy: {addresses: [127.0.0.64/28]}")
    words = ["serve", "--store", str(store), "--port", "0", "--access", str(access)]
    with (
        subprocess.Popen([sys.executable, "-m", "fermata", *words], stdout=subprocess.PIPE, text=True) as process,
        ExitStack() as held,
    ):
        held.callback(process.terminate)
        assert process.stdout is not None
        port = urlsplit(process.stdout.readline().removeprefix("Board: ")).port
        assert port is not None
        for _ in range(CONNECTION_BOUNDS.each):
            held.enter_context(socket.create_connection(("127.0.0.1", port), 20, ("127.0.0.65", 0)))
        one_more = HTTPConnection("127.0.0.1", port, timeout=20, source_address=("127.0.0.65", 0))
        held.enter_context(closing(one_more))
        one_more.request("GET", "/api/v1/whoami")
        status = one_more.getresponse().status
    assert status == HTTPStatus.UNAUTHORIZED, "it is heard"


def test_a_port_that_is_taken_is_refused(line: Line) -> None:
    taken = bind_socket("127.0.0.1", 0)
    answer = line.run("serve", "--port", str(taken.getsockname()[1]), "--json")
    taken.close()
    assert (answer.code, answer.json["error"]["code"]) == (1, "PORT_TAKEN")


@pytest.mark.parametrize(
    ("cert", "key", "why"),
    [
        ("gone.pem", None, "gone.pem: No such file or directory"),
        (".", None, "Is a directory"),
        ("certificate.pem", "gone.pem", "gone.pem: No such file or directory"),
        ("c.pem", None, "a certificate and a key that is readable without a passphrase are not there"),
        ("certificate.pem", "other.pem", "the key is of another certificate"),
        ("c.pem", "locked.pem", "a certificate and a key that is readable without a passphrase are not there"),
        (None, "certificate.pem", "there is no certificate for this key"),
    ],
)
def test_files_that_nothing_can_be_encrypted_with_are_told_before_anybody_listens(
    tmp_path: Path, line: Line, cert: str | None, key: str | None, why: str
) -> None:
    other = make_certificate(tmp_path, "other.example")
    other.rename(tmp_path / "other.pem")
    mine = make_certificate(tmp_path, "fermata.example")
    locked = ["openssl", "pkey", "-in", mine, "-aes256", "-passout", "pass:secret", "-out", tmp_path / "locked.pem"]
    subprocess.run(locked, check=True, capture_output=True)
    words = ["--tls-cert", str(tmp_path / cert)] if cert else []
    words += ["--tls-key", str(tmp_path / key)] if key else []
    taken = bind_socket("127.0.0.1", 0)
    answer = line.run("serve", *words, "--port", str(taken.getsockname()[1]), "--json")
    taken.close()
    assert (answer.code, answer.json["error"]["code"]) == (1, "TLS_UNUSABLE")
    assert why in answer.json["error"]["sentence"]


def test_simulation_conducts_the_plan_in_force(tmp_path: Path) -> None:
    play(tmp_path, lambda line, event: line.stop.set() if event == "publish.finish" else None)
    database = open_database(f"sqlite:///{tmp_path / 'demo.db'}")
    simulation = Simulation(
        database=database, settings=read_settings(speed=AS_FAST_AS_IT_GOES, seed=1), log=tmp_path / "world.jsonl"
    )
    simulation.start()
    deadline = time.monotonic() + SECONDS_MAX
    while not (runs := report_of(tmp_path)).is_complete and time.monotonic() < deadline:
        time.sleep(0.1)
    simulation.end()
    database.close()
    assert runs.is_complete
