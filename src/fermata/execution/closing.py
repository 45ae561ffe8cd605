"""Open windows: how late they are, the tail list at the time capacity was promised back, and their end."""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from fermata.domain.decisions import fence
from fermata.domain.node_states import OUT, UnitKind
from fermata.domain.operations import Sample, UnitOp, WindowRun
from fermata.domain.pace import MINUTE, minutes_behind
from fermata.domain.reasons import Code, reason
from fermata.domain.run_states import WindowState, advance_window
from fermata.execution.stage import Stage
from fermata.execution.trail import ACTOR
from fermata.store import journal, runs, unit_ops
from fermata.store.journal import Entry

PACE_EVERY = timedelta(minutes=10)  # a forecast that moves faster than a person reads is noise


def close_if_settled(stage: Stage, row: WindowRun, now: datetime) -> WindowRun:
    """Closes an open window when every unit is finished or on the tail list. Returns its row as it is then."""
    with stage.database.begin() as conn:
        if not unit_ops.is_settled(conn, stage.run, row.window):
            return row
        return _close(stage, conn, row, now)


def put_on_tail(stage: Stage, row: WindowRun, now: datetime) -> WindowRun:
    """At `back_by`: whoever is not back is on the tail list from now on, and the window is over."""
    with stage.database.begin() as conn:
        late = [
            op for op in unit_ops.ops_of_window(conn, stage.run, row.window) if not op.finished_at and not op.tail_since
        ]
        unit_ops.save_ops(conn, [_listed(op, row, now) for op in late])
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
    step = op.step or op.state.value
    late = reason(Code.LATE, unit=op.unit, back_by=f"{row.back_by:%Y-%m-%d %H:%MZ}", step=step)
    return fence(replace(op, tail_since=now, reason=op.reason or late))


def _close(stage: Stage, conn: Connection, row: WindowRun, now: datetime) -> WindowRun:
    after = replace(
        row,
        state=advance_window(row.state, WindowState.CLOSED),
        closed_at=now,
        recheck_at=None,
        behind_minutes=round((now - row.planned_end) / MINUTE),
    )
    runs.save_window(conn, after)
    data = {"cluster": row.cluster, "taken": row.taken, "behind_minutes": after.behind_minutes}
    journal.append(
        conn, Entry(at=now, actor=ACTOR, event="window.closed", subject=f"window:{row.window}", why="", data=data)
    )
    stage.crash("closing")
    return replace(after, version=row.version + 1)


def measure_pace(stage: Stage, now: datetime) -> None:
    """Works out anew how late every open window is."""
    rows = stage.open_windows()
    if not rows:
        return
    with stage.database.begin() as conn:
        working: dict[str, list[UnitOp]] = {}
        for op in unit_ops.unfinished_nodes(conn, stage.run):
            if op.tail_since is None:
                working.setdefault(op.window, []).append(op)
        for row in rows:
            behind = minutes_behind(
                stage.script(row.window),
                working.get(row.window, ()),
                taken=row.taken,
                threshold=stage.campaign.return_threshold,
                now=now,
            )
            if behind is not None and behind != row.behind_minutes:
                runs.save_window(conn, replace(row, behind_minutes=behind))
                stage.windows[row.window] = replace(row, behind_minutes=behind, version=row.version + 1)


def take_sample(stage: Stage, now: datetime, baseline_in_service: int) -> None:
    """Keeps what is out right now, against every limit."""
    with stage.database.begin() as conn:
        out = unit_ops.nodes_out(conn)
        counts = unit_ops.state_counts(conn, stage.run)
        lost = sum(c.units for c in counts if c.kind is UnitKind.NODE and c.in_service_before and c.state in OUT)
        windows = tuple(stage.windows.values())
        sample = Sample(
            at=now,
            nodes_out=len(out),
            in_service=baseline_in_service - lost,
            in_tail=sum(c.units for c in counts if c.kind is UnitKind.NODE and c.in_tail and c.state in OUT),
            windows_open=len(stage.open_windows()),
            limits=tuple(use.used for use in stage.capacity.uses(out, windows, now)),
        )
        runs.add_sample(conn, stage.run, sample)
