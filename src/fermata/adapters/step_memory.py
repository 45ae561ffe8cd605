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
_HEARD = "CREATE TABLE IF NOT EXISTS heard (scope TEXT PRIMARY KEY, generation INTEGER NOT NULL)"
_ROW = "INTO steps (key, unit, op, component, version, image, asked_at, before, task)"
_VALUES = "?, ?, ?, ?, ?, ?, ?, ?, ?"
_UNLESS_OVERTAKEN = "WHERE NOT EXISTS (SELECT 1 FROM heard WHERE scope = ? AND generation > ?)"
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
            self._rows.execute(_HEARD)

    def find(self, key: StepKey) -> Step | None:
        """None: nothing was asked under it."""
        with self._lock:
            row = self._rows.execute("SELECT * FROM steps WHERE key = ?", (key,)).fetchone()
        return None if row is None else _to_step(row)

    def begin(self, step: Step) -> None:
        """It is about to be asked. A row of the same key is replaced."""
        with self._lock:
            self._rows.execute(f"INSERT OR REPLACE {_ROW} VALUES ({_VALUES})", _words(step))  # noqa: S608 - constants

    def claim(self, step: Step, generation: int = 0) -> bool:
        """It is about to be asked by whoever is told True; False: somebody else said so before, or a newer generation
        was heard of its unit.
        """
        words = (*_words(step), scope_of(step.key), generation)
        with self._lock:
            done = self._rows.execute(f"INSERT OR IGNORE {_ROW} SELECT {_VALUES} {_UNLESS_OVERTAKEN}", words)
            return done.rowcount == 1

    def hear(self, key: StepKey, generation: int) -> int:
        """The newest generation of its unit, in its run and window, that was heard, this one included."""
        scope = scope_of(key)
        with self._lock:
            row = self._rows.execute("SELECT generation FROM heard WHERE scope = ?", (scope,)).fetchone()
            known = 0 if row is None else int(row["generation"])
            if generation > known:
                self._rows.execute(
                    "INSERT INTO heard VALUES (?, ?) ON CONFLICT (scope) DO UPDATE"
                    " SET generation = max(generation, excluded.generation)",
                    (scope, generation),
                )
        return max(known, generation)

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


def scope_of(key: StepKey) -> str:
    """Run, window and unit, which generations are about."""
    return "/".join(key.split("/")[:3])


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
