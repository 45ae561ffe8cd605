"""Assembles the status of a run from its rows: cheap enough to be asked twice a second."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from fermata.domain.ahead import JobsAhead
from fermata.domain.capacity_ledger import count_owed
from fermata.domain.forecasts import Forecast
from fermata.domain.ids import RunId, WindowId
from fermata.domain.node_states import FINAL, OUT, UnitKind, UnitState
from fermata.domain.operations import Run, UnitOp, WindowRun
from fermata.domain.reasons import Code, reason
from fermata.domain.run_states import NOT_OPENED_YET, WindowState
from fermata.domain.tail import BY_RULE, CONDUCTOR, TailItem, plan_next
from fermata.services.run_views import LimitStatus, RunStatus, TailEntry, TrainStatus, WindowStatus
from fermata.store import (
    capacity,
    flights,
    forecasts,
    intents,
    inventory,
    replans,
    runs,
    tail,
    trains,
    unit_ops,
    window_jobs,
)
from fermata.store.database import Connection
from fermata.store.unit_counts import StateCount, state_counts

MINUTE = timedelta(minutes=1)


def assemble(conn: Connection, run: Run, now: datetime) -> RunStatus:
    """The whole run at `now`."""
    rows = runs.load_windows(conn, run.id)
    counts = [c for c in state_counts(conn, run.id) if c.kind is UnitKind.NODE]
    by_window: dict[WindowId, list[StateCount]] = defaultdict(list)
    for count in counts:
        by_window[count.window].append(count)
    ready = {a.window: a.ready_at for a in capacity.load_accounts(conn, [run.id], with_baseline=False)}
    foretold = forecasts.latest(conn, run.id)
    ahead = window_jobs.load(conn, run.id)
    windows = tuple(
        _window(
            row, by_window.get(row.window, ()), ready.get(row.window), foretold.get(row.window), ahead.get(row.window)
        )
        for row in rows
    )
    out = [c for c in counts if c.state in OUT]
    return RunStatus(
        run=run.id,
        campaign=run.campaign,
        plan=run.plan,
        state=run.state,
        desired=run.desired,
        replan=run.replan,
        as_of=max(run.clock_at, now) if run.ended_at is None else run.clock_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
        forecast_end=_forecast(windows),
        forecast=foretold.get(None),
        baseline_nodes=run.baseline_nodes,
        baseline_in_service=run.baseline_in_service,
        in_service=run.baseline_in_service - count_owed(capacity.load_sums(conn, [run.id])),
        nodes_planned=sum(row.nodes for row in rows if row.state is not WindowState.CANCELLED),
        nodes_returned=_units(counts, UnitState.RETURNED),
        nodes_kept_out=_units(counts, UnitState.KEPT_OUT),
        nodes_out=sum(c.units for c in out),
        nodes_in_tail=sum(c.units for c in out if c.in_tail),
        limits=_limits(conn, run),
        windows=windows,
        tail=list_tail(conn, run.id, now),
        last_replan=replans.latest_replan(conn, run.id),
        words=intents.load_intents(conn).about(run.id),
        trains=_trains(conn, run),
        flights=flights.planned_flights(conn, run.plan),
        deadline_risk=replans.latest_risk(conn, run.id),
    )


def _units(counts: Sequence[StateCount], state: UnitState) -> int:
    return sum(c.units for c in counts if c.state is state)


def _window(
    row: WindowRun,
    counts: Sequence[StateCount],
    ready_at: datetime | None,
    foretold: Forecast | None,
    jobs: JobsAhead | None,
) -> WindowStatus:
    states: Counter[UnitState] = Counter()
    for count in counts:
        states[count.state] += count.units
    behind = None if row.behind_minutes is None else row.behind_minutes * MINUTE
    in_tail = sum(c.units for c in counts if c.in_tail and c.state not in FINAL)
    return WindowStatus(
        window=row.window,
        cluster=row.cluster,
        mode=row.mode,
        part=row.part,
        parts=row.parts,
        state=row.state,
        planned_start=row.planned_start,
        planned_end=row.planned_end,
        back_by=row.back_by,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        forecast_end=_window_forecast(row, behind, foretold),
        behind=behind,
        forecast=foretold if row.state is WindowState.OPEN else None,
        nodes=row.nodes,
        taken=row.taken,
        in_service_at_open=row.in_service_at_open,
        ready_at=ready_at,
        returned=states[UnitState.RETURNED],
        kept_out=states[UnitState.KEPT_OUT],
        working=sum(c.units for c in counts if not c.in_tail and c.state not in FINAL),
        in_tail=in_tail,
        states=dict(states),
        left_out=row.left_out,
        reason=row.reason,
        recheck_at=row.recheck_at,
        jobs=jobs,
    )


def _window_forecast(row: WindowRun, behind: timedelta | None, foretold: Forecast | None) -> datetime | None:
    if row.closed_at is not None:
        return row.closed_at
    if row.state in NOT_OPENED_YET:
        return row.planned_end
    if foretold is not None and foretold.enough is not None:
        return foretold.enough.median
    return None if behind is None else row.planned_end + behind


def _forecast(windows: Sequence[WindowStatus]) -> datetime | None:
    """When the last window that is open or still to come ends; the tail is not foretold."""
    ends = [w.forecast_end for w in windows if w.state in NOT_OPENED_YET or w.state is WindowState.OPEN]
    return max((end for end in ends if end is not None), default=None)


def _limits(conn: Connection, run: Run) -> tuple[LimitStatus, ...]:
    """As of the latest sample, which is taken whenever a window opens and every few minutes."""
    sample = runs.latest_sample(conn, run.id)
    campaign = inventory.load_campaign(conn, run.campaign)
    used: Mapping[int, int] = dict(enumerate(sample.limits)) if sample is not None else {}
    return tuple(
        LimitStatus(limit=limit, allowed=allowed, used=used.get(i, 0))
        for i, (limit, allowed) in enumerate(zip(campaign.limits, run.limits_allowed, strict=False))
    )


def _trains(conn: Connection, run: Run) -> tuple[TrainStatus, ...]:
    counts = trains.count_riders(conn, run.id)
    return tuple(
        TrainStatus(
            train=train.id,
            cluster=train.cluster,
            updates=train.updates,
            opened_at=train.opened_at,
            closed_at=train.closed_at,
            due_by=train.due_by,
            riders=train.riders,
            proven=counts.get(train.id, {}).get(UnitState.PROVEN, 0),
            writing=counts.get(train.id, {}).get(UnitState.APPLYING, 0),
            left=counts.get(train.id, {}).get(UnitState.LEFT_OUT, 0),
        )
        for train in trains.load_trains(conn, run.id)
    )


def list_tail(conn: Connection, run: RunId, now: datetime) -> tuple[TailEntry, ...]:
    """The tail of a run, longest there first."""
    ops = unit_ops.tail_ops(conn, run)
    items = tail.open_items(conn, run) if ops else {}
    return tuple(_tail(op, items.get((op.window, op.unit)), now) for op in ops)


def _tail(op: UnitOp, item: TailItem | None, now: datetime) -> TailEntry:
    since = op.tail_since or now
    why = op.reason or reason(Code.LATE, unit=op.unit, back_by=f"{since:%Y-%m-%d %H:%MZ}", step=op.step or op.state)
    known = item or TailItem(
        run=op.run, window=op.window, unit=op.unit, owner=CONDUCTOR, owned_by=BY_RULE, listed_at=since
    )
    planned = plan_next(op, known)
    return TailEntry(
        unit=op.unit,
        kind=op.kind,
        cluster=op.cluster,
        window=op.window,
        state=op.state,
        step=op.step,
        reason=why,
        since=since,
        age=max(timedelta(0), now - since),
        owner=known.owner,
        owned_by=known.owned_by,
        next_step=planned.step,
        next_at=planned.at,
        promised_at=known.promised_at,
        order=known.order,
        tries=known.tries,
        retry_wanted=known.retry is not None,
    )
