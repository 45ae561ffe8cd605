"""Health checks by commands on nodes, over the system's OpenSSH client.

The client is the one whose configuration, keys, certificates and jump hosts a site has already. A check runs detached
on its node, in a folder that is named after the step's key, so that neither a lost connection nor a restart here ends
or repeats it. See docs/health-checks.md.
"""

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from fermata.adapters.health_checks import OUTPUT_BYTES_MAX, Checks, Job, PlanSettings, Seen
from fermata.adapters.health_script import UNIT, read_look, write_look, write_start
from fermata.domain.health import shorten
from fermata.domain.observations import Accepted, Answer, Denied, Later, Unsure
from fermata.ports import AdapterPorts, Clock, Refused

KIND = "health_ssh"
PORTS = frozenset({"verifier"})
LATER = timedelta(minutes=1)
SSH_FAILED: Final = 255  # of ssh itself; a script of ours never ends with it
NO_MARKER: Final = 90
REFUSED = ("Permission denied", "Host key verification failed", "Bad configuration option", "Name or service not known")
NEVER_THERE = ("connect to host", "Temporary failure in name resolution", "Connection closed by UNKNOWN")

T = TypeVar("T")


class Settings(BaseModel):
    """How nodes are reached and what is run on them. `host`: `{node}` stands for the node's name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checks: PlanSettings
    host: str = Field("{node}", pattern=r"^[A-Za-z0-9._{}-]*\{node\}[A-Za-z0-9._-]*$")
    user: str = Field("", pattern=r"^[A-Za-z0-9._-]*$")
    port: int = Field(22, ge=1, le=65535)
    config_file: Path | None = Field(None, description="Configuration of ssh; none: the user's own")
    key_file: Path | None = Field(None, description="Private key; none: as ssh finds it, or its agent")
    known_hosts_file: Path | None = Field(
        None, description="Keys of hosts; none: the user's own. Unknown ones: refused"
    )
    folder: str = Field("/var/tmp/fermata-checks", pattern=r"^/[A-Za-z0-9._/-]+$", description="On nodes, for results")
    at_once: int = Field(32, ge=1, le=256, description="Connections at a time")
    connect_seconds: float = Field(10, ge=1, le=60)
    answer_seconds: float = Field(30, ge=1, le=300)
    program: str = "ssh"


def build(settings: Settings, clock: Clock) -> AdapterPorts:
    """Calls nobody. Raises Refused where there is no OpenSSH client."""
    if shutil.which(settings.program) is None:
        raise Refused(f"{settings.program} is not installed here: install the OpenSSH client")
    runner = Ssh(settings, clock)
    return AdapterPorts(
        verifier=Checks(runner, settings.checks, clock), close=runner.close, probe=lambda: probe(settings)
    )


def probe(settings: Settings) -> Mapping[str, str]:
    """The client here; no node is called, since none of them is the target more than the others."""
    done = subprocess.run([settings.program, "-V"], capture_output=True, text=True, timeout=10, check=False)
    return {"product": "OpenSSH client", "version": shorten(done.stderr or done.stdout)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How a connection ended. `exit_code` None: not within its time."""

    exit_code: int | None
    out: str
    err: str


class Ssh:
    """Runner: one connection a job, several at a time."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._pool = ThreadPoolExecutor(max_workers=settings.at_once, thread_name_prefix=KIND)

    def close(self) -> None:
        """Connections end by themselves within `answer_seconds`."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def start(self, jobs: Sequence[Job]) -> Mapping[str, Answer]:
        """See Runner."""
        return dict(self._each(jobs, self._start))

    def look(self, jobs: Sequence[Job]) -> Mapping[str, Seen]:
        """See Runner."""
        return {name: seen for name, seen in self._each(jobs, self._look) if seen is not None}

    def _each(self, jobs: Sequence[Job], call: Callable[[Job], T]) -> list[tuple[str, T]]:
        try:
            return list(zip((job.name for job in jobs), self._pool.map(call, jobs), strict=True))
        except RuntimeError as error:  # the pool takes nothing any more
            raise Refused(f"{KIND} is closed") from error

    def _start(self, job: Job) -> Answer:
        if UNIT.fullmatch(job.unit) is None:
            return Denied(why=f"{job.unit!r} cannot be a host")
        said = self._call(job.unit, write_start(job, self._settings.folder))
        if said.exit_code == 0:
            return Accepted()
        if said.exit_code == NO_MARKER:
            return Denied(why=f"{self._settings.folder} on {job.unit} cannot be written: {shorten(said.err)}")
        if said.exit_code != SSH_FAILED:
            return Unsure()
        if any(words in said.err for words in REFUSED):
            return Denied(why=f"{job.unit} cannot be reached by ssh: {shorten(said.err)}")
        return Later(after=LATER) if any(words in said.err for words in NEVER_THERE) else Unsure()

    def _look(self, job: Job) -> Seen | None:
        if UNIT.fullmatch(job.unit) is None:
            return None
        said = self._call(job.unit, write_look(job, self._settings.folder))
        return read_look(said.out, self._clock.now()) if said.exit_code == 0 else None

    def _call(self, unit: str, script: str) -> Said:
        settings = self._settings
        words = [settings.program, *_options(settings), settings.host.replace("{node}", unit), "sh", "-s"]
        limit = settings.connect_seconds + settings.answer_seconds
        try:
            done = subprocess.run(words, input=script.encode(), capture_output=True, timeout=limit, check=False)
        except subprocess.TimeoutExpired:
            return Said(exit_code=None, out="", err="")
        except OSError as error:
            raise Refused(f"{settings.program} cannot be run: {error}") from error
        out = done.stdout[: OUTPUT_BYTES_MAX + 100].decode("utf-8", "replace")
        return Said(exit_code=done.returncode, out=out, err=done.stderr[:10_000].decode("utf-8", "replace"))


def _options(settings: Settings) -> list[str]:
    """Never a question, never an unknown host, nothing forwarded."""
    chosen = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "ConnectTimeout": f"{settings.connect_seconds:.0f}",
        "ServerAliveInterval": "10",
        "ClearAllForwardings": "yes",
        "ForwardAgent": "no",
        "LogLevel": "ERROR",
    }
    if settings.known_hosts_file is not None:
        chosen["UserKnownHostsFile"] = str(settings.known_hosts_file)
    if settings.key_file is not None:
        chosen |= {"IdentityFile": str(settings.key_file), "IdentitiesOnly": "yes"}
    words = [word for name, value in chosen.items() for word in ("-o", f"{name}={value}")]
    words += ["-T", "-p", str(settings.port)]
    words += ["-F", str(settings.config_file)] if settings.config_file is not None else []
    return words + (["-l", settings.user] if settings.user else [])
