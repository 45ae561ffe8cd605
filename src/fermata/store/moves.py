"""Numbers of writes: each transaction that changes units of a run counts one up, and says so on the rows that it
changes. Who has read the run before reads only what has a higher number.

One transaction writes at a time (see `store/database.py`), so numbers are seen in their order.
"""

from sqlalchemy import Connection, bindparam, select, update

from fermata.domain.ids import RunId
from fermata.store.asking import ask, ask_value
from fermata.store.runs import run

_COUNT = update(run).where(run.c.id == bindparam("of_run")).values(moves=run.c.moves + 1).returning(run.c.moves)
_NEWEST = select(run.c.moves).where(run.c.id == bindparam("of_run"))


class Numbers(dict[RunId, int]):
    """The number of this write in each run, counted when it is first asked for."""

    def __init__(self, conn: Connection) -> None:
        super().__init__()
        self._conn = conn

    def __missing__(self, run_id: RunId) -> int:
        self[run_id] = ask(self._conn, _COUNT, of_run=run_id)[0][0]
        return self[run_id]


def newest_move(conn: Connection, run_id: RunId) -> int:
    """The number of the last write of units of the run."""
    return int(ask_value(conn, _NEWEST, of_run=run_id))
