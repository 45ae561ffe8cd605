"""Orders that a run has taken into its windows: which units, and what those are due for after; windows of their own."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from fermata.domain.ids import NodeId, OrderId, RunId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.plans import Window
from fermata.domain.request_kinds import RequestKind
from fermata.store.asking import ask
from fermata.store.bulk import insert_rows
from fermata.store.codec import from_json, to_json
from fermata.store.schema import UtcTime, metadata
from fermata.store.unit_ops import unit_op

handover = Table(
    "handover",
    metadata,
    Column("run", ForeignKey("run.id"), primary_key=True),
    Column("window", String, primary_key=True),
    Column("unit", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("order", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("joined_at", UtcTime, nullable=False),
    Column("due_after", Integer, nullable=True),
)
repair_window = Table(
    "repair_window",
    metadata,
    Column("run", ForeignKey("run.id"), primary_key=True),
    Column("window", String, primary_key=True),
    Column("order", String, nullable=False),
    Column("body", Text, nullable=False),
)
_HANDOVERS = (
    select(handover)
    .where(handover.c.run == bindparam("of_run"))
    .order_by(handover.c.window, handover.c.unit, handover.c.number)
)
_WINDOWS = select(repair_window.c.body).where(repair_window.c.run == bindparam("of_run"))
_NOT_OUT = [
    state.value
    for state in (UnitState.PENDING, UnitState.RETURNED, UnitState.KEPT_OUT, UnitState.LEFT_OUT, UnitState.GONE)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """One unit's stay with the people of an order. `due_after`: what it is due for since, as bits of its window's
    updates; None: what the plan says.
    """

    window: WindowId
    unit: str
    number: int
    order: OrderId
    kind: RequestKind
    due_after: int | None = None


def add_handovers(conn: Connection, run: RunId, found: Iterable[Handover], at: datetime) -> None:
    """Takes units of an order into windows."""
    insert_rows(
        conn,
        handover,
        [
            {
                "run": run,
                "window": each.window,
                "unit": each.unit,
                "number": each.number,
                "order": each.order,
                "kind": each.kind.value,
                "joined_at": at,
                "due_after": each.due_after,
            }
            for each in found
        ],
    )


def load_handovers(conn: Connection, run: RunId) -> tuple[Handover, ...]:
    """Every one of a run, in the order of their numbers."""
    return tuple(
        Handover(
            window=WindowId(row.window),
            unit=row.unit,
            number=row.number,
            order=OrderId(row.order),
            kind=RequestKind(row.kind),
            due_after=row.due_after,
        )
        for row in ask(conn, _HANDOVERS, of_run=run)
    )


def load_with_people(conn: Connection, runs: Sequence[RunId]) -> Mapping[tuple[OrderId, NodeId], datetime]:
    """Nodes that windows of those runs have out for an order now, each since when: with its people, or, in a window
    that the order has for itself, from the first lock until the node is back.
    """
    mine = (unit_op.c.run == handover.c.run, unit_op.c.window == handover.c.window, unit_op.c.unit == handover.c.unit)
    own = (repair_window.c.run == handover.c.run, repair_window.c.window == handover.c.window)
    query = (
        select(handover.c.order, handover.c.unit, func.min(handover.c.joined_at))
        .join(unit_op, and_(*mine))
        .outerjoin(repair_window, and_(*own))
        .where(
            handover.c.run.in_(list(runs)),
            unit_op.c.kind == UnitKind.NODE.value,
            or_(
                unit_op.c.state == UnitState.IN_REPAIR.value,
                and_(repair_window.c.order == handover.c.order, unit_op.c.state.not_in(_NOT_OUT)),
            ),
        )
        .group_by(handover.c.order, handover.c.unit)
    )
    return {(OrderId(order), NodeId(unit)): since for order, unit, since in conn.execute(query)}


def set_due_after(conn: Connection, run: RunId, window: WindowId, unit: str, due: int) -> None:
    """What a mended unit is due for from now on."""
    mine = (handover.c.run == run, handover.c.window == window, handover.c.unit == unit)
    conn.execute(update(handover).where(*mine).values(due_after=due))


def add_window(conn: Connection, run: RunId, window: Window, order: OrderId) -> None:
    """Keeps a window that no plan has."""
    body = to_json(window).decode()
    conn.execute(insert(repair_window).values(run=run, window=window.id, order=order, body=body))


def load_windows(conn: Connection, run: RunId) -> dict[WindowId, Window]:
    """The windows of a run that no plan has."""
    found = (from_json(Window, row.body) for row in ask(conn, _WINDOWS, of_run=run))
    return {window.id: window for window in found}


def find_window(conn: Connection, window: WindowId) -> Window | None:
    """One of them by its id, of whatever run."""
    query = select(repair_window.c.body).where(repair_window.c.window == window).limit(1)
    body = conn.execute(query).scalar_one_or_none()
    return None if body is None else from_json(Window, body)
