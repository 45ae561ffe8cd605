"""Has queries answered by a process of its own, and ends that process when a query does not end by itself.

Safe for many threads: one query at a time is answered, the others wait their turn for a while.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from fermata.query.answers import Answer, FaultKind, QueryFault, Question, refuse
from fermata.query.pipe import PipeEnded, answer_from_bytes, question_to_bytes, read_frame, write_frame
from fermata.query.tables import Tables
from fermata.query.text import prepare

SPARING = {"MALLOC_ARENA_MAX": "2", "ARROW_DEFAULT_MEMORY_POOL": "system"}
# The worker's address space is bounded: heaps of 64 MiB for each thread, and a pool of 1 GiB, are reserved by chance of
# timing, used by nobody, and had small queries refused for memory on busy machines.
KEPT_ENVIRONMENT = frozenset({"PATH", "LD_LIBRARY_PATH", "LANG"})  # no secret of the server's goes along


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLimits:
    """What queries may take. `grace_seconds`: how long after its time a query may still end by itself; then its process
    is ended. `wait_seconds`: how long a query waits for others. `start_seconds`: for tables of a million nodes.
    `niceness`: how far its process stands back behind all others of the machine.
    """

    seconds: float = 10.0
    grace_seconds: float = 2.0
    wait_seconds: float = 20.0
    start_seconds: float = 120.0
    threads: int = 2
    memory_mib: int = 1024
    niceness: int = 10


DEFAULT_LIMITS = EngineLimits()


class Engine:
    """Tables that do not change, and the process that holds them; it is started by the first question."""

    def __init__(self, tables: Tables, limits: EngineLimits = DEFAULT_LIMITS) -> None:
        self._tables = tables.to_bytes()
        self._limits = limits
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_retired = False

    def ask(self, question: Question) -> Answer:
        """The answer. Raises QueryFault; the next question is answered whatever became of this one."""
        prepare(question.text)  # what its text forbids need not wait for its turn
        if not self._turn.acquire(timeout=self._limits.wait_seconds):
            raise refuse(FaultKind.BUSY, "it waited too long for others, ask again in a moment.")
        try:
            return self._exchange(question)
        finally:
            self._turn.release()
            self._end_if_retired()

    @property
    def process_id(self) -> int | None:
        """Of the process, None while there is none."""
        return self._process.pid if self._process else None

    @property
    def is_busy(self) -> bool:
        """True while a question is answered, so that the next one waits."""
        return self._turn.locked()

    def retire(self) -> None:
        """Ends the process, once those who wait already have their answers. Returns at once."""
        self._is_retired = True
        self._end_if_retired()

    def _end_if_retired(self) -> None:
        if self._is_retired and self._turn.acquire(blocking=False):
            self._end()
            self._turn.release()

    def _exchange(self, question: Question) -> Answer:
        process = self._process if self._process and self._process.poll() is None else self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        allowed = self._limits.seconds + self._limits.grace_seconds
        timer = threading.Timer(allowed, process.kill)
        timer.start()
        try:
            write_frame(process.stdin, question_to_bytes(question, self._limits.seconds))
            body = read_frame(process.stdout)
        except PipeEnded as error:
            self._end()
            sentence = "it took more time or memory than it may, ask for less at once."
            raise refuse(FaultKind.STOPPED, sentence) from error
        finally:
            timer.cancel()
        return self._read_answer(body)

    def _read_answer(self, body: bytes) -> Answer:
        try:
            return answer_from_bytes(body)
        except QueryFault as error:
            if error.fault.is_worker_spent:
                self._end()
            raise

    def _start(self) -> subprocess.Popen[bytes]:
        self._end()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "fermata.query.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            cwd="/",
            start_new_session=True,
        )
        self._process = process
        timer = threading.Timer(self._limits.start_seconds, process.kill)
        timer.start()
        try:
            self._load(process, self._tables)
        except PipeEnded as error:
            self._end()
            sentence = "the tables could not be loaded within the time and memory that queries may take."
            raise refuse(FaultKind.STOPPED, sentence) from error
        finally:
            timer.cancel()
        return process

    def _load(self, process: subprocess.Popen[bytes], tables: Mapping[str, bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        bounds = {"threads": self._limits.threads, "memory_mib": self._limits.memory_mib}
        bounds["niceness"] = self._limits.niceness
        write_frame(process.stdin, orjson.dumps({**bounds, "tables": list(tables)}))
        for body in tables.values():
            write_frame(process.stdin, body)
        read_frame(process.stdout)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def _environment() -> dict[str, str]:
    """Little, and the modules that this process sees, wherever it was started."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT_ENVIRONMENT}
    modules = os.pathsep.join(str(Path(place).resolve()) for place in sys.path if place)
    return kept | SPARING | {"PYTHONPATH": modules}
