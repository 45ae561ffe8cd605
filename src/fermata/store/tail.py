"""The tail list as rows of its own, beside the units: owner, promise, order, tries; and the times that repairs took."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    bindparam,
    delete,
    select,
    update,
)

from fermata.domain.ids import ClusterId, CustomerId, OrderId, RunId, WindowId
from fermata.domain.node_states import UnitKind
from fermata.domain.policy import Said
from fermata.domain.tail import RepairSpell, TailItem
from fermata.store.asking import ask
from fermata.store.bulk import insert_rows
from fermata.store.schema import Sequence64, UtcTime, metadata

tail_item = Table(
    "tail_item",
    metadata,
    Column("run", ForeignKey("run.id"), primary_key=True),
    Column("window", String, primary_key=True),
    Column("unit", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("owned_by", String, nullable=False),
    Column("listed_at", UtcTime, nullable=False),
    Column("promised_at", UtcTime, nullable=True),
    Column("order", String, nullable=True),
    Column("tries", Integer, nullable=False),
    Column("retry_by", String, nullable=True),
    Column("retry_at", UtcTime, nullable=True),
    Column("retry_why", Text, nullable=False),
    Column("closed_at", UtcTime, nullable=True),
)
_OPEN = tail_item.c.closed_at.is_(None)
Index("ix_tail_item_open", tail_item.c.run, sqlite_where=_OPEN, postgresql_where=_OPEN)
repair_spell = Table(
    "repair_spell",
    metadata,
    Column("seq", Sequence64, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("run.id"), nullable=False),
    Column("window", String, nullable=False),
    Column("unit", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("cause", String, nullable=False),
    Column("cluster", String, nullable=False),
    Column("customer", String, nullable=False),
    Column("sku", String, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("ended_at", UtcTime, nullable=True),
    Index("ix_repair_spell_unit", "run", "window", "unit"),
)
_KEY = ("run", "window", "unit")
_LISTED = select(tail_item).where(tail_item.c.run == bindparam("of_run"), _OPEN)  # asked every few minutes of a run
_WISHED = _LISTED.where(tail_item.c.retry_at.is_not(None)).limit(1)


def add_items(conn: Connection, items: Sequence[TailItem]) -> None:
    """Lists units, some perhaps anew; those that are listed already are an error of the caller."""
    rows = [{"b_run": item.run, "b_window": item.window, "b_unit": item.unit} for item in items]
    if rows:
        mine = (tail_item.c.run == bindparam("b_run"), tail_item.c.window == bindparam("b_window"))
        gone = (tail_item.c.unit == bindparam("b_unit"), tail_item.c.closed_at.is_not(None))
        conn.execute(delete(tail_item).where(*mine, *gone), rows)
    insert_rows(conn, tail_item, [_row(item) for item in items])


def save_item(conn: Connection, item: TailItem) -> None:
    """Replaces what is on record of a listed unit."""
    values = {name: value for name, value in _row(item).items() if name not in _KEY}
    conn.execute(update(tail_item).where(*_of(item.run, item.window, item.unit)).values(values))


def close_items(conn: Connection, run: RunId, units: Iterable[tuple[WindowId, str]], at: datetime) -> None:
    """These units are finished."""
    rows = [{"b_window": window, "b_unit": unit} for window, unit in units]
    if rows:
        mine = (tail_item.c.run == run, tail_item.c.window == bindparam("b_window"))
        statement = update(tail_item).where(*mine, tail_item.c.unit == bindparam("b_unit")).values(closed_at=at)
        conn.execute(statement, rows)


def open_items(conn: Connection, run: RunId) -> dict[tuple[WindowId, str], TailItem]:
    """Every listed unit that is not finished."""
    found = (_to_item(row) for row in ask(conn, _LISTED, of_run=run))
    return {(item.window, item.unit): item for item in found}


def find_items(conn: Connection, unit: str, runs: Collection[RunId]) -> tuple[TailItem, ...]:
    """Where a unit is listed now."""
    query = select(tail_item).where(tail_item.c.unit == unit, tail_item.c.run.in_(sorted(runs)), _OPEN)
    return tuple(_to_item(row) for row in conn.execute(query.order_by(tail_item.c.listed_at)))


def has_retries(conn: Connection, run: RunId) -> bool:
    """True while somebody's wish for another try was not carried out."""
    return bool(ask(conn, _WISHED, of_run=run))


def add_spells(conn: Connection, run: RunId, spells: Sequence[tuple[WindowId, RepairSpell]]) -> None:
    """Units that wait for a repair from now on."""
    insert_rows(
        conn,
        repair_spell,
        [
            {
                "run": run,
                "window": window,
                "unit": spell.unit,
                "kind": spell.kind.value,
                "cause": spell.cause,
                "cluster": spell.cluster,
                "customer": spell.customer,
                "sku": spell.sku,
                "since": spell.since,
                "ended_at": spell.ended_at,
            }
            for window, spell in spells
        ],
    )


def end_spells(conn: Connection, run: RunId, units: Iterable[tuple[WindowId, str]], at: datetime) -> None:
    """These units wait no longer."""
    rows = [{"b_window": window, "b_unit": unit} for window, unit in units]
    if rows:
        mine = (
            repair_spell.c.run == run,
            repair_spell.c.window == bindparam("b_window"),
            repair_spell.c.unit == bindparam("b_unit"),
            repair_spell.c.ended_at.is_(None),
        )
        conn.execute(update(repair_spell).where(*mine).values(ended_at=at), rows)


def load_spells(conn: Connection, runs: Collection[RunId]) -> tuple[RepairSpell, ...]:
    """Every stretch of waiting of these runs, oldest first."""
    query = select(repair_spell).where(repair_spell.c.run.in_(sorted(runs))).order_by(repair_spell.c.seq)
    return tuple(
        RepairSpell(
            unit=row.unit,
            kind=UnitKind(row.kind),
            cause=row.cause,
            cluster=ClusterId(row.cluster),
            customer=CustomerId(row.customer),
            sku=row.sku,
            since=row.since,
            ended_at=row.ended_at,
        )
        for row in conn.execute(query)
    )


def _of(run: RunId, window: WindowId, unit: str) -> tuple[Any, ...]:
    return (tail_item.c.run == run, tail_item.c.window == window, tail_item.c.unit == unit)


def _row(item: TailItem) -> dict[str, Any]:
    return {
        "run": item.run,
        "window": item.window,
        "unit": item.unit,
        "owner": item.owner,
        "owned_by": item.owned_by,
        "listed_at": item.listed_at,
        "promised_at": item.promised_at,
        "order": item.order,
        "tries": item.tries,
        "retry_by": item.retry.actor if item.retry else None,
        "retry_at": item.retry.at if item.retry else None,
        "retry_why": item.retry_why,
        "closed_at": item.closed_at,
    }


def _to_item(row: Any) -> TailItem:
    return TailItem(
        run=RunId(row.run),
        window=WindowId(row.window),
        unit=row.unit,
        owner=row.owner,
        owned_by=row.owned_by,
        listed_at=row.listed_at,
        promised_at=row.promised_at,
        order=None if row.order is None else OrderId(row.order),
        tries=row.tries,
        retry=None if row.retry_at is None else Said(actor=row.retry_by, at=row.retry_at),
        retry_why=row.retry_why,
        closed_at=row.closed_at,
    )
