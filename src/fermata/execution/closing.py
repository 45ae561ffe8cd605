"""Open windows: how late they are, the tail list at the time capacity was promised back, and their end."""

from dataclasses import replace
from datetime import datetime, timedelta

from fermata.domain.capacity_ledger import is_enough
from fermata.domain.node_states import UnitState
from fermata.domain.operations import Run, Sample, UnitOp, WindowRun
from fermata.domain.pace import MINUTE
from fermata.domain.reasons import Code, reason
from fermata.domain.run_states import WindowState, advance_window
from fermata.domain.scripts import name_step
from fermata.execution.stage import Stage
from fermata.execution.tail import list_units, own_residue
from fermata.execution.trail import ACTOR
from fermata.store import journal, runs, unit_ops
from fermata.store.database import Connection
from fermata.store.journal import Entry

OVERRUN_LOOK = timedelta(minutes=5)  # a returning node is looked at anyway: this catches the time promised


def close_if_over(stage: Stage, row: WindowRun, now: datetime) -> WindowRun:
    """Closes an open window when every unit is finished or on the tail list; after its planned end as soon as enough
    of its nodes are back to ramp up; and at `back_by` in any case. Returns its row as it is then.
    """
    if stage.roster.is_settled(row.window):
        with stage.database.begin() as conn:
            return _close(stage, conn, row, now)
    units = stage.roster.of_window(row.window)
    back = sum(op.state is UnitState.RETURNED and op.in_service_before for op in units)
    enough = is_enough(back, row.in_service_at_open, stage.campaign.return_threshold)
    if now >= row.back_by or (now >= row.planned_end and enough):
        return _put_on_tail(stage, row, now)
    if row.recheck_at is not None and now >= row.recheck_at:
        after = replace(row, recheck_at=min(now + OVERRUN_LOOK, row.back_by))
        with stage.database.begin() as conn:
            runs.save_window(conn, after)
        return replace(after, version=row.version + 1)
    return row


def _put_on_tail(stage: Stage, row: WindowRun, now: datetime) -> WindowRun:
    """Whoever is not back is on the tail list from now on, and the window is over; work on the tail goes on."""
    units = stage.roster.of_window(row.window)
    late = [_listed(op, row, now) for op in units if op.finished_at is None and op.tail_since is None]
    with stage.database.begin() as conn:
        unit_ops.save_ops(conn, [(op.version - 1, op) for op in late])
        stage.roster.put(late)
        list_units(stage, conn, late, now)
        journal.append_many(
            conn,
            [
                Entry(
                    at=now,
                    actor=ACTOR,
                    event="unit.tail",
                    subject=f"{op.kind}:{op.unit}",
                    why=str(op.reason or ""),
                    data={"window": op.window, "state": op.state.value, "step": op.step},
                )
                for op in late
            ],
        )
        return _close(stage, conn, row, now)


def _listed(op: UnitOp, row: WindowRun, now: datetime) -> UnitOp:
    step = name_step(op.step) if op.step else op.state.value
    late = reason(Code.LATE, unit=op.unit, back_by=f"{row.planned_end:%Y-%m-%d %H:%MZ}", step=step)
    return replace(op, tail_since=now, reason=op.reason or late, version=op.version + 1)


def _close(stage: Stage, conn: Connection, row: WindowRun, now: datetime) -> WindowRun:
    after = replace(
        row,
        state=advance_window(row.state, WindowState.CLOSED),
        closed_at=now,
        recheck_at=None,
        behind_minutes=round((now - row.planned_end) / MINUTE),
    )
    runs.save_window(conn, after)
    residue = own_residue(stage, conn, row, now)
    data = {
        "cluster": row.cluster,
        "taken": row.taken,
        "behind_minutes": after.behind_minutes,
        "residue": residue,
    }
    journal.append(
        conn, Entry(at=now, actor=ACTOR, event="window.closed", subject=f"window:{row.window}", why="", data=data)
    )
    stage.crash("closing")
    return replace(after, version=row.version + 1)


def take_sample(stage: Stage, run: Run, now: datetime) -> None:
    """Keeps what is out right now, against every limit."""
    held = list(stage.roster.out())
    with stage.database.begin() as conn:
        out = unit_ops.nodes_out(conn)
        sample = Sample(
            at=now,
            nodes_out=len(out),
            in_service=run.baseline_in_service - sum(op.in_service_before for op in held),
            in_tail=sum(op.tail_since is not None for op in held),
            windows_open=len(stage.open_windows()),
            limits=tuple(use.used for use in stage.capacity.uses(out, tuple(stage.windows.values()), now)),
        )
        runs.add_sample(conn, stage.run, sample)
