"""The ledger of consent, append-only like the journal, and the freezes added or ended by hand."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, String, Table, Text, bindparam, cast, delete, func, insert, select, update

from fermata.domain.ids import ApprovalId, CustomerId, ExemptionId, FreezeId, OrderId, RequestId, UpdateId
from fermata.domain.policy import ConsentEntry, Exemption, Freeze, MaintenanceKind, Said, Scope, ScopeLevel, Verdict
from fermata.store.asking import ask, ask_value
from fermata.store.bulk import insert_rows
from fermata.store.consent_terms import read_terms, write_terms
from fermata.store.parts import Part, part_of
from fermata.store.schema import Json, JsonOrNull, Sequence64, UtcTime, metadata
from fermata.store.tenancy.owners import SOMEBODY

consent_entry = Table(
    "consent_entry",
    metadata,
    Column("seq", Sequence64, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("request", String, nullable=False),
    Column("incarnation", Sequence64, nullable=False),
    Column("updates", Json, nullable=False),
    Column("scope_level", String, nullable=False),
    Column("scope_name", String, nullable=False),
    Column("verdict", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("reason", Text, nullable=False),
    Column("terms", JsonOrNull, nullable=True),  # what else was said; NULL when nothing was
    sqlite_autoincrement=True,
)
freeze = Table(
    "freeze",
    metadata,
    Column("id", String, primary_key=True),
    Column("customer", String, nullable=False),
    Column("scope_level", String, nullable=False),
    Column("scope_name", String, nullable=False),
    Column("start", UtcTime, nullable=False),
    Column("end", UtcTime, nullable=False),
    Column("reason", Text, nullable=False),
)
freeze_ending = Table(  # of freezes added by hand and of imported ones alike
    "freeze_ending",
    metadata,
    Column("id", String, primary_key=True),
    Column("at", UtcTime, nullable=False),
)
freeze_exemption = Table(
    "freeze_exemption",
    metadata,
    Column("id", String, primary_key=True),
    Column("freeze", String, nullable=False),
    Column("updates", Json, nullable=False),
    Column("reason", Text, nullable=False),
    Column("asked_by", String, nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("confirmed_by", String, nullable=True),
    Column("confirmed_at", UtcTime, nullable=True),
    Column("orders", JsonOrNull, nullable=True),  # NULL when it names none
    Column("kinds", JsonOrNull, nullable=True),
)


_FREEZES = select(freeze).order_by(freeze.c.id)  # asked in most transactions, so built once
_ENDINGS = select(freeze_ending)
_EXEMPTIONS = select(freeze_exemption).order_by(freeze_exemption.c.id)
_ENTRIES = select(consent_entry).where(consent_entry.c.seq > bindparam("after")).order_by(consent_entry.c.seq)
_LAST = select(func.max(consent_entry.c.seq))

_LEVELS = {level.value: level for level in ScopeLevel}
_VERDICTS = {verdict.value: verdict for verdict in Verdict}


def append_entry(conn: Connection, entry: ConsentEntry) -> int:
    """Adds one entry and returns the seq it got; `entry.seq` is not read."""
    result = conn.execute(insert(consent_entry).values(_to_row(entry)))
    assert result.inserted_primary_key is not None
    return int(result.inserted_primary_key[0])


def names_flights(conn: Connection) -> bool:
    """True when some entry may name a flight; False when none does."""
    terms = consent_entry.c.terms
    query = select(consent_entry.c.seq).where(terms.is_not(None), cast(terms, Text).contains('"flight"'))
    return conn.execute(query.limit(1)).first() is not None


def append_entries(conn: Connection, entries: Sequence[ConsentEntry]) -> tuple[int, ...]:
    """Adds entries in the order given and returns the seqs they got; their own `seq` is not read."""
    if not entries:
        return ()
    last = last_seq(conn)
    insert_rows(conn, consent_entry, [_to_row(entry) for entry in entries])
    seqs = select(consent_entry.c.seq).where(consent_entry.c.seq > last).order_by(consent_entry.c.seq)
    return tuple(conn.execute(seqs).scalars())  # writers are serialised: what came since is ours


def load_ledger(conn: Connection, after_seq: int = 0) -> tuple[ConsentEntry, ...]:
    """All entries after that seq, oldest first."""
    known: dict[tuple[str, ...], frozenset[UpdateId]] = {}  # most of a ledger was said of the same few sets of items
    found = []
    for row in ask(conn, _ENTRIES, after=after_seq):
        names = tuple(row.updates)
        updates = known.get(names)
        if updates is None:
            updates = known[names] = frozenset(UpdateId(name) for name in names)
        found.append(_from_row(row, updates))
    part = part_of(conn)
    return tuple(found) if part is None else _told(found, part, after_seq)


def _told(found: Sequence[ConsentEntry], part: Part, after_seq: int) -> tuple[ConsentEntry, ...]:
    """With the reasons of those who spoke for who sees a part, as far as they may be told there."""
    tell = part.teller()
    said = {row.seq: row.reason for row in part.read(lambda whole: ask(whole, _ENTRIES, after=after_seq))}
    return tuple(entry if entry.actor == SOMEBODY else replace(entry, reason=tell(said[entry.seq])) for entry in found)


def last_seq(conn: Connection) -> int:
    """Of the newest entry, 0 for none: what was read at the same number is still all there is."""
    return ask_value(conn, _LAST) or 0


def add_freeze(conn: Connection, added: Freeze) -> None:
    """Adds a freeze by hand; its id must be new."""
    conn.execute(
        insert(freeze).values(
            id=added.id,
            customer=added.customer,
            scope_level=added.scope.level.value,
            scope_name=added.scope.name,
            start=added.start,
            end=added.end,
            reason=added.reason,
        )
    )


def end_freeze(conn: Connection, freeze_id: FreezeId, at: datetime) -> None:
    """Ends a freeze at `at`, whether it was added by hand or imported; one that has not begun by then never does."""
    conn.execute(delete(freeze_ending).where(freeze_ending.c.id == freeze_id))
    conn.execute(insert(freeze_ending).values(id=freeze_id, at=at))


def forget_endings(conn: Connection, freeze_ids: Sequence[FreezeId]) -> None:
    """The freezes last to their stated end again."""
    conn.execute(delete(freeze_ending).where(freeze_ending.c.id.in_(freeze_ids)))


def add_exemption(conn: Connection, added: Exemption) -> None:
    """Adds one that waits to be confirmed; its id must be new."""
    conn.execute(
        insert(freeze_exemption).values(
            id=added.id,
            freeze=added.freeze,
            updates=sorted(added.updates),
            reason=added.reason,
            asked_by=added.asked.actor,
            asked_at=added.asked.at,
            orders=sorted(added.orders) or None,
            kinds=sorted(added.kinds) or None,
        )
    )


def confirm_exemption(conn: Connection, exemption_id: ExemptionId, confirmed: Said) -> bool:
    """Records the second person; False when somebody was before, and nothing changed."""
    found = conn.execute(
        update(freeze_exemption)
        .where(freeze_exemption.c.id == exemption_id, freeze_exemption.c.confirmed_by.is_(None))
        .values(confirmed_by=confirmed.actor, confirmed_at=confirmed.at)
    )
    return found.rowcount == 1


def load_exemptions(conn: Connection) -> tuple[Exemption, ...]:
    """All of them, by id, those that wait included."""
    rows = ask(conn, _EXEMPTIONS)
    return tuple(
        Exemption(
            id=ExemptionId(row.id),
            freeze=FreezeId(row.freeze),
            updates=frozenset(UpdateId(name) for name in row.updates),
            reason=row.reason,
            asked=Said(actor=row.asked_by, at=row.asked_at),
            confirmed=Said(actor=row.confirmed_by, at=row.confirmed_at) if row.confirmed_by is not None else None,
            orders=frozenset(OrderId(name) for name in row.orders or ()),
            kinds=frozenset(MaintenanceKind(name) for name in row.kinds or ()),
        )
        for row in rows
    )


def merge_freezes(conn: Connection, imported: Sequence[Freeze]) -> tuple[Freeze, ...]:
    """The freezes in force: imported ones in their order, then those added by hand by id, each cut at its ending."""
    by_hand = [_freeze_from_row(row) for row in ask(conn, _FREEZES)]
    endings: dict[str, datetime] = {row.id: row.at for row in ask(conn, _ENDINGS)}
    kept = []
    for stated in (*imported, *by_hand):
        end = min(stated.end, endings.get(stated.id, stated.end))
        if end == stated.end:
            kept.append(stated)
        elif end > stated.start:
            kept.append(replace(stated, end=end))
    return tuple(kept)


def _to_row(entry: ConsentEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "request": entry.request,
        "incarnation": entry.incarnation,
        "updates": sorted(entry.updates),
        "scope_level": entry.scope.level.value,
        "scope_name": entry.scope.name,
        "verdict": entry.verdict.value,
        "actor": entry.actor,
        "at": entry.at,
        "reason": entry.reason,
        "terms": write_terms(entry),
    }


def _from_row(row: Any, updates: frozenset[UpdateId]) -> ConsentEntry:
    plain = ConsentEntry(
        seq=row.seq,
        id=ApprovalId(row.id),
        request=RequestId(row.request),
        incarnation=row.incarnation,
        updates=updates,
        scope=Scope(level=_LEVELS[row.scope_level], name=row.scope_name),
        verdict=_VERDICTS[row.verdict],
        actor=row.actor,
        at=row.at,
        reason=row.reason,
    )
    return read_terms(plain, row.terms) if row.terms else plain


def _freeze_from_row(row: Any) -> Freeze:
    return Freeze(
        id=FreezeId(row.id),
        customer=CustomerId(row.customer),
        scope=Scope(level=_LEVELS[row.scope_level], name=row.scope_name),
        start=row.start,
        end=row.end,
        reason=row.reason,
    )
