"""Operator verbs on the tail list: who owns what is not back, what is tried again, and how long repairs take."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from fermata.domain.ids import CampaignId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import Run
from fermata.domain.policy import Said
from fermata.domain.reasons import Code, reason
from fermata.domain.tail import TailItem, time_repairs
from fermata.services.errors import Refusal, nearest
from fermata.services.run_status import list_tail
from fermata.services.run_views import TailEntry, TailView
from fermata.services.runs import find_run
from fermata.store import journal, runs, tail
from fermata.store.database import Connection, Database


def show_tail(
    db: Database, campaign: CampaignId | None = None, *, owner: str | None = None, now: datetime | None = None
) -> TailView:
    """The tail of the newest run, of one owner if one is named. `now` None: the instant up to which it was worked on.

    Raises Refusal when there is no run.
    """
    with db.read() as conn:
        run = find_run(conn, campaign, live=False)
        as_of = now or run.clock_at
        listed = list_tail(conn, run.id, as_of)
        spells = tail.load_spells(conn, [each.id for each in runs.list_runs(conn, run.campaign)])
    return TailView(
        campaign=run.campaign,
        run=run.id,
        as_of=as_of,
        owner=owner,
        tail=tuple(entry for entry in listed if owner is None or entry.owner == owner),
        repairs=time_repairs(spells, as_of),
    )


def assign(  # noqa: PLR0913 - what is said of one unit
    db: Database,
    unit: str,
    *,
    owner: str,
    now: datetime,
    actor: str,
    promised_at: datetime | None = None,
    why: str = "",
    campaign: CampaignId | None = None,
) -> TailEntry:
    """Makes somebody the owner of a unit on the list, and keeps when they promise its repair (None: as known before).

    Raises Refusal for a unit that is not listed, and a promise in the past of the run.
    """
    with db.begin() as conn:
        run = find_run(conn, campaign, live=False)
        if promised_at is not None and promised_at <= min(now, run.clock_at):
            raise Refusal(reason(Code.TIME_PAST, member="promised_at", time=f"{promised_at:%Y-%m-%d %H:%MZ}"))
        data = {"owner": owner, "promised_at": promised_at.isoformat() if promised_at else None}

        def change(item: TailItem) -> TailItem:
            return replace(item, owner=owner, owned_by=actor, promised_at=promised_at or item.promised_at)

        return _change(conn, run, unit, change, ("unit.assigned", why, data), (now, actor))


def retry(
    db: Database, unit: str, *, now: datetime, actor: str, why: str, campaign: CampaignId | None = None
) -> TailEntry:
    """Asks for one more try of a failed unit: the conductor begins it within minutes, unless the run is paused.

    Raises Refusal for a unit that is not listed, or that did not fail: work on it goes on.
    """
    with db.begin() as conn:
        run = find_run(conn, campaign, live=False)
        entry = _find(conn, run, unit)
        if entry.state is not UnitState.FAILED:
            state = entry.state.value.replace("_", " ")
            raise Refusal(reason(Code.TAIL_NOT_FAILED, unit=unit, state=state))

        def change(item: TailItem) -> TailItem:
            return replace(item, retry=Said(actor=actor, at=now), retry_why=why)

        return _change(conn, run, unit, change, ("unit.retry_wanted", why, {}), (now, actor))


def _find(conn: Connection, run: Run, unit: str) -> TailEntry:
    listed = list_tail(conn, run.id, run.clock_at)
    found = next((entry for entry in listed if entry.unit == unit), None)
    if found is None:
        known = nearest(unit, [entry.unit for entry in listed])
        raise Refusal(reason(Code.TAIL_UNKNOWN, unit=unit, nearest=known))
    return found


def _change(
    conn: Connection,
    run: Run,
    unit: str,
    change: Callable[[TailItem], TailItem],
    told: tuple[str, str, dict[str, str | None]],
    said: tuple[datetime, str],
) -> TailEntry:
    entry = _find(conn, run, unit)
    item = tail.open_items(conn, run.id)[entry.window, unit]
    tail.save_item(conn, change(item))
    (event, why, data), (now, actor) = told, said
    kind = "node" if entry.kind is UnitKind.NODE else "device"
    line = {"window": entry.window, **data}
    journal.append(conn, journal.Entry(at=now, actor=actor, event=event, subject=f"{kind}:{unit}", why=why, data=line))
    return _find(conn, run, unit)
