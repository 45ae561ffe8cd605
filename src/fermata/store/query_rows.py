"""What the query store is loaded from: nodes in columns, work on units without objects, and if anything changed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, func, select

from fermata.domain.ids import RunId
from fermata.store.inventory import device, document, node
from fermata.store.journal import journal
from fermata.store.outbox import notified
from fermata.store.parts import part_of
from fermata.store.plans import publication
from fermata.store.runs import run, window_run
from fermata.store.unit_ops import unit_op
from fermata.store.unit_rows import json_text

ROWS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """One node. `versions` is JSON text: equal text means equal versions, so that most of it is never read."""

    name: str
    cluster: str
    rack: str
    fault_domain: str
    scalable_unit: str
    role: str
    workload: str
    state: str
    versions: str
    gpus: int | None

    def read_versions(self) -> Mapping[str, str]:
        """By component."""
        found: Mapping[str, str] = orjson.loads(self.versions)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkRow:
    """One unit operation, as far as queries see it."""

    run: str
    window: str
    unit: str
    kind: str
    cluster: str
    state: str
    step: str
    attempt: int
    reason_code: str | None
    reason: str | None
    tail_since: datetime | None
    locked_at: datetime | None
    finished_at: datetime | None


def read_nodes(conn: Connection) -> Iterator[NodeRow]:
    """Every node, by name, a batch at a time."""
    texts = (node.c.name, node.c.cluster, node.c.rack, node.c.fault_domain, node.c.scalable_unit)
    as_text = json_text(node.c.versions, conn.dialect.name)
    query = select(*texts, node.c.role, node.c.workload, node.c.state, as_text, node.c.gpus).order_by(node.c.name)
    names = tuple(NodeRow.__slots__)
    for row in conn.execute(query).yield_per(ROWS_AT_ONCE):
        yield NodeRow(**dict(zip(names, row, strict=True)))


def read_work(conn: Connection, runs: Sequence[RunId]) -> Iterator[WorkRow]:
    """Operations of those runs, in the order in which they were made."""
    columns = [unit_op.c[name] for name in WorkRow.__slots__]
    for row in conn.execute(select(*columns).where(unit_op.c.run.in_(list(runs))).order_by(unit_op.c.id)):
        yield WorkRow(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping


def read_mark(conn: Connection) -> tuple[Any, ...]:
    """A mark of the store's content: as long as it is the same, so is all that queries can see.

    Every change of inventory, consent or plans writes the journal; the conductor counts up the version of each row it
    moves, and records what units report in the same transaction.
    """
    part = part_of(conn)
    if part is not None:
        return part.read(read_mark)  # what changed is none of who looks, that something did is
    marks: list[Any] = []
    for query in _MARKS:
        marks += conn.execute(query).one()
    return tuple(marks)


_MARKS: tuple[Any, ...] = (
    select(func.max(journal.c.seq)),
    select(func.max(publication.c.seq)),
    select(func.count()).select_from(document),
    select(func.count()).select_from(node),
    select(func.count()).select_from(device),
    select(func.count()).select_from(notified),
    select(func.count(), func.sum(run.c.version)).select_from(run),
    select(func.count(), func.sum(window_run.c.version)).select_from(window_run),
    select(func.count(), func.sum(unit_op.c.version)).select_from(unit_op),
)
