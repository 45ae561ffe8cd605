"""Requests that carry a key are carried out once: whoever asks again gets the first answer."""

from fermata.store import once
from fermata.store.database import Database
from fermata.store.once import DoneBefore, Kept, Key, under_key

__all__ = ["DoneBefore", "Kept", "Key", "find_kept", "keep_answer", "under_key"]


def find_kept(db: Database, key: str) -> Kept | None:
    """What is on record under the key, if anything."""
    with db.read() as conn:
        return once.find_kept(conn, key)


def keep_answer(db: Database, key: Key, *, status: int, media_type: str, body: bytes) -> None:
    """Keeps the answer to a request that was carried out."""
    with db.begin() as conn:
        once.keep_answer(conn, key.key, status=status, media_type=media_type, body=body)
