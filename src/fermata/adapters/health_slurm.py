"""Health checks as Slurm jobs, by sbatch and squeue, with results in a folder that nodes and this machine share.

A job is named after the step's key, and its first act is to make a folder of that name: submitted twice, it runs once.
Slurm gives no job to a drained node: the node has to take jobs of a reservation, which the settings name. What does
not begin in time is cancelled, and fails with Slurm's own word of why. See docs/health-checks.md.
"""

import math
import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from fermata.adapters.health_checks import OUTPUT_BYTES_MAX, Absent, Checks, Going, Job, Lost, PlanSettings, Seen
from fermata.adapters.health_script import UNIT, to_ended, write_run
from fermata.domain.health import shorten
from fermata.domain.observations import Accepted, Answer, Denied, Later, Unsure
from fermata.ports import AdapterPorts, Clock, OutcomeUnknown, Refused, TryLater

KIND = "health_slurm"
PORTS = frozenset({"verifier"})
LATER = timedelta(minutes=1)
ANSWER_SECONDS_MAX = 60.0
NAMES_MAX = 200  # jobs asked about at once: a command line of 10 kB
SUBMITTERS = 8
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # of jobs: nothing of ours goes along
RESULT_WITHIN = timedelta(minutes=2)  # after the job's end: file servers show what nodes wrote with a delay
UNDER_WAY = frozenset({"RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT"})
PENDING = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"})
NOT_THERE = ("Unable to contact slurm controller", "Connection refused", "Transport endpoint is not connected")
UNCERTAIN = ("Socket timed out", "Zero Bytes were transmitted", "Unexpected message received")
_FORMAT = "%j|%i|%T|%V|%e|%r"
_WORD = r"^[A-Za-z0-9._-]*$"


class Settings(BaseModel):
    """Where jobs are sent and where their results are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checks: PlanSettings
    folder: Path = Field(description="For results; the same path on nodes and on this machine")
    reservation: str = Field("", pattern=_WORD, description="Whose nodes take the checks while nobody else's jobs")
    partition: str = Field("", pattern=_WORD)
    account: str = Field("", pattern=_WORD)
    qos: str = Field("", pattern=_WORD)
    start_minutes: float = Field(15, gt=0, le=24 * 60, description="A job that has not begun by then is cancelled")
    programs: Path | None = Field(None, description="Folder of sbatch, squeue and scancel; none: as PATH says")
    config_file: Path | None = Field(None, description="slurm.conf; none: Slurm's own")


def build(settings: Settings, clock: Clock) -> AdapterPorts:
    """Calls nobody."""
    runner = SlurmJobs(settings, clock)
    return AdapterPorts(verifier=Checks(runner, settings.checks, clock), close=runner.close, probe=runner.probe)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A job as the controller knows it. `ended_at` None: it has not."""

    number: str
    state: str
    submitted_at: datetime | None
    ended_at: datetime | None
    why: str


class SlurmJobs:
    """Runner: one job a check, on the one node it is about."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._pool = ThreadPoolExecutor(max_workers=SUBMITTERS, thread_name_prefix=KIND)

    def close(self) -> None:
        """Jobs go on; the next to ask finds them."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def probe(self) -> Mapping[str, str]:
        """The version of the client, whether the controller answers, and whether results could be written."""
        version = self._run("squeue", "--version").strip()
        self._queue([])
        return {
            "product": "Slurm",
            "version": version,
            "folder": f"writable: {os.access(self._settings.folder, os.W_OK)}",
        }

    def start(self, jobs: Sequence[Job]) -> Mapping[str, Answer]:
        """See Runner. Raises TryLater or Refused when the queue cannot be read: then nothing was submitted."""
        known = self._queue([job.name for job in jobs])
        fresh = [job for job in jobs if job.name not in known and not self._marker(job).exists()]
        try:
            answers = dict(zip((job.name for job in fresh), self._pool.map(self._submit, fresh), strict=True))
        except RuntimeError as error:  # the pool takes nothing any more
            raise Refused(f"{KIND} is closed") from error
        return {job.name: answers.get(job.name, Accepted()) for job in jobs}

    def look(self, jobs: Sequence[Job]) -> Mapping[str, Seen]:
        """See Runner. Raises TryLater or Refused when the queue cannot be read."""
        known = self._queue([job.name for job in jobs])  # before the results: what ends in between has one
        return {job.name: self._look(job, known.get(job.name)) for job in jobs}

    def _look(self, job: Job, queued: Queued | None) -> Seen:
        now = self._clock.now()
        result = _read_result(self._marker(job), now)
        if result is not None:
            return result
        if queued is None:
            if self._marker(job).exists():
                return Lost(at=now, why="the controller knows its job no more, and it left no result")
            return Absent()
        if queued.state in UNDER_WAY:
            return Going()
        if queued.state in PENDING:
            return self._look_waiting(queued, now)
        if queued.ended_at is not None and now - queued.ended_at < RESULT_WITHIN:
            return Going(why="its result is not there yet")
        why = f"job {queued.number} is {queued.state} and left no result in {self._settings.folder}"
        return Lost(at=now, why=f"{why} ({shorten(queued.why)})" if queued.why not in ("", "None") else why)

    def _look_waiting(self, queued: Queued, now: datetime) -> Seen:
        limit = timedelta(minutes=self._settings.start_minutes)
        if queued.submitted_at is None or now - queued.submitted_at < limit:
            return Going(why=queued.why)
        self._run("scancel", queued.number)
        said = f"job {queued.number} did not begin within {limit / timedelta(minutes=1):g} minutes"
        return Lost(at=now, why=f"{said} and was cancelled: Slurm says {shorten(queued.why)}")

    def _submit(self, job: Job) -> Answer:
        if UNIT.fullmatch(job.unit) is None:
            return Denied(why=f"{job.unit!r} cannot be a node")
        chosen = {name: getattr(self._settings, name) for name in ("partition", "account", "qos", "reservation")}
        words = [
            *("--parsable", "--no-requeue", "--nodes=1", "--exclusive", "--chdir=/", "--export=NIL"),
            *("--input=/dev/null", "--output=/dev/null", "--error=/dev/null"),
            *(f"--job-name={job.name}", f"--nodelist={job.unit}"),
            f"--time={math.ceil(job.time_limit / timedelta(minutes=1)) + 2}",
            *(f"--{name}={value}" for name, value in chosen.items() if value),
        ]
        script = f"#!/bin/sh\nPATH={PATH}\nexport PATH\n{write_run(job, str(self._settings.folder))}"
        try:
            done = self._call("sbatch", *words, given=script)
        except subprocess.TimeoutExpired:
            return Unsure()
        if done.returncode == 0:
            return Accepted()
        if any(said in done.stderr for said in NOT_THERE):
            return Later(after=LATER)
        was_killed = done.returncode < 0 and not done.stderr.strip()  # before it told how the call ended
        if was_killed or any(said in done.stderr for said in UNCERTAIN):
            return Unsure()
        return Denied(why=f"sbatch refuses a check of {job.unit}: {shorten(done.stderr)}")

    def _queue(self, names: Sequence[str]) -> Mapping[str, Queued]:
        """The newest job of each name that the controller still knows."""
        found: dict[str, Queued] = {}
        for start in range(0, max(1, len(names)), NAMES_MAX):
            asked = ",".join(names[start : start + NAMES_MAX]) or "fermata-nothing"
            told = self._run("squeue", "--noheader", "--states=all", f"--format={_FORMAT}", f"--name={asked}")
            for line in told.splitlines():
                name, queued = _read_line(line)
                if name not in found or int(found[name].number) < int(queued.number):
                    found[name] = queued
        return found

    def _run(self, program: str, *words: str) -> str:
        try:
            done = self._call(program, *words)
        except subprocess.TimeoutExpired as error:
            raise OutcomeUnknown(f"{program} does not end within {ANSWER_SECONDS_MAX:.0f} s") from error
        if done.returncode != 0:
            raise TryLater(LATER, f"{program} failed: {shorten(done.stderr or done.stdout)}")
        return done.stdout

    def _call(self, program: str, *words: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        folder, config = self._settings.programs, self._settings.config_file
        named = str(folder / program) if folder is not None else program
        environment = {**os.environ, "SLURM_TIME_FORMAT": "%s"}
        if config is not None:
            environment["SLURM_CONF"] = str(config)
        try:
            return subprocess.run(
                [named, *words],
                input=given,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=ANSWER_SECONDS_MAX,
                check=False,
                env=environment,
            )
        except OSError as error:
            raise Refused(f"{named} cannot be run: {error}") from error

    def _marker(self, job: Job) -> Path:
        return self._settings.folder / job.name


def _read_line(line: str) -> tuple[str, Queued]:
    words = line.split("|", 5)
    if len(words) != 6 or not words[1].isdecimal():
        raise Refused(f"squeue prints what was not asked for: {shorten(line)}")
    name, number, state, submitted, ended, why = words
    is_over = state not in UNDER_WAY | PENDING  # until then, the end is the one that is foreseen
    return name, Queued(
        number=number,
        state=state,
        submitted_at=_read_time(submitted),
        ended_at=_read_time(ended) if is_over else None,
        why=why,
    )


def _read_time(words: str) -> datetime | None:
    return datetime.fromtimestamp(int(words), UTC) if words.isascii() and words.isdigit() and len(words) < 12 else None


def _read_result(marker: Path, now: datetime) -> Seen | None:
    """None while there is none. Raises TryLater when it cannot be read, and for one that is no result."""
    try:
        at, code = (marker / "end").read_text(encoding="ascii").split()
        with (marker / "output").open("rb") as file:
            output = file.read(OUTPUT_BYTES_MAX).decode("utf-8", "replace")
        ended_at = datetime.fromtimestamp(int(at), UTC)
        return to_ended(min(ended_at, now), int(code), output)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, OverflowError) as error:
        raise TryLater(LATER, f"the result in {marker} cannot be read: {error}") from error
