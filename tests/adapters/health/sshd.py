"""A real sshd on loopback, with keys of its own and the rights of whoever runs the tests."""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Sshd:
    """Where it answers, and with which files."""

    port: int
    key: Path
    known_hosts: Path


def require_sshd() -> None:
    if not Path(SSHD).exists() or shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        pytest.skip("no sshd on this machine: install Debian's openssh-server")


@contextlib.contextmanager
def serving_ssh(folder: Path) -> Iterator[Sshd]:
    require_sshd()
    for name in ("host", "user"):
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(keygen, check=True, timeout=60, stdin=subprocess.DEVNULL)
    authorized = folder / "authorized_keys"
    shutil.copy(folder / "user.pub", authorized)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "sshd_config"
    lines = {
        "ListenAddress": "127.0.0.1",
        "Port": str(port),
        "HostKey": str(folder / "host"),
        "AuthorizedKeysFile": str(authorized),
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "PidFile": "none",
        "MaxStartups": "100",
    }
    config.write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd parts with its privileges
    known = folder / "known_hosts"
    public = (folder / "host.pub").read_text().split()[:2]
    known.write_text(f"[127.0.0.1]:{port} {' '.join(public)}\n[localhost]:{port} {' '.join(public)}\n")
    with (folder / "sshd.log").open("wb") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stdout=log, stderr=log)
        try:
            await_port(port, server)
            yield Sshd(port=port, key=folder / "user", known_hosts=known)
        finally:
            server.terminate()
            server.wait(PATIENCE_SECONDS)


def await_port(port: int, server: "subprocess.Popen[bytes]") -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        assert server.poll() is None, "the server ended before it answered"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"nobody answers at port {port}")


def me() -> str:
    return getpass.getuser()
