"""Requests that are not to be carried out twice: their key is stored by the very transaction that does the work."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Column, Connection, Integer, LargeBinary, String, Table, delete, insert, select, update

from fermata.store.schema import UtcTime, metadata

KEPT_FOR = timedelta(days=7)

request_key = Table(
    "request_key",
    metadata,
    Column("key", String, primary_key=True),
    Column("asked_sha256", String, nullable=False),
    Column("at", UtcTime, nullable=False, index=True),
    Column("status", Integer, nullable=True),
    Column("media_type", String, nullable=True),
    Column("body", LargeBinary, nullable=True),
)


class DoneBefore(Exception):
    """Another request with this key has committed meanwhile; nothing was changed."""


@dataclass(kw_only=True)
class Key:
    """What a request is known by. `asked_sha256` covers all that it asks. `is_done`: a transaction has committed."""

    key: str
    asked_sha256: str
    at: datetime
    is_done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A key on record. `status`, `media_type` and `body` are the answer; None when it was not kept."""

    asked_sha256: str
    status: int | None
    media_type: str | None
    body: bytes | None


_CURRENT: ContextVar[Key | None] = ContextVar("fermata_request_key", default=None)


@contextmanager
def under_key(key: Key) -> Iterator[None]:
    """The first write transaction that begins in the block, threads of its context included, stores `key` too."""
    token = _CURRENT.set(key)
    try:
        yield
    finally:
        _CURRENT.reset(token)


@contextmanager
def storing_key(conn: Connection) -> Iterator[None]:
    """Around what is done in a write transaction. Raises DoneBefore."""
    key = _CURRENT.get()
    if key is None or key.is_done:
        yield
        return
    if find_kept(conn, key.key) is not None:
        raise DoneBefore(key.key)
    conn.execute(delete(request_key).where(request_key.c.at < key.at - KEPT_FOR))
    conn.execute(insert(request_key).values(key=key.key, asked_sha256=key.asked_sha256, at=key.at))
    yield


def mark_done() -> None:
    """The transaction has committed."""
    key = _CURRENT.get()
    if key is not None:
        key.is_done = True


def find_kept(conn: Connection, key: str) -> Kept | None:
    """What is on record under the key, if anything."""
    row = conn.execute(select(request_key).where(request_key.c.key == key)).one_or_none()
    if row is None:
        return None
    return Kept(asked_sha256=row.asked_sha256, status=row.status, media_type=row.media_type, body=row.body)


def keep_answer(conn: Connection, key: str, *, status: int, media_type: str, body: bytes) -> None:
    """Keeps the answer for those who ask again."""
    answer = {"status": status, "media_type": media_type, "body": body}
    conn.execute(update(request_key).where(request_key.c.key == key).values(answer))
