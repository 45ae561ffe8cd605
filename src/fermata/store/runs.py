"""Runs and their windows: tables and functions. The operations inside windows are in `store.unit_ops`."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    bindparam,
    insert,
    select,
    update,
)

from fermata.domain.ids import CampaignId, ClusterId, NodeId, PlanId, RunId, WindowId
from fermata.domain.operations import LeftOut, Run, Sample, WindowRun
from fermata.domain.plans import Mode
from fermata.domain.reasons import Reason, code_of
from fermata.domain.run_states import LIVE_RUNS, Desired, ReplanMode, RunState, WindowState
from fermata.store.asking import ask, change
from fermata.store.bulk import insert_rows
from fermata.store.schema import Json, Sequence64, UtcTime, metadata

SAMPLES_MAX = 20_000  # a campaign of 40 days with a sample every 5 minutes is 11,520

run = Table(
    "run",
    metadata,
    Column("id", String, primary_key=True),
    Column("campaign", String, nullable=False, index=True),
    Column("plan", String, nullable=False),
    Column("state", String, nullable=False),
    Column("desired", String, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime, nullable=True),
    Column("stands_at", UtcTime, nullable=False),  # clock_at; see migration 0024 for its name
    Column("baseline_nodes", Integer, nullable=False),
    Column("baseline_in_service", Integer, nullable=False),
    Column("limits_allowed", Json, nullable=False),
    Column("replan", String, nullable=False, server_default="propose"),
    Column("version", Integer, nullable=False),
    Column("moves", BigInteger, nullable=False, server_default="0"),  # how often units of it were written
)
window_run = Table(
    "window_run",
    metadata,
    Column("run", ForeignKey("run.id"), primary_key=True),
    Column("window", String, primary_key=True),
    Column("plan", String, nullable=False),
    Column("cluster", String, nullable=False),
    Column("mode", String, nullable=False),
    Column("part", Integer, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("nodes", Integer, nullable=False),
    Column("planned_start", UtcTime, nullable=False),
    Column("planned_end", UtcTime, nullable=False),
    Column("back_by", UtcTime, nullable=False),
    Column("hard_stop", UtcTime, nullable=False),
    Column("state", String, nullable=False),
    Column("opened_at", UtcTime, nullable=True),
    Column("closed_at", UtcTime, nullable=True),
    Column("taken", Integer, nullable=False),
    Column("in_service_at_open", Integer, nullable=False),
    Column("left_out", Json, nullable=False),
    Column("reason_code", String, nullable=True),
    Column("reason", Text, nullable=True),
    Column("recheck_at", UtcTime, nullable=True),
    Column("behind_minutes", Integer, nullable=True),
    Column("version", Integer, nullable=False),
)
run_sample = Table(
    "run_sample",
    metadata,
    Column("seq", Sequence64, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("run.id"), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("nodes_out", Integer, nullable=False),
    Column("in_service", Integer, nullable=False),
    Column("in_tail", Integer, nullable=False),
    Column("windows_open", Integer, nullable=False),
    Column("limits", Json, nullable=False),
)

_RUN = select(run).where(run.c.id == bindparam("of_run"))  # these are asked all the time, so they are built once
_WINDOWS = (
    select(window_run)
    .where(window_run.c.run == bindparam("of_run"))
    .order_by(window_run.c.planned_start, window_run.c.window)
)
_ONE_WINDOW = (window_run.c.run == bindparam("of_run"), window_run.c.window == bindparam("of_window"))
_WINDOW = select(window_run).where(*_ONE_WINDOW)
_NAMED_WINDOWS = select(window_run).where(
    window_run.c.run == bindparam("of_run"), window_run.c.window.in_(bindparam("of_windows", expanding=True))
)
_SAVE_WINDOW = (
    update(window_run)
    .where(*_ONE_WINDOW, window_run.c.version == bindparam("read_version"))
    .values({column.name: bindparam(column.name) for column in window_run.c})
)
_ADD_SAMPLE = insert(run_sample).values({c.name: bindparam(c.name) for c in run_sample.c if c.name != "seq"})
_TOUCH = update(run).where(run.c.id == bindparam("of_run")).values(stands_at=bindparam("at"))


class Stale(Exception):
    """A row was changed by somebody else since it was read: nothing was saved, read again."""


def create_run(conn: Connection, made: Run, windows: Iterable[WindowRun]) -> None:
    """Stores a new run with its windows."""
    conn.execute(insert(run).values(_run_row(made)))
    insert_rows(conn, window_run, [_window_row(window) for window in windows])


def load_run(conn: Connection, run_id: RunId) -> Run | None:
    """The run of that id, or None."""
    rows = ask(conn, _RUN, of_run=run_id)
    return to_run(rows[0]) if rows else None


def live_run(conn: Connection, campaign: CampaignId | None = None) -> Run | None:
    """The newest run, of that campaign if one is named, that is not over yet, or None."""
    query = select(run).where(run.c.state.in_([state.value for state in LIVE_RUNS]))
    return _newest(conn, query if campaign is None else query.where(run.c.campaign == campaign))


def live_runs(conn: Connection) -> tuple[Run, ...]:
    """Every run that is not over yet, oldest first."""
    return tuple(found for found in list_runs(conn) if found.state in LIVE_RUNS)


def latest_run(conn: Connection, campaign: CampaignId | None = None) -> Run | None:
    """The newest run, of that campaign if one is named, over or not, or None."""
    query = select(run)
    return _newest(conn, query if campaign is None else query.where(run.c.campaign == campaign))


def list_runs(conn: Connection, campaign: CampaignId | None = None) -> tuple[Run, ...]:
    """All runs, of that campaign if one is named, oldest first."""
    query = select(run).order_by(run.c.started_at, run.c.id)
    rows = conn.execute(query if campaign is None else query.where(run.c.campaign == campaign))
    return tuple(to_run(row) for row in rows)


def save_run(conn: Connection, changed: Run) -> Run:
    """Stores a run whose row is still the one that was read; what the operator wants of it is left alone.

    Raises Stale when somebody else changed it since.
    """
    row = _run_row(changed)
    del row["desired"], row["replan"]
    row["version"] = changed.version + 1
    done = conn.execute(update(run).where(run.c.id == changed.id, run.c.version == changed.version).values(row))
    if done.rowcount != 1:
        raise Stale(f"run {changed.id}")
    fresh = load_run(conn, changed.id)
    assert fresh is not None
    return fresh


def set_desired(conn: Connection, run_id: RunId, desired: Desired) -> None:
    """What the operator wants of the run from now on."""
    conn.execute(update(run).where(run.c.id == run_id).values(desired=desired.value))


def set_replan_mode(conn: Connection, run_id: RunId, mode: ReplanMode) -> None:
    """What the conductor may do about its plan from now on."""
    conn.execute(update(run).where(run.c.id == run_id).values(replan=mode.value))


def touch_clock(conn: Connection, run_id: RunId, now: datetime) -> None:
    """Remembers the instant that is being worked on: a restart goes on from there."""
    change(conn, _TOUCH, of_run=run_id, at=now)


def load_windows(conn: Connection, run_id: RunId) -> tuple[WindowRun, ...]:
    """All windows of a run, by planned start and id."""
    return tuple(_to_window(row) for row in ask(conn, _WINDOWS, of_run=run_id))


def load_window(conn: Connection, run_id: RunId, window: WindowId) -> WindowRun | None:
    """One window, or None."""
    rows = ask(conn, _WINDOW, of_run=run_id, of_window=window)
    return _to_window(rows[0]) if rows else None


def named_windows(conn: Connection, run_id: RunId, windows: Collection[WindowId]) -> tuple[WindowRun, ...]:
    """These windows of a run, in no order."""
    if not windows:
        return ()
    found = conn.execute(_NAMED_WINDOWS, {"of_run": run_id, "of_windows": sorted(windows)})
    return tuple(_to_window(row) for row in found)


def save_window(conn: Connection, changed: WindowRun) -> None:
    """Stores a window whose row is still the one that was read. Raises Stale when it is not."""
    row = _window_row(changed)
    row["version"] = changed.version + 1
    was_read = {"of_run": changed.run, "of_window": changed.window, "read_version": changed.version}
    if change(conn, _SAVE_WINDOW, **row, **was_read) != 1:
        raise Stale(f"window {changed.window}")


def add_windows(conn: Connection, windows: Iterable[WindowRun]) -> None:
    """Adds windows to a run that goes over to another plan."""
    insert_rows(conn, window_run, [_window_row(window) for window in windows])


def add_sample(conn: Connection, run_id: RunId, sample: Sample) -> None:
    """Keeps what was out at an instant."""
    row: dict[str, Any] = {
        "run": run_id,
        "at": sample.at,
        "nodes_out": sample.nodes_out,
        "in_service": sample.in_service,
        "in_tail": sample.in_tail,
        "windows_open": sample.windows_open,
        "limits": list(sample.limits),
    }
    change(conn, _ADD_SAMPLE, **row)


def load_samples(conn: Connection, run_id: RunId) -> tuple[Sample, ...]:
    """The samples of a run, oldest first, at most SAMPLES_MAX."""
    query = select(run_sample).where(run_sample.c.run == run_id).order_by(run_sample.c.seq).limit(SAMPLES_MAX)
    return tuple(_to_sample(row) for row in conn.execute(query).mappings())


def latest_sample(conn: Connection, run_id: RunId) -> Sample | None:
    """The newest sample of a run, or None."""
    query = select(run_sample).where(run_sample.c.run == run_id).order_by(run_sample.c.seq.desc()).limit(1)
    row = conn.execute(query).mappings().first()
    return None if row is None else _to_sample(row)


def _to_sample(row: RowMapping) -> Sample:
    return Sample(
        at=row["at"],
        nodes_out=row["nodes_out"],
        in_service=row["in_service"],
        in_tail=row["in_tail"],
        windows_open=row["windows_open"],
        limits=tuple(row["limits"]),
    )


def _newest(conn: Connection, query: Any) -> Run | None:
    row = conn.execute(query.order_by(run.c.started_at.desc(), run.c.id.desc()).limit(1)).first()
    return None if row is None else to_run(row)


def _run_row(made: Run) -> dict[str, Any]:
    return {
        "id": made.id,
        "campaign": made.campaign,
        "plan": made.plan,
        "state": made.state.value,
        "desired": made.desired.value,
        "started_at": made.started_at,
        "ended_at": made.ended_at,
        "stands_at": made.clock_at,
        "baseline_nodes": made.baseline_nodes,
        "baseline_in_service": made.baseline_in_service,
        "limits_allowed": list(made.limits_allowed),
        "replan": made.replan.value,
        "version": made.version,
    }


def to_run(row: Any) -> Run:
    """One row of `run`."""
    return Run(
        id=RunId(row.id),
        campaign=CampaignId(row.campaign),
        plan=PlanId(row.plan),
        state=RunState(row.state),
        desired=Desired(row.desired),
        started_at=row.started_at,
        ended_at=row.ended_at,
        clock_at=row.stands_at,
        baseline_nodes=row.baseline_nodes,
        baseline_in_service=row.baseline_in_service,
        limits_allowed=tuple(row.limits_allowed),
        replan=ReplanMode(row.replan),
        version=row.version,
    )


def _window_row(window: WindowRun) -> dict[str, Any]:
    return {
        "run": window.run,
        "window": window.window,
        "plan": window.plan,
        "cluster": window.cluster,
        "mode": window.mode.value,
        "part": window.part,
        "parts": window.parts,
        "nodes": window.nodes,
        "planned_start": window.planned_start,
        "planned_end": window.planned_end,
        "back_by": window.back_by,
        "hard_stop": window.hard_stop,
        "state": window.state.value,
        "opened_at": window.opened_at,
        "closed_at": window.closed_at,
        "taken": window.taken,
        "in_service_at_open": window.in_service_at_open,
        "left_out": [
            {"code": left.reason.code.value, "sentence": left.reason.sentence, "nodes": list(left.nodes)}
            for left in window.left_out
        ],
        "reason_code": window.reason.code.value if window.reason else None,
        "reason": window.reason.sentence if window.reason else None,
        "recheck_at": window.recheck_at,
        "behind_minutes": window.behind_minutes,
        "version": window.version,
    }


def _to_window(row: Any) -> WindowRun:
    return WindowRun(
        run=RunId(row.run),
        window=WindowId(row.window),
        plan=PlanId(row.plan),
        cluster=ClusterId(row.cluster),
        mode=Mode(row.mode),
        part=row.part,
        parts=row.parts,
        nodes=row.nodes,
        planned_start=row.planned_start,
        planned_end=row.planned_end,
        back_by=row.back_by,
        hard_stop=row.hard_stop,
        state=WindowState(row.state),
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        taken=row.taken,
        in_service_at_open=row.in_service_at_open,
        left_out=tuple(
            LeftOut(
                reason=Reason(code=code_of(left["code"]), sentence=left["sentence"]),
                nodes=tuple(NodeId(node) for node in left["nodes"]),
            )
            for left in row.left_out
        ),
        reason=to_reason(row.reason_code, row.reason),
        recheck_at=row.recheck_at,
        behind_minutes=row.behind_minutes,
        version=row.version,
    )


def to_reason(code: str | None, sentence: str | None) -> Reason | None:
    """A stored reason."""
    return None if code is None else Reason(code=code_of(code), sentence=sentence or "")
