"""Keeps the entries of status pages in step with the plan in force: told where a plan is published, or a window of it
is over without a word.
"""

from collections.abc import Iterable
from datetime import datetime

from fermata.domain.announcements import subject_of
from fermata.domain.ids import WindowId
from fermata.domain.operations import WindowRun
from fermata.domain.plans import Plan
from fermata.domain.posted_schedule import Posted, maintenance_key, post_plan, posted, take_down
from fermata.store import inventory
from fermata.store import plans as plan_store
from fermata.store.announcing import announce_all_in, read_word
from fermata.store.database import Connection


def post_published(conn: Connection, plan: Plan, *, now: datetime, actor: str) -> None:
    """Tells status pages what is new once `plan` is in force, in the transaction that puts it there."""
    parent = plan_store.load_plan(conn, plan.parent) if plan.parent else None
    campaign = inventory.load_campaign(conn, plan.campaign)
    names = {window.id for each in (plan, parent) if each is not None for window in each.windows}
    known = _load_posted(conn, sorted(names))
    announce_all_in(conn, post_plan(plan, parent, known, timezone=campaign.timezone, now=now), now=now, actor=actor)


def take_down_untold(conn: Connection, rows: Iterable[WindowRun], *, now: datetime, actor: str) -> None:
    """Ends the entries of windows that are over and of which no room told that."""
    of = {row.window: row for row in rows}
    over = [
        take_down(name, of[name].cluster, stands.facts, of[name].state.value)
        for name, stands in _load_posted(conn, of).items()
        if stands.is_ahead
    ]
    announce_all_in(conn, over, now=now, actor=actor)


def _load_posted(conn: Connection, windows: Iterable[WindowId]) -> dict[WindowId, Posted]:
    """What stands on pages of these windows; absent where nothing was told."""
    words = {window: read_word(conn, subject_of(maintenance_key(window))) for window in windows}
    return {window: posted(last) for window, last in words.items() if last is not None}
