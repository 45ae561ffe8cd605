"""What other workers wrote of a run that several share, read as far as it is new: rows of units by the numbers of their
writes, rows of windows that are open there, failures.
"""

from collections.abc import Iterable
from datetime import timedelta

from fermata.domain.ids import DeviceId, WindowId
from fermata.domain.operations import UnitOp
from fermata.domain.run_states import WindowState
from fermata.execution.handing import load_handing
from fermata.execution.stage import Stage
from fermata.store import gates, inventory, runs
from fermata.store.database import Connection
from fermata.store.moved_units import Moved, moved_since, ops_by_id
from fermata.store.moves import newest_move

REREAD_EVERY = timedelta(minutes=5)  # of wall time: who writes with the release before this one numbers nothing


def keep_up(stage: Stage) -> None:
    """Takes in what is new: a lead of all windows, who has cohorts alone of these. Own rows are in memory as they are
    in the store, so only those with another version are read.
    """
    if stage.read_at is None or stage.ownership.wall() - stage.read_at >= REREAD_EVERY:
        stage.reload()
        return
    leads, held = stage.ownership.leads, stage.ownership.held
    with stage.database.read() as conn:
        _read_windows(stage, conn)
        newest = newest_move(conn, stage.run)
        if newest == stage.moves:
            return
        moved = moved_since(conn, stage.run, stage.moves)
        fresh = [each for each in moved if (leads or each.window in held) and _is_new(stage, each)]
        ops = ops_by_id(conn, [each.id for each in fresh])
        devices = {DeviceId(each.unit) for each in moved if each.is_device}
        stage.device_versions.update(inventory.device_versions_of(conn, devices))
        _read_handing(stage, conn)
        if leads:
            _read_failures(stage, conn)
    stage.moves = newest
    stage.roster.put(ops)
    if leads and stage.gates.book is not None:
        stage.gates.book.note_ops(ops)
    _drop_finished(stage, ops)


def _is_new(stage: Stage, moved: Moved) -> bool:
    known = stage.roster.standing(moved.window, moved.unit)
    return known is None or known.version != moved.version


def _read_windows(stage: Stage, conn: Connection) -> None:
    """Those whose rows another hand may have changed: for a lead what is open elsewhere, else those that are held."""
    held = stage.ownership.held
    if stage.ownership.leads:
        names = {row.window for row in stage.windows.values() if row.state is WindowState.OPEN} - held.keys()
    else:
        names = set(held)
    for row in runs.named_windows(conn, stage.run, names):
        known = stage.windows.get(row.window)
        if known is None or known.plan != row.plan:
            stage.forget(row.window)
        stage.windows[row.window] = row


def _read_handing(stage: Stage, conn: Connection) -> None:
    known, found = stage.handing, load_handing(conn, stage.run, stage.handing.told)
    if (found.handed, found.amended, found.windows) != (known.handed, known.amended, known.windows):
        stage.handing = found
        stage.scripts.clear()


def _read_failures(stage: Stage, conn: Connection) -> None:
    """Taking in one that is known changes nothing."""
    newest = gates.newest_failure(conn, stage.run)
    if stage.gates.book is not None and newest != stage.gates.newest_failure:
        stage.gates.book.note_failures(gates.load_failures(conn, stage.run))
        stage.gates.newest_failure = newest


def _drop_finished(stage: Stage, ops: Iterable[UnitOp]) -> None:
    """As when all is read: windows in which nothing is unfinished are not looked at any more."""
    for window in sorted({WindowId(op.window) for op in ops if op.finished_at is not None}):
        if not stage.roster.is_own(window):
            stage.roster.drop_finished(window)
