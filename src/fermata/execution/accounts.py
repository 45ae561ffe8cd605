"""Keeps the capacity ledger beside the conductor's rows: what is taken and given back, and 'good enough', told once."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from fermata.domain.capacity_ledger import CLOSINGS, Account, Entry, EntryKind, is_enough, open_account, when_ready
from fermata.domain.ids import NodeId
from fermata.domain.node_states import UnitKind
from fermata.domain.operations import Run, WindowRun
from fermata.execution.stage import Stage
from fermata.execution.trail import ACTOR, Mark
from fermata.store import capacity, journal
from fermata.store.database import Connection
from fermata.store.journal import Entry as Line


def open_books(stage: Stage, conn: Connection, row: WindowRun, serving: Iterable[NodeId], now: datetime) -> None:
    """Writes down which nodes of its cluster were in service when a window opened. `row`: as it is then."""
    account = open_account(
        stage.fleet_at(row.window).clusters[row.cluster],
        run=stage.run,
        window=row.window,
        opened_at=now,
        baseline=serving,
        capacity_taken=row.in_service_at_open,
        threshold=stage.campaign.return_threshold,
    )
    capacity.add_account(conn, account)


def keep_ledger(stage: Stage, conn: Connection, marks: Sequence[Mark], now: datetime) -> None:
    """The entries of a batch, and the windows that are good enough to ramp up because of it."""
    meant = [mark for mark in marks if mark.before.kind is UnitKind.NODE and mark.before.taken_again_at is None]
    entries = [entry for mark in meant for entry in _entries(stage, mark, now)]
    if not entries:
        return
    capacity.add_entries(conn, entries)
    back = {entry.window for entry in entries if entry.kind is EntryKind.RETURNED and entry.in_service_before}
    if back:
        _tell_ready(stage, conn, capacity.unready_accounts(conn, stage.run, back), now)


def _entries(stage: Stage, mark: Mark, now: datetime) -> Iterable[Entry]:
    op = mark.after
    kinds = []
    if mark.before.locked_at is None and op.locked_at is not None:
        kinds.append(EntryKind.TAKEN)
    is_over = mark.before.finished_at is None and op.finished_at is not None
    if is_over and op.locked_at is not None:
        kinds.append(CLOSINGS[op.state])
    for kind in kinds:
        yield Entry(
            run=stage.run,
            window=op.window,
            node=NodeId(op.unit),
            kind=kind,
            in_service_before=op.in_service_before,
            at=now,
        )


def tell_ready(stage: Stage, _run: Run, now: datetime) -> None:
    """Looks at every window of which nobody was told: two batches at once may each have seen too few nodes back."""
    with stage.database.read() as conn:
        waiting = capacity.unready_accounts(conn, stage.run)
        found = _find_ready(stage, conn, waiting)
    if found:
        with stage.database.begin() as conn:
            _tell_ready(stage, conn, [account for account, _ in found], now)


def _find_ready(stage: Stage, conn: Connection, accounts: Sequence[Account]) -> list[tuple[Account, int]]:
    """Those of which enough nodes are back, and how many."""
    if not accounts:
        return []
    back = capacity.count_returns(conn, stage.run, [account.window for account in accounts])
    found = ((account, back[account.window]) for account in accounts)
    return [(one, nodes) for one, nodes in found if is_enough(nodes, one.capacity_taken, one.threshold)]


def _tell_ready(stage: Stage, conn: Connection, accounts: Sequence[Account], now: datetime) -> None:
    for account, back in _find_ready(stage, conn, accounts):
        at = when_ready(account.capacity_taken, account.threshold, capacity.return_times(conn, account))
        if at is None or not capacity.set_ready(conn, account, at):
            continue
        data = {
            "cluster": account.cluster,
            "customer": account.customer,
            "back": back,
            "taken": account.capacity_taken,
            "ready_at": at.isoformat(),
        }
        subject = f"window:{account.window}"
        journal.append(conn, Line(at=now, actor=ACTOR, event="window.ready", subject=subject, why="", data=data))
