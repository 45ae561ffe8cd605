"""What was asked of controllers under which step key, and which task became of it: a row before each act, the outcome
after it. For targets that keep no keys of ours.
"""

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fermata.domain.ids import StepKey

_TABLE = """
CREATE TABLE IF NOT EXISTS steps (
    key TEXT PRIMARY KEY, unit TEXT NOT NULL, op TEXT NOT NULL, component TEXT NOT NULL, version TEXT NOT NULL,
    image TEXT NOT NULL, asked_at TEXT NOT NULL, before TEXT, is_done INTEGER NOT NULL DEFAULT 0,
    task TEXT, ended_at TEXT, failed TEXT
)
"""
_ROW = (
    "INTO steps (key, unit, op, component, version, image, asked_at, before, task) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
WAIT_SECONDS = 30.0  # for another process of this machine that writes


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One key. `op`: apply or reset. `before`: when the machine was last reset as it was asked, as its controller says.

    `is_done`: the controller said yes; False: it was asked, or was about to be, and nobody knows more.
    `failed` None of a step that ended: it succeeded.
    """

    key: StepKey
    unit: str
    op: str
    component: str
    version: str
    image: str
    asked_at: datetime
    before: str | None = None
    is_done: bool = False
    task: str | None = None
    ended_at: datetime | None = None
    failed: str | None = None


class Memory:
    """A file that several processes of one machine share, or nothing but this process."""

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        where = ":memory:" if path is None else str(path)
        self._rows = sqlite3.connect(where, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        self._rows.row_factory = sqlite3.Row
        with self._lock:
            self._rows.execute("PRAGMA journal_mode = WAL")
            self._rows.execute("PRAGMA synchronous = FULL")
            self._rows.execute(_TABLE)

    def find(self, key: StepKey) -> Step | None:
        """None: nothing was asked under it."""
        with self._lock:
            row = self._rows.execute("SELECT * FROM steps WHERE key = ?", (key,)).fetchone()
        return None if row is None else _to_step(row)

    def begin(self, step: Step) -> None:
        """It is about to be asked. A row of the same key is replaced."""
        with self._lock:
            self._rows.execute(f"INSERT OR REPLACE {_ROW}", _words(step))

    def claim(self, step: Step) -> bool:
        """It is about to be asked by whoever is told True; False: somebody else said so before."""
        with self._lock:
            return self._rows.execute(f"INSERT OR IGNORE {_ROW}", _words(step)).rowcount == 1

    def list_open(self, unit: str) -> Sequence[Step]:
        """Steps of a unit that are not over."""
        with self._lock:
            rows = self._rows.execute("SELECT * FROM steps WHERE unit = ? AND ended_at IS NULL", (unit,)).fetchall()
        return [_to_step(row) for row in rows]

    def done(self, key: StepKey, task: str | None) -> None:
        """The controller said yes; `task`: its address, if there is one."""
        with self._lock:
            self._rows.execute("UPDATE steps SET is_done = 1, task = ? WHERE key = ?", (task, key))

    def end(self, key: StepKey, at: datetime, failed: str | None = None) -> None:
        """It is over."""
        with self._lock:
            self._rows.execute(
                "UPDATE steps SET is_done = 1, ended_at = ?, failed = ? WHERE key = ?", (at.isoformat(), failed, key)
            )

    def forget(self, key: StepKey) -> None:
        """Nothing was done under it."""
        with self._lock:
            self._rows.execute("DELETE FROM steps WHERE key = ?", (key,))

    def close(self) -> None:
        """Harmless twice."""
        with self._lock:
            self._rows.close()


def _words(step: Step) -> tuple[str | None, ...]:
    words = (step.key, step.unit, step.op, step.component, step.version, step.image, step.asked_at.isoformat())
    return (*words, step.before, step.task)


def _to_step(row: sqlite3.Row) -> Step:
    return Step(
        key=StepKey(row["key"]),
        unit=row["unit"],
        op=row["op"],
        component=row["component"],
        version=row["version"],
        image=row["image"],
        asked_at=datetime.fromisoformat(row["asked_at"]),
        before=row["before"],
        is_done=bool(row["is_done"]),
        task=row["task"],
        ended_at=None if row["ended_at"] is None else datetime.fromisoformat(row["ended_at"]),
        failed=row["failed"],
    )
