"""Slurm's own programs, run with a limit of time; their words for what went wrong become our three errors."""

import os
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from fermata.adapters.slurm.settings import Settings
from fermata.ports import OutcomeUnknown, Refused, TryLater

SAID_MAX = 200
AGAIN = timedelta(minutes=1)
CHARACTERS_MAX = 60_000  # of a list of nodes: one argument of a program holds twice as many
_AWAY = ("unable to contact", "timed out", "timeout", "connection refused", "connect failure", "zero bytes")
_AWAY_TOO = ("temporarily", "socket", "try again", "standby", "communications", "slurmctld is not")
_LOST = ("timed out", "timeout", "zero bytes", "unexpected message", "communications")  # after it was sent
_FORBIDDEN = ("permission denied", "invalid user id", "access denied", "authentication", "credential")


class NotDone(Exception):
    """A program ended with an error: what it asked for was done in part, or not at all. Look before answering."""

    def __init__(self, why: str, *, is_away: bool, is_lost: bool = False) -> None:
        """`is_lost`: its answer was lost, so that it may have been done, or be done yet."""
        super().__init__(why)
        self.why = why
        self.is_away = is_away
        self.is_lost = is_lost


@dataclass
class Commands:
    """Runs them, in UTC and in English. `close` ends what still runs."""

    settings: Settings
    _running: set[subprocess.Popen[str]] = field(default_factory=set, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def read(self, program: str, *words: str, lacking: str = "") -> str:
        """What it prints; also when it ends with an error and says `lacking` of a part. Raises TryLater or Refused."""
        try:
            return self._run(program, *words, lacking=lacking)
        except NotDone as error:
            if not error.is_away and any(word in error.why.lower() for word in _FORBIDDEN):
                raise Refused(error.why) from error
            raise TryLater(AGAIN, error.why) from error
        except OutcomeUnknown as error:
            raise TryLater(AGAIN, str(error)) from error

    def act(self, program: str, *words: str) -> None:
        """Raises NotDone, Refused when the program cannot be run, or OutcomeUnknown when it did not end in time."""
        self._run(program, *words)

    def close(self) -> None:
        """Ends what still runs."""
        with self._lock:
            for process in self._running:
                with suppress(ProcessLookupError):
                    process.kill()

    def _run(self, program: str, *words: str, lacking: str = "") -> str:
        said = f"{program} {' '.join(words)}"[:SAID_MAX]
        try:
            process = subprocess.Popen(
                [program, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=self._environment(),
            )
        except OSError as error:
            raise Refused(f"{program} cannot be run: {error.strerror}; is Slurm's client installed here?") from error
        with self._lock:
            self._running.add(process)
        try:
            out, err = process.communicate(timeout=self.settings.answer_seconds_max)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.communicate()
            limit = self.settings.answer_seconds_max
            raise OutcomeUnknown(f"{said} does not end within {limit:.0f} s") from error
        finally:
            with self._lock:
                self._running.discard(process)
        if process.returncode < 0:
            raise OutcomeUnknown(f"{said} was ended by signal {-process.returncode}")
        if process.returncode != 0 and not (lacking and lacking in out):
            raise _not_done(said, err or out)
        return out

    def _environment(self) -> dict[str, str]:
        names = ("PATH", "HOME", "LD_LIBRARY_PATH", "SLURM_CONF", "USER")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        config = {"SLURM_CONF": self.settings.config} if self.settings.config is not None else {}
        return {**kept, **config, "TZ": "UTC", "LC_ALL": "C.UTF-8"}


def _not_done(said: str, text: str) -> NotDone:
    told = " ".join(text.split())[:SAID_MAX]
    is_away = any(word in told.lower() for word in (*_AWAY, *_AWAY_TOO))
    is_lost = any(word in told.lower() for word in _LOST)
    return NotDone(f"{said}: {told or 'it failed and says nothing'}", is_away=is_away or is_lost, is_lost=is_lost)
