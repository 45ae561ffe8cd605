"""The demo's state folder: who holds it, what is in it, what it was started with."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fermata.domain.reasons import Code, reason
from fermata.services.errors import Refusal

LOCK = "lock"
STORE = "fermata.db"
FACTS = "demo.json"
WORLD = "world.jsonl"
TEMPORAL = "temporal.db"  # what the demo's own Temporal server remembers
_STORE_FILES = tuple(f"{name}{end}" for name in (STORE, TEMPORAL) for end in ("", "-wal", "-shm", "-journal"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFolder:
    """A folder that this process holds the lock of."""

    path: Path

    @property
    def store(self) -> Path:
        """The SQLite file."""
        return self.path / STORE

    @property
    def world(self) -> Path:
        """What was done to the simulated fleet."""
        return self.path / WORLD

    def has_state(self) -> bool:
        """True when a demo was started here before, however far it came."""
        return (self.path / FACTS).exists() or self.store.exists()

    def forget(self) -> None:
        """Deletes what a demo wrote, and nothing else that may lie in the folder."""
        for name in (*_STORE_FILES, FACTS, WORLD):
            (self.path / name).unlink(missing_ok=True)

    def remember_seed(self, seed: int) -> None:
        """Writes down what a resumed demo must not change; whole or not at all."""
        draft = self.path / f"{FACTS}.new"
        draft.write_text(json.dumps({"seed": seed}) + "\n", encoding="utf-8")
        draft.replace(self.path / FACTS)

    def remembered_seed(self) -> int | None:
        """The seed that the demo here was started with; None when it did not come that far."""
        try:
            return int(json.loads((self.path / FACTS).read_text(encoding="utf-8"))["seed"])
        except FileNotFoundError:
            return None


@contextmanager
def held_folder(path: Path) -> Iterator[DemoFolder]:
    """The folder, made if it is not there, locked until the block or the process ends.

    Raises Refusal when another demo holds it, or when it cannot be written to, now or within the block.
    """
    try:
        with _locked(path):
            yield DemoFolder(path=path)
    except OSError as error:
        why = error.strerror or str(error)
        raise Refusal(reason(Code.DEMO_FOLDER_UNUSABLE, folder=path, why=why)) from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.mkdir(parents=True, exist_ok=True)
    with (path / LOCK).open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise Refusal(reason(Code.DEMO_RUNNING, folder=path, process=holder)) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
