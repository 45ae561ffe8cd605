"""Who is asked for inventory and when: the sources of the settings, how each did, and what was pushed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from fermata.domain.freshness import say_stale
from fermata.domain.ids import HoldId, SourceId
from fermata.domain.inventory_holds import HoldState
from fermata.domain.inventory_mapping import map_report
from fermata.domain.inventory_pushed import Pushed, facts_of, rules_of
from fermata.domain.inventory_reports import NotTaken, Report, SourceState
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.sources import NO_SOURCES, Source, SourceBook, SourceKind
from fermata.formats.faults import BadInput
from fermata.ports import AskSource, InventorySource, Refused, TryLater
from fermata.services.errors import Refusal, nearest
from fermata.services.inventory_changes import ACTOR, NOT_TAKEN_SHOWN, Synced, close_hold, source_entry
from fermata.services.inventory_sync import NewId, preview_report, record_failure, take_report
from fermata.store import inventory_sources as source_store
from fermata.store import journal
from fermata.store.database import Database, StoreUnavailable


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The settings, and a reader for each source that is asked: all but those that are pushed. `askers`: of what
    operators outside want.
    """

    book: SourceBook = NO_SOURCES
    readers: Mapping[SourceId, InventorySource] = field(default_factory=dict)
    askers: Mapping[SourceId, AskSource] = field(default_factory=dict)


NOTHING_CONFIGURED = Sources()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLine:
    """One source and how it did. `observed_at`: when it was last heard and the fleet made to agree; `tried_at`: when it
    was last asked. `stale` says what follows from its being too old. `configured`: it stands in the settings.
    """

    id: SourceId
    kind: SourceKind
    configured: bool
    nodes: int
    tried_at: datetime | None
    observed_at: datetime | None
    due_at: datetime | None
    stale: Reason | None
    failure: str
    hold: HoldId | None
    not_taken_total: int
    not_taken: tuple[NotTaken, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """`nodes` were the source's and are nobody's now."""

    source: SourceId
    nodes: int


def list_sources(db: Database, sources: Sources, *, now: datetime) -> tuple[SourceLine, ...]:
    """Those of the settings and those that were heard before, by id."""
    with db.read() as conn:
        states = {state.id: state for state in source_store.list_sources(conn)}
        nodes = source_store.count_nodes(conn)
        holds = {hold.source: hold.id for hold in source_store.list_holds(conn, over=False)}
    return tuple(
        _line(name, sources.book.sources.get(name), states.get(name), nodes.get(name, 0), holds.get(name), now)
        for name in sorted(sources.book.sources.keys() | states.keys())
    )


def sync_source(db: Database, sources: Sources, name: SourceId, *, now: datetime, actor: str, new_id: NewId) -> Synced:
    """Asks one source and takes in what it says. A source that cannot be read changes nothing, and that is recorded."""
    source = find_source(sources, name)
    try:
        report = _read(sources, source, now)
    except _Unread as failed:
        return record_failure(db, source, str(failed), now=now)
    return take_report(db, source, report, now=now, actor=actor, new_id=new_id)


def diff_source(db: Database, sources: Sources, name: SourceId, *, now: datetime) -> Synced:
    """What syncing it now would do; nothing is done or recorded. Raises Refusal when it cannot be read."""
    source = find_source(sources, name)
    try:
        report = _read(sources, source, now)
    except _Unread as failed:
        raise Refusal(reason(Code.SOURCE_FAILED, source=name, why=str(failed))) from failed
    return preview_report(db, source, report, now=now)


def push_report(db: Database, sources: Sources, pushed: Pushed, *, now: datetime, actor: str, new_id: NewId) -> Synced:
    """Takes in what was sent for a source of kind push."""
    source = find_source(sources, pushed.source)
    if source.kind is not SourceKind.PUSH:
        raise Refusal(reason(Code.SOURCE_NOT_PUSHED, source=source.id, kind=source.kind))
    nodes, devices = rules_of(pushed)
    report = map_report(
        replace(source, nodes=nodes, devices=devices),
        facts_of(pushed),
        sources.book.clusters,
        observed_at=pushed.observed_at or now,
        complete=pushed.complete,
    )
    report = replace(report, gone_nodes=pushed.gone_nodes, gone_devices=pushed.gone_devices)
    return take_report(db, source, report, now=now, actor=actor, new_id=new_id)


def sync_due(db: Database, sources: Sources, *, now: datetime, new_id: NewId) -> tuple[Synced, ...]:
    """Syncs every source whose time has come, each in a transaction of its own."""
    with db.read() as conn:
        tried = {state.id: state.tried_at for state in source_store.list_sources(conn)}
    due = (
        source
        for name, source in sorted(sources.book.sources.items())
        if source.kind is not SourceKind.PUSH and (name not in tried or tried[name] + source.every <= now)
    )
    return tuple(_sync_guarded(db, sources, source, now=now, new_id=new_id) for source in due)


def _sync_guarded(db: Database, sources: Sources, source: Source, *, now: datetime, new_id: NewId) -> Synced:
    """Whatever one source does keeps no other from being heard."""
    try:
        return sync_source(db, sources, source.id, now=now, actor=ACTOR, new_id=new_id)
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - top of a loop: recorded as this source's failure, told by its line
        return record_failure(db, source, f"{type(error).__name__}: {error}", now=now)


def forget_source(db: Database, sources: Sources, name: SourceId, *, now: datetime, actor: str, why: str) -> Forgotten:
    """A source that is no more in the settings: its units stay and are nobody's, so that they do not grow stale."""
    if name in sources.book.sources:
        raise Refusal(reason(Code.SOURCE_IN_USE, source=name))
    with db.begin() as conn:
        known = [state.id for state in source_store.list_sources(conn)]
        if name not in known:
            raise Refusal(reason(Code.SOURCE_UNKNOWN, source=name, nearest=nearest(name, known)))
        hold = source_store.open_hold(conn, name)
        if hold is not None:
            close_hold(conn, hold, HoldState.SUPERSEDED, now=now, actor=actor, why="the source was forgotten")
        nodes = source_store.forget_source(conn, name)
        entry = source_entry("inventory.forgotten", name, {"nodes": nodes}, now=now, actor=actor, why=why)
        journal.append(conn, entry)
        return Forgotten(source=name, nodes=nodes)


def find_source(sources: Sources, name: SourceId) -> Source:
    """The source of that id. Raises Refusal when the settings have none."""
    found = sources.book.sources.get(name)
    if found is None:
        raise Refusal(reason(Code.SOURCE_UNKNOWN, source=name, nearest=nearest(name, sources.book.sources)))
    return found


class _Unread(Exception):
    """The source gave no answer that can be used."""


def _read(sources: Sources, source: Source, now: datetime) -> Report:
    if source.kind is SourceKind.PUSH:
        raise Refusal(reason(Code.SOURCE_ONLY_PUSHED, source=source.id))
    try:
        return sources.readers[source.id].read(now)
    except (TryLater, Refused) as failed:
        raise _Unread(str(failed)) from failed
    except BadInput as bad:
        raise _Unread(f"{bad.total} fault(s) in its files. First: {bad.faults[0]}") from bad


def _line(
    name: SourceId,
    source: Source | None,
    state: SourceState | None,
    nodes: int,
    hold: HoldId | None,
    now: datetime,
) -> SourceLine:
    asked = source is not None and source.kind is not SourceKind.PUSH
    kind = source.kind if source else state.kind if state else SourceKind.PUSH
    return SourceLine(
        id=name,
        kind=kind,
        configured=source is not None,
        nodes=nodes,
        tried_at=state.tried_at if state else None,
        observed_at=state.observed_at if state else None,
        due_at=(state.tried_at + source.every if state else now) if source is not None and asked else None,
        stale=say_stale(state.last_word) if state is not None and nodes and state.last_word.is_stale(now) else None,
        failure=state.failure if state else "",
        hold=hold,
        not_taken_total=len(state.not_taken) if state else 0,
        not_taken=state.not_taken[:NOT_TAKEN_SHOWN] if state else (),
    )
