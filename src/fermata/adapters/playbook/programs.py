"""Ansible's programs: where they are, what they are run with, and what they say of hosts and playbooks."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from fermata.adapters.playbook.settings import Settings
from fermata.domain.health import shorten
from fermata.ports import OutcomeUnknown, Refused, TryLater

AGAIN = timedelta(minutes=1)
TAIL = 160  # characters at the end of what a program prints
FAULTS = ("[ERROR]", "ERROR!")
INVENTORY_SECONDS = 60.0  # until the inventory is read again for a name that is not in it
PASSED_ON = ("HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "TMPDIR", "TZ")
FIXED = {
    "LANG": "C.UTF-8",
    "ANSIBLE_HOST_KEY_CHECKING": "True",
    "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "True",
    "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",
    "ANSIBLE_NOCOLOR": "1",
}
LOOK_AGAIN_SECONDS = 0.05
SECRET_LENGTH_MIN = 4  # shorter ones stand in other words by chance
_SCALAR = re.compile(r"^[^#\n]*?(?::|-)[ \t]+[\"']?([^\n\"'{}\[\]|>]+?)[\"']?,?\s*$", re.MULTILINE)


class Programs:
    """Everything of Ansible that is run as a command, with nothing of our environment but what it needs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._hosts: frozenset[str] = frozenset()
        self._read_at: float | None = None

    def close(self) -> None:
        """Ends what hangs."""
        self._closed.set()

    @property
    def is_closed(self) -> bool:
        """True once nothing is asked any more."""
        return self._closed.is_set()

    def find(self, name: str) -> str:
        """Its path: in `programs`, else as PATH says, else beside this Python. Raises Refused."""
        found = shutil.which(name, path=self._path())
        if found is None:
            raise Refused(f"{name} is not installed here: pip install 'fermata[playbook]', or name its folder")
        return found

    def environment(self) -> dict[str, str]:
        """Of every program. Unless the settings say otherwise, keys of unknown hosts are refused, and an inventory that
        cannot be read is a fault: half of one would be taken for all.
        """
        passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return {**passed, "PATH": self._path(), **FIXED, **self._settings.environment}

    def command_line(self, limit: Path) -> str:
        """Options of ansible-playbook, none of which is a secret. Ours come last, and win."""
        return shlex.join([*self._secrets(), "--forks", str(self._settings.forks), "--limit", f"@{limit}"])

    def hide(self, text: str) -> str:
        """Without what stands in `secret_vars_file`, as far as it can be read without its password."""
        path = self._settings.secret_vars_file
        if path is None or not text:
            return text
        with contextlib.suppress(OSError):
            for secret in sorted(_SCALAR.findall(path.read_text(encoding="utf-8", errors="replace")), key=len)[::-1]:
                if len(secret) >= SECRET_LENGTH_MIN:
                    text = text.replace(secret, "***")
        return text

    def hosts(self, wanted: Sequence[str]) -> frozenset[str]:
        """Those of `wanted` that Ansible knows as hosts, and as nothing else. Raises TryLater or Refused."""
        if self._settings.inventory_file is None:
            known = frozenset(map(self._settings.host_of, self._settings.units))
        else:
            known = self._listed(frozenset(wanted))
        return known.intersection(wanted)

    def _listed(self, wanted: frozenset[str]) -> frozenset[str]:
        with self._lock:
            age = None if self._read_at is None else time.monotonic() - self._read_at
            if age is None or (age >= INVENTORY_SECONDS and not wanted <= self._hosts):
                self._hosts = _read_hosts(self._list())
                self._read_at = time.monotonic()
            return self._hosts

    def _list(self) -> Mapping[str, Any]:
        assert self._settings.inventory_file is not None
        vault = self._settings.vault_password_file
        secret = [] if vault is None else ["--vault-password-file", str(vault.absolute())]
        words = ["-i", str(self._settings.inventory_file.absolute()), "--list", *secret]
        said = self.ask("ansible-inventory", *words)
        try:
            found = json.loads(said)
        except ValueError as error:
            raise Refused("ansible-inventory says nothing that can be read") from error
        return found if isinstance(found, dict) else {}

    def count_hosts(self) -> int:
        """How many there are. Raises as `ask`."""
        return len(self._settings.units) if self._settings.inventory_file is None else len(_read_hosts(self._list()))

    def check_syntax(self, playbook: Path, variables: Mapping[str, Any]) -> None:
        """Raises Refused for a playbook that Ansible cannot read; as `ask` otherwise. No host is asked."""
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as given:
            given.write(json.dumps({**self._settings.variables, **variables}))
            given.flush()
            words = ["--syntax-check", "-i", "localhost,", *self._secrets(), "-e", f"@{given.name}"]
            self.ask("ansible-playbook", *words, str(playbook.absolute()), cwd=playbook.parent)

    def ask(self, name: str, *words: str, cwd: Path | None = None) -> str:
        """What a program that changes nothing prints. Raises Refused when it fails, TryLater when it takes too long,
        OutcomeUnknown when it was cut short by `close`.
        """
        if self._closed.is_set():
            raise TryLater(AGAIN, "the adapter is closed")
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as wrong:
            code = self._run([self.find(name), *words], out, wrong, cwd)
            said, faults = (_read_all(file) for file in (out, wrong))
        if code != 0:
            raise Refused(f"{name} ended with {code}: {self.hide(find_fault(faults or said)) or 'it says nothing'}")
        return said

    def _run(self, words: Sequence[str], out: IO[bytes], wrong: IO[bytes], cwd: Path | None) -> int:
        ends = time.monotonic() + self._settings.answer_seconds
        try:
            process = subprocess.Popen(
                words,
                env=self.environment(),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=wrong,
                start_new_session=True,
            )
        except OSError as error:
            raise Refused(f"{words[0]} cannot be run: {error.strerror}") from error
        with process:
            while process.poll() is None and not self._closed.is_set() and time.monotonic() < ends:
                time.sleep(LOOK_AGAIN_SECONDS)
            if process.poll() is not None:
                return process.returncode
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
        if self._closed.is_set():
            raise OutcomeUnknown("the adapter was closed meanwhile")
        raise TryLater(AGAIN, f"{Path(words[0]).name} does not answer")

    def _path(self) -> str:
        """Of a folder that is named, or else of PATH and of this Python."""
        named = self._settings.programs
        own = str(Path(sys.executable).parent)
        usual = os.environ.get("PATH", os.defpath)
        return os.pathsep.join([str(named.absolute()), usual] if named is not None else [usual, own])

    def _secrets(self) -> list[str]:
        """By their paths alone."""
        words: list[str] = []
        if self._settings.vault_password_file is not None:
            words += ["--vault-password-file", str(self._settings.vault_password_file.absolute())]
        if self._settings.secret_vars_file is not None:
            words += ["-e", f"@{self._settings.secret_vars_file.absolute()}"]
        return words


def _read_all(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def find_fault(printed: str) -> str:
    """What a program says is wrong: from its last fault on, else what it says last."""
    at = max(printed.rfind(word) for word in FAULTS)
    return shorten(printed[at:] if at >= 0 else printed[-TAIL:])


def _read_hosts(listed: Mapping[str, Any]) -> frozenset[str]:
    """Names of hosts that are no group's as well: --limit would take the whole group."""
    groups = {name: body for name, body in listed.items() if name != "_meta" and isinstance(body, dict)}
    hosts = {str(host) for body in groups.values() for host in body.get("hosts") or ()}
    children = {str(child) for body in groups.values() for child in body.get("children") or ()}
    return frozenset(hosts - groups.keys() - children)
