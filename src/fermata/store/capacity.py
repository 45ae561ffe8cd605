"""The rows of the capacity ledger: an account for every window that opened, and entries that are only ever added."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Integer,
    String,
    Table,
    UniqueConstraint,
    bindparam,
    func,
    insert,
    select,
    update,
)

from fermata.domain.capacity_ledger import Account, Entry, EntryKind, Sum
from fermata.domain.ids import ClusterId, CustomerId, NodeId, RunId, SupercomputerId, WindowId
from fermata.store.asking import ask, ask_value
from fermata.store.bulk import insert_rows
from fermata.store.schema import Json, Sequence64, UtcTime, metadata

window_account = Table(
    "window_account",
    metadata,
    Column("run", ForeignKey("run.id"), primary_key=True),
    Column("window", String, primary_key=True),
    Column("cluster", String, nullable=False),
    Column("customer", String, nullable=False),
    Column("supercomputer", String, nullable=False),
    Column("sku", String, nullable=False),
    Column("region", String, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("baseline", Json, nullable=False),
    Column("capacity_taken", Integer, nullable=False),
    Column("threshold", Float, nullable=False),
    Column("ready_at", UtcTime, nullable=True),
)
capacity_entry = Table(
    "capacity_entry",
    metadata,
    Column("seq", Sequence64, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("run.id"), nullable=False),
    Column("window", String, nullable=False),
    Column("node", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("in_service_before", Boolean(create_constraint=False), nullable=False),
    Column("at", UtcTime, nullable=False),
    UniqueConstraint("run", "window", "kind", "node"),
)
_KINDS = {kind.value: kind for kind in EntryKind}

_SUMMED = (capacity_entry.c.run, capacity_entry.c.window, capacity_entry.c.kind, capacity_entry.c.in_service_before)
_SUMS = (  # these are asked every few minutes of a run, so they are built once
    select(*_SUMMED, func.count())
    .where(capacity_entry.c.run.in_(bindparam("of_runs", expanding=True)))
    .group_by(*_SUMMED)
)
_WITHOUT_BASELINE = [column for column in window_account.c if column.name != "baseline"]
_UNREADY = (
    select(*_WITHOUT_BASELINE)
    .where(
        window_account.c.run == bindparam("of_run"),
        window_account.c.ready_at.is_(None),
        window_account.c.capacity_taken > 0,
    )
    .order_by(window_account.c.window)
)
_RETURNS = (
    capacity_entry.c.run == bindparam("of_run"),
    capacity_entry.c.window == bindparam("of_window"),
    capacity_entry.c.kind == EntryKind.RETURNED.value,
    capacity_entry.c.in_service_before.is_(True),
)
_RETURNED = select(func.count()).select_from(capacity_entry).where(*_RETURNS)
_RETURN_TIMES = select(capacity_entry.c.at).where(*_RETURNS)


def add_account(conn: Connection, account: Account) -> None:
    """Opens a window's account."""
    conn.execute(
        insert(window_account).values(
            run=account.run,
            window=account.window,
            cluster=account.cluster,
            customer=account.customer,
            supercomputer=account.supercomputer,
            sku=account.sku,
            region=account.region,
            opened_at=account.opened_at,
            baseline=list(account.baseline),
            capacity_taken=account.capacity_taken,
            threshold=account.threshold,
            ready_at=account.ready_at,
        )
    )


def load_accounts(conn: Connection, runs: Collection[RunId], *, with_baseline: bool = True) -> tuple[Account, ...]:
    """The accounts of runs, by opening. Without their baselines they are read quicker."""
    columns = [c for c in window_account.c if with_baseline or c.name != "baseline"]
    query = select(*columns).where(window_account.c.run.in_(sorted(runs)))
    rows = conn.execute(query.order_by(window_account.c.opened_at, window_account.c.window))
    return tuple(_to_account(row, row.baseline if with_baseline else ()) for row in rows)


def add_entries(conn: Connection, entries: Sequence[Entry]) -> None:
    """Adds lines; the database refuses a second line of one kind for a node in a window."""
    insert_rows(
        conn,
        capacity_entry,
        [
            {
                "run": entry.run,
                "window": entry.window,
                "node": entry.node,
                "kind": entry.kind.value,
                "in_service_before": entry.in_service_before,
                "at": entry.at,
            }
            for entry in entries
        ],
    )


def load_entries(conn: Connection, run: RunId) -> tuple[Entry, ...]:
    """Every line of a run, oldest first."""
    columns = [c for c in capacity_entry.c if c.name != "seq"]
    rows = conn.execute(select(*columns).where(capacity_entry.c.run == run).order_by(capacity_entry.c.seq))
    return tuple(
        Entry(
            run=RunId(row.run),
            window=WindowId(row.window),
            node=NodeId(row.node),
            kind=_KINDS[row.kind],
            in_service_before=row.in_service_before,
            at=row.at,
        )
        for row in rows
    )


def load_sums(conn: Connection, runs: Collection[RunId]) -> tuple[Sum, ...]:
    """How many nodes of each window have an entry of each kind."""
    return tuple(
        Sum(
            run=RunId(row[0]),
            window=WindowId(row[1]),
            kind=_KINDS[row[2]],
            in_service_before=row[3],
            nodes=row[4],
        )
        for row in conn.execute(_SUMS, {"of_runs": sorted(runs)})
    )


def unready_accounts(conn: Connection, run: RunId, windows: Iterable[WindowId] | None = None) -> tuple[Account, ...]:
    """Accounts of which nobody was told yet that they are good enough, of `windows` or of the whole run."""
    found = (_to_account(row) for row in ask(conn, _UNREADY, of_run=run))
    wanted = None if windows is None else frozenset(windows)
    return tuple(account for account in found if wanted is None or account.window in wanted)


def count_returns(conn: Connection, run: RunId, windows: Iterable[WindowId]) -> Counter[WindowId]:
    """How many of the nodes that each of these windows took in service are back, proven."""
    return Counter({window: ask_value(conn, _RETURNED, of_run=run, of_window=window) for window in windows})


def return_times(conn: Connection, account: Account) -> tuple[datetime, ...]:
    """When each of them came back."""
    return tuple(row.at for row in ask(conn, _RETURN_TIMES, of_run=account.run, of_window=account.window))


def set_ready(conn: Connection, account: Account, at: datetime) -> bool:
    """Puts it on record once: False when somebody else did."""
    is_untold = window_account.c.ready_at.is_(None)
    mine = (window_account.c.run == account.run, window_account.c.window == account.window, is_untold)
    return conn.execute(update(window_account).where(*mine).values(ready_at=at)).rowcount == 1


def _to_account(row: Any, baseline: Iterable[str] = ()) -> Account:
    return Account(
        run=RunId(row.run),
        window=WindowId(row.window),
        cluster=ClusterId(row.cluster),
        customer=CustomerId(row.customer),
        supercomputer=SupercomputerId(row.supercomputer),
        sku=row.sku,
        region=row.region,
        opened_at=row.opened_at,
        baseline=tuple(NodeId(name) for name in baseline),
        capacity_taken=row.capacity_taken,
        threshold=row.threshold,
        ready_at=row.ready_at,
    )
