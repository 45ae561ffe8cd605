"""Runs: a folder for each, begun once, followed by what it leaves there, stopped when it takes too long.

A run bears its folder's name in the command lines of its processes; it is alive as long as there is one. So nothing of
it depends on the process that began it, and a run that was killed is told from one that goes on.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fermata.adapters.playbook.events import End, HostEnd, read_ends
from fermata.adapters.playbook.programs import Programs, find_fault
from fermata.adapters.playbook.settings import Settings
from fermata.ports import Clock

GRACE = timedelta(minutes=2)  # after its time limit, for Ansible Runner to stop a run itself
BEGUN_ALREADY = 3
LOOK_AGAIN_SECONDS = 0.1
LOOKS_AGAIN = (1, 3, 6)  # after so many times as long each
IDENT = "run"
LOOK = "look"
# The folder `begun` is made once, by whoever comes first: a run is begun once. What is begun is nobody's child.
BEGIN = 'f=$1; shift; mkdir "$f/begun" 2>/dev/null || exit 3; "$@" </dev/null >"$f/log" 2>&1 & echo $! >"$f/pid"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one run is to do. `hosts` as Ansible calls them."""

    playbook: Path
    hosts: tuple[str, ...]
    minutes: float
    variables: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run ended, at `at` (UTC) as it was first noticed. `status`: what Ansible Runner says; "": it was cut off
    before it could.
    """

    at: datetime
    status: str
    says: str
    hosts: Mapping[str, HostEnd]

    @property
    def is_whole(self) -> bool:
        """True when Ansible Runner saw its playbook to the end."""
        return self.status in ("successful", "failed")


class Runs:
    """All runs of one folder, of all processes of this machine."""

    def __init__(self, settings: Settings, programs: Programs, clock: Clock) -> None:
        self._settings, self._programs, self._clock = settings, programs, clock
        self._folder = settings.folder.absolute() / "runs"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = re.escape(
            os.fsencode(f"{self._folder}/")
        )  # as a whole word: who reads a file of a run is not part of it
        self._named = re.compile(
            rb"(?:^|\0)(?:@" + place + rb"([\w.-]+)/env/extravars|" + place + rb"([\w.-]+))(?:\0|$)"
        )
        self._count = 0
        self._lock = threading.Lock()

    def name(self, word: str) -> str:
        """Of a run to be, unlike any other. `word`: what it does; LOOK for one that changes nothing."""
        with self._lock:
            self._count += 1
            count = self._count
        tame = re.sub(r"[^A-Za-z0-9_-]", "-", word)
        return f"{self._clock.now():%Y%m%dT%H%M%S}-{tame}-{os.getpid()}-{count}-{os.urandom(4).hex()}"

    @staticmethod
    def is_look(name: str) -> bool:
        """True of a run that changes nothing."""
        return name.split("-")[1:2] == [LOOK]

    def write(self, name: str, order: Order) -> None:
        """Its folder, with all that Ansible Runner reads. Raises OSError."""
        folder = self._folder / name
        folder.mkdir(mode=0o700)
        (folder / "env").mkdir(mode=0o700)
        settings = {"job_timeout": max(1, round(order.minutes * 60)), "suppress_ansible_output": True}
        _write(folder / "env/settings", json.dumps(settings))
        _write(folder / "env/envvars", json.dumps(self._programs.environment()))
        _write(folder / "env/extravars", json.dumps(dict(order.variables), ensure_ascii=False))
        _write(folder / "env/cmdline", self._programs.command_line(folder / "limit"))
        _write(folder / "limit", "".join(f"{host}\n" for host in order.hosts))
        _write(folder / "hosts.json", json.dumps(list(order.hosts)))
        if self._settings.inventory_file is None:
            units = self._settings.units
            hosts = {self._settings.host_of(unit): dict(variables) for unit, variables in units.items()}
            _write(folder / "inventory.json", json.dumps({"all": {"hosts": hosts}}))

    def begin(self, name: str, playbook: Path) -> bool:
        """False: it was begun before, or never will be. Raises OSError, or TimeoutExpired when nobody knows."""
        folder = self._folder / name
        inventory = self._settings.inventory_file or folder / "inventory.json"
        path = playbook.absolute()
        words = ["sh", "-c", BEGIN, "sh", str(folder), self._programs.find("ansible-runner"), "run", str(folder)]
        words += ["-p", str(path), "--project-dir", str(path.parent), "--ident", IDENT]
        words += ["--inventory", str(inventory.absolute()), "-q"]
        done = subprocess.run(
            words,
            env=self._programs.environment(),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=self._settings.answer_seconds,
            start_new_session=True,
            check=False,
        )
        if done.returncode not in (0, BEGUN_ALREADY):
            raise OSError(f"the run {name} cannot be begun: sh ended with {done.returncode}")
        return done.returncode == 0

    def void(self, name: str) -> bool:
        """Sees to it that a run is never begun. False: it has been."""
        try:
            (self._folder / name).mkdir(mode=0o700, exist_ok=True)
            (self._folder / name / "begun").mkdir()
        except FileExistsError:
            return False
        return True

    def find_alive(self) -> Mapping[str, Sequence[int]]:
        """Runs that go on, with their processes."""
        found: dict[str, list[int]] = {}
        for place in Path("/proc").iterdir():
            if place.name.isdigit() and int(place.name) != os.getpid():
                with contextlib.suppress(OSError):
                    match = self._named.search((place / "cmdline").read_bytes())
                    if match is not None:
                        found.setdefault(os.fsdecode(match[1] or match[2]), []).append(int(place.name))
        return found

    def stop(self, name: str) -> None:
        """Ends all of its processes, and what they began. What is under way on hosts may go on there."""
        ends = time.monotonic() + self._settings.answer_seconds
        while (pids := self.find_alive().get(name)) and time.monotonic() < ends:
            for pid in pids:
                with contextlib.suppress(OSError):
                    group = os.getpgid(pid)
                    if group != os.getpgid(0):
                        os.killpg(group, signal.SIGKILL)
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(LOOK_AGAIN_SECONDS)

    def is_written(self, name: str) -> bool:
        """True when Ansible Runner has written how it ended."""
        with contextlib.suppress(OSError):
            return (self._folder / name / "artifacts" / IDENT / "rc").stat().st_size > 0
        return False

    def is_over(self, name: str, alive: Collection[str]) -> bool:
        """True of a run that said how it ended, or has no process left. `alive`: those of a first look, whose word is
        taken at further ones alone: a process that is just replaced by a program has no command line for a moment,
        which on a busy machine may be a long one.
        """
        if name in alive:
            return False
        for times in LOOKS_AGAIN:
            if self.is_written(name):
                return True
            time.sleep(times * LOOK_AGAIN_SECONDS)
            if name in self.find_alive():
                return False
        return True

    def end(self, name: str) -> Ended:
        """How a run that is not alive ended. Read once; from then on what hosts said is no longer there."""
        folder = self._folder / name
        if not folder.is_dir():  # it is over for long
            return Ended(at=datetime.fromtimestamp(0, UTC), status="", says="", hosts={})
        kept = folder / "ended.json"
        with contextlib.suppress(OSError, ValueError, KeyError):
            return _from_json(json.loads(kept.read_text(encoding="utf-8")))
        hosts = []
        with contextlib.suppress(OSError, ValueError):
            hosts = json.loads((folder / "hosts.json").read_text(encoding="utf-8"))
        artifacts = folder / "artifacts" / IDENT
        ended = Ended(
            at=self._clock.now(),
            status=_read(artifacts / "status"),
            says=self._programs.hide(find_fault(_read(artifacts / "stdout") or _read(folder / "log"))),
            hosts={host: self._hide(end) for host, end in read_ends(_read_events(artifacts), hosts).items()},
        )
        _write(folder / "ended.new", json.dumps(_to_json(ended)))
        (folder / "ended.new").replace(kept)
        for place in (artifacts / "job_events", artifacts / "fact_cache", folder / "env"):
            shutil.rmtree(place, ignore_errors=True)
        for file in (artifacts / "command", folder / "inventory.json"):
            file.unlink(missing_ok=True)
        return ended

    def remove(self, name: str) -> None:
        """What is left of it."""
        shutil.rmtree(self._folder / name, ignore_errors=True)

    def prune(self) -> None:
        """Removes what is left of runs that ended long ago."""
        before = time.time() - timedelta(days=self._settings.keep_days).total_seconds()
        alive = self.find_alive()
        for folder in self._folder.iterdir():
            with contextlib.suppress(OSError):
                if folder.stat().st_mtime < before and folder.name not in alive:
                    shutil.rmtree(folder, ignore_errors=True)

    def _hide(self, end: HostEnd) -> HostEnd:
        return HostEnd(end=end.end, says=self._programs.hide(end.says), facts=end.facts)


def _write(path: Path, text: str) -> None:
    """Readable by us alone, from its first byte on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace").strip()
    return ""


def _read_events(artifacts: Path) -> Iterator[Mapping[str, Any]]:
    """In the order they happened. One that was cut off is no event."""
    numbered = []
    for path in (artifacts / "job_events").glob("*.json"):
        number = path.name.partition("-")[0]
        if number.isdigit() and not path.name.endswith("-partial.json"):
            numbered.append((int(number), path))
    for _, path in sorted(numbered):
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(found, dict):
                yield found


def _to_json(ended: Ended) -> Mapping[str, Any]:
    hosts = {name: {"end": end.end, "says": end.says, "facts": end.facts} for name, end in ended.hosts.items()}
    return {"at": ended.at.isoformat(), "status": ended.status, "says": ended.says, "hosts": hosts}


def _from_json(found: Mapping[str, Any]) -> Ended:
    return Ended(
        at=datetime.fromisoformat(found["at"]),
        status=found["status"],
        says=found["says"],
        hosts={
            name: HostEnd(end=End(host["end"]), says=host["says"], facts=host["facts"])
            for name, host in found["hosts"].items()
        },
    )
