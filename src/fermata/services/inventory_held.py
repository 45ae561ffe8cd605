"""What a person does about changes of inventory that were held: look at them, accept them, or drop them."""

from dataclasses import dataclass, replace
from datetime import datetime

from fermata.domain.ids import HoldId, SourceId
from fermata.domain.inventory_holds import Hold, HoldState, weigh
from fermata.domain.inventory_reports import SourceState
from fermata.domain.reasons import Code, Reason, reason
from fermata.services.errors import Refusal, nearest, shorten
from fermata.services.inventory_changes import (
    CHANGES_SHOWN,
    ChangeLine,
    Counts,
    Synced,
    SyncOutcome,
    apply_changes,
    close_hold,
    judge,
    say_synced,
    to_line,
)
from fermata.store import inventory_sources as source_store
from fermata.store.database import Connection, Database


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldView:
    """Changes that wait, or waited, for a person; `changes` has the first of them."""

    id: HoldId
    source: SourceId
    state: HoldState
    held_at: datetime
    observed_at: datetime
    reasons: tuple[Reason, ...]
    counts: Counts
    changes: tuple[ChangeLine, ...]
    changes_total: int
    decided_at: datetime | None
    decided_by: str | None
    why: str


def list_held(db: Database, *, over: bool = False) -> tuple[HoldView, ...]:
    """What waits for a person, oldest first, or all on record."""
    with db.read() as conn:
        return tuple(_view(hold) for hold in source_store.list_holds(conn, over=over))


def show_held(db: Database, hold: HoldId) -> HoldView:
    """One of them. Raises Refusal for an unknown id."""
    with db.read() as conn:
        return _view(_load(conn, hold))


def accept_held(db: Database, hold: HoldId, *, now: datetime, actor: str, why: str) -> Synced:
    """Applies what was held. Raises Refusal when it is decided, when the fleet changed so that it is no longer what the
    person saw, and while a window has units in its hands that it would pull away.
    """
    with db.begin() as conn:
        found, state = _to_decide(conn, hold, why)
        judged = judge(conn, found.report, state.kind, state, now=now)
        if weigh(judged.diff) != found.sha256:
            raise Refusal(reason(Code.HOLD_CHANGED, hold=hold, source=found.source))
        pulled = sorted(judged.pulled)
        if pulled:
            raise Refusal(reason(Code.NODES_HELD, nodes=shorten(pulled)))
        requests = apply_changes(conn, judged, now=now, actor=actor, why=why)
        observed = [found.report.observed_at, *([state.observed_at] if state.observed_at else [])]
        heard = replace(state, observed_at=max(observed), losses=(), dropped_sha256=None)
        source_store.save_source(conn, replace(heard, not_taken=judged.proposal.not_taken))
        close_hold(conn, found, HoldState.ACCEPTED, now=now, actor=actor, why=why)
        return say_synced(judged, SyncOutcome.APPLIED, requests=requests)


def drop_held(db: Database, hold: HoldId, *, now: datetime, actor: str, why: str) -> HoldView:
    """The fleet stays as it is, and the source is not heard on the same again until it says something else."""
    with db.begin() as conn:
        found, state = _to_decide(conn, hold, why)
        source_store.save_source(conn, replace(state, dropped_sha256=found.sha256))
        close_hold(conn, found, HoldState.DROPPED, now=now, actor=actor, why=why)
        return _view(_load(conn, hold))


def _to_decide(conn: Connection, hold: HoldId, why: str) -> tuple[Hold, SourceState]:
    found = _load(conn, hold)
    if found.state is not HoldState.OPEN:
        raise Refusal(reason(Code.HOLD_DECIDED, hold=hold, state=found.state))
    if not why.strip():
        raise Refusal(reason(Code.HOLD_WITHOUT_REASON, hold=hold))
    state = source_store.load_source(conn, found.source)
    assert state is not None, "what is held came of a source that was tried"
    return found, state


def _load(conn: Connection, hold: HoldId) -> Hold:
    found = source_store.load_hold(conn, hold)
    if found is None:
        known = nearest(hold, (each.id for each in source_store.list_holds(conn, over=True)))
        raise Refusal(reason(Code.HOLD_UNKNOWN, hold=hold, nearest=known))
    return found


def _view(hold: Hold) -> HoldView:
    return HoldView(
        id=hold.id,
        source=hold.source,
        state=hold.state,
        held_at=hold.held_at,
        observed_at=hold.report.observed_at,
        reasons=hold.reasons,
        counts=hold.diff.differences(),
        changes=tuple(to_line(change) for change in hold.diff.changes[:CHANGES_SHOWN]),
        changes_total=len(hold.diff.changes),
        decided_at=hold.decided_at,
        decided_by=hold.decided_by,
        why=hold.why,
    )
