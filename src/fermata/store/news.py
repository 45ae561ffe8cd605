"""What others may have said about a run since it was last looked at: one statement, asked before every step."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select

from fermata.domain.ids import RunId
from fermata.domain.operations import Run
from fermata.store.asking import ask
from fermata.store.gates import gate
from fermata.store.intents import intent
from fermata.store.recovery import recovery_order
from fermata.store.rooms import room_line
from fermata.store.runs import run, to_run

_RUN = bindparam("run", type_=run.c.id.type)
_NEWS = select(
    run,
    select(func.max(intent.c.seq)).scalar_subquery().label("newest_intent"),
    select(func.max(gate.c.said_at)).where(gate.c.run == _RUN).scalar_subquery().label("newest_word"),
    select(func.max(recovery_order.c.seq)).where(recovery_order.c.run == _RUN).scalar_subquery().label("newest_order"),
    select(func.max(room_line.c.seq))
    .where(room_line.c.run == _RUN, room_line.c.kind != "message")
    .scalar_subquery()
    .label("newest_said"),
).where(run.c.id == _RUN)


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """The run as it is; the numbers of the newest word of operators and of the newest roll-back that was ordered in it,
    0 without any; when something was last said at one of its gates; and the number of what people said last in its
    rooms, 0 without any.
    """

    run: Run
    intent: int
    order: int
    gate_word: datetime | None
    room_word: int


def read_news(conn: Connection, run_id: RunId) -> News | None:
    """None: there is no such run."""
    rows = ask(conn, _NEWS, run=run_id)
    if not rows:
        return None
    row = rows[0]
    return News(
        run=to_run(row),
        intent=row.newest_intent or 0,
        order=row.newest_order or 0,
        gate_word=row.newest_word,
        room_word=row.newest_said or 0,
    )
