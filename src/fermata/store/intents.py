"""What operators want, one row for each word they said: never changed, the newest of a scope counts."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Column, Connection, Index, String, Table, Text, func, insert, select

from fermata.domain.intents import Intent, Intents, ScopeKind
from fermata.domain.run_states import Desired
from fermata.store.asking import ask, ask_value
from fermata.store.schema import Sequence64, UtcTime, metadata

intent = Table(
    "intent",
    metadata,
    Column("seq", Sequence64, primary_key=True, autoincrement=True),
    Column("kind", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("desired", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("why", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("ix_intent_kind_scope", "kind", "scope", "seq"),
    sqlite_autoincrement=True,
)

_newest = select(func.max(intent.c.seq).label("seq")).group_by(intent.c.kind, intent.c.scope).subquery()
_IN_FORCE = select(intent).join(_newest, intent.c.seq == _newest.c.seq).order_by(intent.c.seq)
_NEWEST = select(func.max(intent.c.seq))


def append_intent(conn: Connection, said: Intent) -> Intent:
    """Adds one word. Returns it with its seq."""
    result = conn.execute(insert(intent).values(_row(said)))
    assert result.inserted_primary_key is not None
    return replace(said, seq=int(result.inserted_primary_key[0]))


def load_intents(conn: Connection) -> Intents:
    """The words in force."""
    found = [_intent(row) for row in ask(conn, _IN_FORCE)]
    words = tuple(word for word in found if word.desired is not Desired.RUN)
    return Intents(words=words, seq=found[-1].seq if found else 0)


def newest_seq(conn: Connection) -> int:
    """Of the newest word ever said; 0 when none was."""
    return ask_value(conn, _NEWEST) or 0


def _row(said: Intent) -> dict[str, Any]:
    return {
        "kind": said.kind.value,
        "scope": said.scope,
        "desired": said.desired.value,
        "actor": said.actor,
        "why": said.why,
        "at": said.at,
    }


def _intent(row: Any) -> Intent:
    return Intent(
        kind=ScopeKind(row.kind),
        scope=row.scope,
        desired=Desired(row.desired),
        actor=row.actor,
        why=row.why,
        at=row.at,
        seq=row.seq,
    )
