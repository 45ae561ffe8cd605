"""What `fermata doctor` sees of a machine: real files, real certificates, and real servers on loopback."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from tests.conftest import free_port

from fermata.formats.certificates import read_tls
from fermata.wiring import machine

DAY = timedelta(days=1)


def make_certificate(folder: Path, name: str, *names: str) -> tuple[Path, Path]:
    """A certificate of its own for ten days, and its key."""
    file, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", str(key), "-out", str(file), "-days", "10", "-subj", "/CN=elsewhere.example"]
    if names:
        command += ["-addext", f"subjectAltName={','.join(names)}"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return file, key


@contextmanager
def listening(certificate: tuple[Path, Path] | None = None) -> Iterator[int]:
    """Somebody who takes connections, and speaks TLS if there is a certificate."""
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)

    def answer() -> None:
        try:
            connection, _ = listener.accept()
            with connection:
                if context is not None:
                    context.wrap_socket(connection, server_side=True).close()
        except OSError:
            pass  # the caller broke off, as one who does not trust us does

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        thread.join(timeout=10)


def test_a_certificate_says_what_it_is_of_and_whose_key_is_its(tmp_path: Path) -> None:
    file, key = make_certificate(tmp_path, "a", "DNS:fermata.example", "IP:192.0.2.7")
    _, other = make_certificate(tmp_path, "b")
    found = read_tls(file, key).found
    assert found is not None
    assert (found.names, found.is_of_key) == (("fermata.example", "192.0.2.7"), True)
    assert found.start < datetime.now(UTC) < found.end < datetime.now(UTC) + 11 * DAY
    stranger = read_tls(file, other).found
    assert stranger is not None
    assert stranger.is_of_key is False


def test_the_common_name_of_a_certificate_is_no_name(tmp_path: Path) -> None:
    found = read_tls(*make_certificate(tmp_path, "a")).found
    assert found is not None
    assert found.names == ()


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_told(content: bytes, tmp_path: Path) -> None:
    _, key = make_certificate(tmp_path, "a")
    (tmp_path / "none.pem").write_bytes(content)
    assert "are not there" in read_tls(tmp_path / "none.pem", key).why
    assert "No such file" in read_tls(tmp_path / "gone.pem", key).why


def test_a_url_is_reached_where_somebody_listens() -> None:
    with listening() as port:
        assert machine.ask_url(f"http://127.0.0.1:{port}/board").why == ""
    assert machine.ask_url(f"http://127.0.0.1:{free_port()}/").why == "Connection refused"
    assert machine.ask_url("https:///nobody").why == "it names no host"
    assert machine.ask_url("https://a:port/").why


def test_a_url_is_not_reached_behind_a_certificate_that_nobody_trusts(tmp_path: Path) -> None:
    with listening(make_certificate(tmp_path, "a", "IP:127.0.0.1")) as port:
        why = machine.ask_url(f"https://127.0.0.1:{port}/").why
    assert why.startswith("its certificate is not trusted here: self"), why


def test_a_mail_server_is_one_that_greets() -> None:
    server = Controller(Sink(), hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        assert machine.ask_mail("127.0.0.1", server.port).why == ""
    finally:
        server.stop()
    assert machine.ask_mail("127.0.0.1", server.port).why == "Connection refused"
    with listening() as port:  # and hangs up
        assert machine.ask_mail("127.0.0.1", port).why


def test_secrets_are_measured_and_their_modes_read(tmp_path: Path) -> None:
    folder = tmp_path / "hooks.example"
    folder.mkdir()
    (folder / "key").write_bytes(b"  0123456789\n")
    (folder / "key").chmod(0o640)
    (found,) = machine.look_at_secrets("a channel's secret", tmp_path)
    assert (found.mode, found.size_bytes, found.why) == (0o640, 10, "")
    assert machine.look_at_secret("a secret", tmp_path / "none").why == "No such file or directory"
    (gone,) = machine.look_at_secrets("a channel's secret", tmp_path / "none")
    assert gone.why == "there is no such folder"


def test_the_file_system_is_that_of_the_innermost_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (
        "21 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw",
        f"22 21 0:40 / {tmp_path} rw - nfs4 filer:/srv rw",
        "23 21 0:41 / /elsewhere rw - xfs /dev/sdb1 rw",
    )
    (tmp_path / "mounts").write_text("\n".join(lines))
    monkeypatch.setattr(machine, "MOUNTS", tmp_path / "mounts")
    (tmp_path / "store").mkdir()
    found = machine.look_at_disk(tmp_path / "store")
    assert found.kind == "nfs4"
    assert 0 < found.free_bytes <= found.total_bytes


def test_the_newest_copy_is_found_by_when_it_was_written(tmp_path: Path) -> None:
    assert machine.find_newest(tmp_path, "*.db", DAY).newest is None
    (tmp_path / "a.db").touch()
    newest = machine.find_newest(tmp_path, "*.db", DAY).newest
    assert newest is not None
    assert abs(newest - datetime.now(UTC)) < timedelta(minutes=5)


def test_the_kernel_is_asked_for_its_clock_and_nothing_is_set() -> None:
    assert machine.is_clock_kept() in {True, False, None}
