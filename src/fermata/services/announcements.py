"""Operator verb of announcements: one message of facts to everybody who subscribed, through the channels there are.

`announce` is a transaction of its own; `store.announcing.announce_in` does it in the caller's.
"""

from datetime import datetime

from fermata.domain.announcements import Announcement
from fermata.store.announcing import Announced, announce_in
from fermata.store.database import Database


def announce(db: Database, message: Announcement, *, now: datetime, actor: str, why: str = "") -> Announced:
    """Puts the message on record and on its way. What says the same as the last word under its key is not told again,
    so a caller may announce what it has whenever it looks. How far it came: `services.notices`.
    """
    with db.begin() as conn:
        return announce_in(conn, message, now=now, actor=actor, why=why)
