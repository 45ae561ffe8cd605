"""Backups of the whole store as one file, and what has to be true before a restored one is worked with."""

import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fermata.domain.intents import EVERYWHERE, Intent, ScopeKind
from fermata.domain.reasons import Code, reason
from fermata.domain.run_states import Desired
from fermata.services import audit
from fermata.services.errors import Refusal
from fermata.store import copies, intents, journal, leases
from fermata.store.database import Database
from fermata.store.opening import open_database

Told = Callable[[int, int], None]
OWN = 0o600  # a backup holds what all customers said: nobody else on the machine reads it
_NAME, _NAMED = "fermata-%Y%m%dT%H%M%SZ.db", re.compile(r"fermata-\d{8}T\d{6}Z\.db")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What a backup holds: `rows` in all, and the journal's last line."""

    file: Path
    rows: int
    seq: int
    at: datetime | None


def back_up(database: Database, file: Path) -> Backup:
    """Everything, as it is at one moment. Others go on working. The file is there whole or not at all.

    Refused where the file exists. Raises StoreUnavailable.
    """
    if file.exists():
        raise Refusal(reason(Code.BACKUP_EXISTS, file=file))
    fresh = file.with_name(f"{file.name}.{os.getpid()}.new")
    try:
        _readable(file, lambda: copies.copy_out(database, fresh))
        copied = Database(f"sqlite:///{fresh}")
        try:
            made = _describe(copied, file)
        finally:
            copied.close()
        copies.make_single(fresh)
        fresh.chmod(OWN)
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)
    return made


def back_up_in(database: Database, folder: Path, *, now: datetime, keep: int) -> Backup:
    """A backup named after the time, in a folder of which the `keep` newest of such names stay. Nothing else there is
    touched, and nothing at all before the new one is whole.

    Raises Refusal and StoreUnavailable, as `back_up` does.
    """
    made = back_up(database, folder / now.astimezone(UTC).strftime(_NAME))
    named = sorted(path for path in folder.iterdir() if _NAMED.fullmatch(path.name))
    for path in named[:-keep]:
        path.unlink()
    return made


def rehearse(file: Path, told: Told) -> Backup:
    """A restore into a place that is thrown away: the file can be read, upgraded, and its journal fits. Refused, with
    what is wrong, where it does not.
    """
    with tempfile.TemporaryDirectory(prefix="fermata-restore-") as folder:
        database = _stage(file, Path(folder) / "staged.sqlite")
        try:
            _refuse_broken(database, told)
            return _describe(database, file)
        finally:
            database.close()


def restore(file: Path, target_url: str, told: Told, *, now: datetime, actor: str) -> Backup:
    """The backup as a store that is empty until now, of this release, with its brake on: what the fleet did since the
    backup nobody there knows, so a person looks first. No worker that held a lease before saves anything in it.

    Refused where the target holds a store, the backup's journal does not fit, or rows are missing afterwards.
    """
    with tempfile.TemporaryDirectory(prefix="fermata-restore-") as folder:
        staged = Path(folder) / "staged.sqlite"
        database = _stage(file, staged)
        try:
            _refuse_full(target_url)
            _refuse_broken(database, told)
            made = _describe(database, file)
            _settle(database, made, now=now, actor=actor)
            wanted = _count(database)
            _copy_in(database, staged, target_url)
        finally:
            database.close()
    restored = open_database(target_url)
    try:
        found = _count(restored)
        for table, rows in wanted.items():
            if found[table] != rows:
                raise Refusal(
                    reason(Code.RESTORED_OTHERWISE, table=table, found=f"{found[table]:,}", wanted=f"{rows:,}")
                )
        _refuse_broken(restored, told)
    finally:
        restored.close()
    return made


def _stage(file: Path, place: Path) -> Database:
    """A copy of the backup, brought up to this release: the file itself stays as it is."""
    if not file.is_file():
        raise Refusal(reason(Code.BACKUP_UNREADABLE, file=file, why="there is no such file"))
    _readable(file, lambda: copies.copy_file(file, place))
    return open_database(f"sqlite:///{place}")


def _readable(file: Path, work: Callable[[], None]) -> None:
    try:
        work()
    except copies.Unreadable as error:
        raise Refusal(reason(Code.BACKUP_UNREADABLE, file=file, why=error)) from error


def _refuse_full(url: str) -> None:
    target = Database(url)
    try:
        if not copies.is_empty(target):
            raise Refusal(reason(Code.STORE_NOT_EMPTY, store=target.engine.url.render_as_string()))
    finally:
        target.close()


def _refuse_broken(database: Database, told: Told) -> None:
    found = audit.verify(database, audit.Evidence(), told)
    if found.broken is not None:
        raise Refusal(found.broken)


def _settle(database: Database, made: Backup, *, now: datetime, actor: str) -> None:
    """What makes of a copy a store of its own."""
    at = "an empty store" if made.at is None else f"{made.at:%Y-%m-%d %H:%MZ}"
    why = f"restored from a backup that knows nothing after {at}: look at the fleet, then release"
    word = Intent(kind=ScopeKind.BRAKE, scope=EVERYWHERE, desired=Desired.PAUSE, actor=actor, why=why, at=now)
    with database.begin() as conn:
        leases.outdate(conn)
        intents.append_intent(conn, word)
        facts = {"file": made.file.name, "line": made.seq}
        line = journal.Entry(at=now, actor=actor, event="store.restored", subject="store", why=why, data=facts)
        journal.append(conn, line)


def _copy_in(database: Database, staged: Path, target_url: str) -> None:
    target = Database(target_url)
    try:
        if target.engine.dialect.name == "sqlite":
            place = Path(str(target.engine.url.database))
            copies.copy_file(staged, place)
            return
    finally:
        target.close()
    ready = open_database(target_url)
    try:
        with database.read() as reading, ready.begin() as writing:
            copies.copy_rows(reading, writing)
    finally:
        ready.close()


def _describe(database: Database, file: Path) -> Backup:
    rows = sum(_count(database).values())
    with database.read() as conn:
        last = journal.read_latest(conn, None, 1)
    return Backup(file=file, rows=rows, seq=last[0].seq if last else 0, at=last[0].at if last else None)


def _count(database: Database) -> Mapping[str, int]:
    with database.read() as conn:
        return copies.count_rows(conn)
