"""Where an approval is heard, whatever the door."""

from fermata.server.context import Context
from fermata.services.event_approvals import Hearing


def hearing_of(given: Context, why: str) -> Hearing:
    """`why` says which door it came through, and in answer to what."""
    return Hearing(db=given.db, desk=given.maintenance, now=given.now(), new_id=given.new_id, why=why)
