"""Takes in what sources of inventory say: each report is one transaction, applied, or held for a person."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from fermata.domain.ids import HoldId
from fermata.domain.inventory_holds import Hold, HoldState, keep_losses, weigh
from fermata.domain.inventory_reports import NotTaken, Report, SourceState, add_report
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.sources import Source
from fermata.services.errors import Refusal
from fermata.services.inventory_changes import (
    ACTOR,
    Judged,
    Synced,
    SyncOutcome,
    apply_changes,
    close_hold,
    judge,
    say_synced,
    say_time,
    source_entry,
)
from fermata.store import inventory_sources as source_store
from fermata.store import journal
from fermata.store.database import Connection, Database

AHEAD_MAX = timedelta(minutes=5)  # clocks differ by less; a report of tomorrow would silence all of today's

NewId = Callable[[str], str]


def take_report(db: Database, source: Source, report: Report, *, now: datetime, actor: str, new_id: NewId) -> Synced:
    """Applies a report, or holds it, with its journal and the requests that follow. The same twice changes nothing.

    Raises Refusal for a report that is older than what is known, or from the future.
    """
    with db.begin() as conn:
        before, hold = source_store.load_source(conn, source.id), source_store.open_hold(conn, source.id)
        _refuse_time(source, report, before, hold, now)
        if hold is not None:
            report = add_report(hold.report, report)
        judged = judge(conn, report, source.kind, before, now=now)
        state = _tried(source, before, now=now, not_taken=judged.proposal.not_taken)
        _note_recovery(conn, before, now)
        if judged.reasons:
            if before is not None and before.dropped_sha256 == weigh(judged.diff):
                _supersede(conn, hold, now)
                source_store.save_source(conn, state)
                return say_synced(judged, SyncOutcome.DROPPED, reasons=(_dropped(conn, source),))
            kept = _hold(conn, judged, hold, now=now, new_id=new_id)
            source_store.save_source(conn, state)
            return say_synced(judged, SyncOutcome.HELD, reasons=judged.reasons, hold=kept)
        _supersede(conn, hold, now)
        requests = apply_changes(conn, judged, now=now, actor=actor)
        losses = keep_losses(state.losses, now, judged.lost)
        source_store.save_source(
            conn, replace(state, observed_at=report.observed_at, losses=losses, dropped_sha256=None)
        )
        outcome = SyncOutcome.APPLIED if judged.diff.changes else SyncOutcome.UNCHANGED
        return say_synced(judged, outcome, requests=requests)


def preview_report(db: Database, source: Source, report: Report, *, now: datetime) -> Synced:
    """What `take_report` would do; nothing is done."""
    with db.read() as conn:
        before, hold = source_store.load_source(conn, source.id), source_store.open_hold(conn, source.id)
        if hold is not None:
            report = add_report(hold.report, report)
        judged = judge(conn, report, source.kind, before, now=now)
        if not judged.reasons:
            return say_synced(judged, SyncOutcome.APPLIED if judged.diff.changes else SyncOutcome.UNCHANGED)
        if before is not None and before.dropped_sha256 == weigh(judged.diff):
            return say_synced(judged, SyncOutcome.DROPPED, reasons=(_dropped(conn, source),))
        return say_synced(judged, SyncOutcome.HELD, reasons=judged.reasons, hold=hold.id if hold else None)


def record_failure(db: Database, source: Source, why: str, *, now: datetime) -> Synced:
    """A source that could not be read: nothing of the fleet changes, and what it said before grows old."""
    with db.begin() as conn:
        before = source_store.load_source(conn, source.id)
        not_taken = before.not_taken if before else ()
        source_store.save_source(conn, replace(_tried(source, before, now=now, not_taken=not_taken), failure=why))
        if before is None or not before.failure:
            entry = source_entry("inventory.failed", source.id, {"failure": why}, now=now, actor=ACTOR)
            journal.append(conn, entry)
    observed_at = before.observed_at if before else None
    told = reason(Code.SOURCE_FAILED, source=source.id, why=why)
    return Synced(source=source.id, outcome=SyncOutcome.FAILED, observed_at=observed_at, reasons=(told,))


def _refuse_time(source: Source, report: Report, before: SourceState | None, hold: Hold | None, now: datetime) -> None:
    at = report.observed_at
    if at > now + AHEAD_MAX:
        raise Refusal(reason(Code.REPORT_EARLY, source=source.id, at=say_time(at), now=say_time(now)))
    known = [before.observed_at] if before is not None and before.observed_at is not None else []
    known += [hold.report.observed_at] if hold is not None else []
    if known and at < max(known):
        raise Refusal(reason(Code.REPORT_OUTDATED, source=source.id, known=say_time(max(known)), at=say_time(at)))


def _tried(
    source: Source, before: SourceState | None, *, now: datetime, not_taken: tuple[NotTaken, ...]
) -> SourceState:
    return SourceState(
        id=source.id,
        kind=source.kind,
        stale_after=source.stale_after,
        tried_at=now,
        observed_at=before.observed_at if before else None,
        not_taken=not_taken,
        losses=before.losses if before else (),
        dropped_sha256=before.dropped_sha256 if before else None,
    )


def _note_recovery(conn: Connection, before: SourceState | None, now: datetime) -> None:
    if before is not None and before.failure:
        journal.append(conn, source_entry("inventory.recovered", before.id, {}, now=now, actor=ACTOR))


def _dropped(conn: Connection, source: Source) -> Reason:
    last = source_store.last_dropped(conn, source.id)
    assert last is not None, "what was dropped is on record"
    assert last.decided_at is not None
    return reason(Code.INVENTORY_DROPPED, source=source.id, actor=last.decided_by, at=say_time(last.decided_at))


def _hold(conn: Connection, judged: Judged, hold: Hold | None, *, now: datetime, new_id: NewId) -> HoldId:
    """The open hold, brought up to date while it is about the same; else a new one in its place."""
    sha256 = weigh(judged.diff)
    if hold is not None and hold.sha256 == sha256:
        source_store.save_hold(conn, replace(hold, report=judged.report, diff=judged.diff, reasons=judged.reasons))
        return hold.id
    _supersede(conn, hold, now)
    made = Hold(
        id=HoldId(new_id("hold")),
        source=judged.report.source,
        state=HoldState.OPEN,
        held_at=now,
        reasons=judged.reasons,
        report=judged.report,
        diff=judged.diff,
        sha256=sha256,
    )
    source_store.save_hold(conn, made)
    data = {"hold": made.id, "counts": judged.diff.differences(), "reasons": [str(why) for why in judged.reasons]}
    journal.append(conn, source_entry("inventory.held", made.source, data, now=now, actor=ACTOR))
    return made.id


def _supersede(conn: Connection, hold: Hold | None, now: datetime) -> None:
    if hold is not None:
        close_hold(conn, hold, HoldState.SUPERSEDED, now=now, actor=ACTOR, why="the source says something else")
