"""Forecasts open windows and the run, keeps what was forecast, and tells when a promise is at risk or safe again."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from fermata.domain.capacity_ledger import EntryKind
from fermata.domain.forecasts import KEPT_LEAST, Forecast
from fermata.domain.ids import ClusterId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import Run, UnitOp, WindowRun
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.run_states import NOT_OPENED_YET, Desired
from fermata.domain.windows import day_interval
from fermata.execution.foresight import LearnedFrom
from fermata.execution.stage import Stage
from fermata.execution.trail import ACTOR
from fermata.planning.forecast.campaign import Remaining, forecast_run
from fermata.planning.forecast.evidence import EVENTS
from fermata.planning.forecast.learning import Lessons
from fermata.planning.forecast.odds import find_odds
from fermata.planning.forecast.outlook import Learned, Outlook, look_out
from fermata.planning.forecast.standing import Layout, lay_out, under_way
from fermata.planning.forecast.telling import Asked, forecast_window
from fermata.store import capacity, forecasts, inventory_sources, journal, runs
from fermata.store.database import Connection
from fermata.store.journal import Entry

RUN_EVERY = timedelta(hours=1)  # the run's own end moves by days, and is the dearer one to forecast
SURE = 0.99  # kept so surely, a promise does not come to be at risk from one look to the next
SURE_EVERY = timedelta(minutes=20)


def forecast(stage: Stage, run: Run, now: datetime) -> None:
    """Forecasts the open windows; what is said of a window is its `behind_minutes` from now on. Those whose promise is
    as good as kept are looked at less often.
    """
    memory, still_open = stage.memory, stage.open_windows()
    with stage.database.read() as conn:
        look_at_all = memory.latest is None or run.desired is Desired.PAUSE
        if memory.latest is None:
            memory.latest = dict(forecasts.latest(conn, stage.run))
        stale = inventory_sources.list_stale(conn, now) if still_open else None
        look_at_all = look_at_all or (stale is not None and bool(stale.nodes or stale.devices))
        rows = [row for row in still_open if look_at_all or _is_due(stage, row, now)]
        if not rows and not _run_is_due(stage, now):
            return
        _read_on(stage, conn)
    unseen = frozenset[str]() if stale is None else frozenset({*stale.nodes, *stale.devices})
    ops = {row.window: stage.roster.of_window(row.window) for row in still_open}
    learned = _learn(stage, [op for found in ops.values() for op in found], now)
    made = [
        forecast_window(
            row, _layout(stage, row), ops[row.window], learned, _asked(stage, run, row.window, unseen, now), now
        )
        for row in rows
    ]
    for one in made:
        memory.note_helps(one)
    whole = _forecast_run(stage, run, ops, learned, now)
    if made or whole:
        _keep(stage, made, whole, rows, now)


def _is_due(stage: Stage, row: WindowRun, now: datetime) -> bool:
    """False of a window that was just said to be back in time so surely that nothing else is to be heard so soon."""
    before = _before(stage, row.window)
    is_sure = before is not None and before.kept is not None and before.kept >= SURE and not before.is_alarming
    return before is None or not is_sure or now - before.at >= SURE_EVERY


def _read_on(stage: Stage, conn: Connection) -> None:
    """Learns from what the journal says since the last look, of this run and, at first, of all before it."""
    memory, fleet = stage.memory, stage.fleet
    for line in journal.read_events(conn, EVENTS, memory.seq):
        memory.seq = line.seq
        unit = line.subject.partition(":")[2]
        known = fleet.nodes.get(unit) or fleet.devices.get(unit)  # type: ignore[call-overload]
        if known is not None:
            memory.evidence.note(line.event, unit, known.cluster, line.at, line.why, line.data)


def _learn(stage: Stage, ops: Sequence[UnitOp], now: datetime) -> Learned:
    evidence = stage.memory.evidence
    odds = find_odds(evidence, stage.catalogue, stage.campaign.fallout, now)
    found = LearnedFrom(
        seq=stage.memory.seq,
        steps=evidence.steps,
        at=now,
        under=tuple(under_way(ops, now)),
        hang_share={kind: share.mean for kind, share in odds.hang.items()},
        catalogue=stage.catalogue,
        fleet=stage.fleet,
    )
    known = stage.memory.learned
    if known is None or not (found.is_same(known[0]) or found.adds_little(known[0])):
        skus: Mapping[ClusterId, str] = {name: cluster.sku for name, cluster in found.fleet.clusters.items()}
        lessons = Lessons(evidence, found.under, catalogue=found.catalogue, skus=skus, hang_share=found.hang_share)
        known = stage.memory.learned = found, lessons
    return Learned(lessons=known[1], odds=odds, catalogue=stage.catalogue)


def _layout(stage: Stage, row: WindowRun) -> Layout:
    layouts = stage.memory.layouts
    if row.window not in layouts:
        layouts[row.window] = lay_out(stage.script(row.window), stage.score(row.plan).fleet.nodes)
    return layouts[row.window]


def _asked(stage: Stage, run: Run, window: WindowId, unseen: frozenset[str], now: datetime) -> Asked:
    before = _before(stage, window)
    return Asked(
        threshold=stage.campaign.return_threshold,
        was_alarming=before is not None and before.is_alarming,
        is_paused=run.desired is Desired.PAUSE,
        unseen=unseen,
        helps=stage.memory.helps(window, now),
    )


def _run_is_due(stage: Stage, now: datetime) -> bool:
    before = _before(stage, None)
    return before is None or now - before.at >= RUN_EVERY


def _before(stage: Stage, window: WindowId | None) -> Forecast | None:
    return stage.memory.latest.get(window) if stage.memory.latest else None


def _forecast_run(
    stage: Stage,
    run: Run,
    ops: Mapping[WindowId, Sequence[UnitOp]],
    learned: Learned,
    now: datetime,
) -> Forecast | None:
    """Once an hour."""
    if not _run_is_due(stage, now):
        return None
    before = _before(stage, None)
    waiting = [row for row in stage.windows.values() if row.state in NOT_OPENED_YET]
    outlooks: list[Outlook] = [
        learned.played.get(row.window) or look_out(row, _layout(stage, row), ops[row.window], learned, now)
        for row in stage.open_windows()
    ]
    owed = [op for op in stage.roster.working() if op.kind is UnitKind.NODE and op.in_service_before]
    with stage.database.read() as conn:
        sums = capacity.load_sums(conn, [stage.run])
    daily = stage.campaign.daily_window
    last_day = day_interval(stage.campaign.deadline, daily.start, daily.back_in_service_by, stage.campaign.timezone)
    rest = Remaining(
        run=stage.run,
        plan=run.plan,
        rows=tuple(stage.windows.values()),
        open=outlooks,
        confidence=[(row, stage.score(row.plan).windows[row.window].end_confidence) for row in waiting],
        tail=sum(op.window not in ops and op.state is not UnitState.PENDING for op in owed),
        back=sum(one.nodes for one in sums if one.kind is EntryKind.RETURNED and one.in_service_before),
        threshold=stage.campaign.return_threshold,
        deadline=last_day.end,
    )
    return forecast_run(rest, learned.odds, was_alarming=before is not None and before.is_alarming, now=now)


def _keep(
    stage: Stage, made: Sequence[Forecast], whole: Forecast | None, rows: Sequence[WindowRun], now: datetime
) -> None:
    latest = stage.memory.latest
    assert latest is not None
    everything = [*made, whole] if whole is not None else list(made)
    told = [line for one in everything if (line := _tell(one, latest.get(one.window), now)) is not None]
    late = {one.window: one.late_minutes for one in made if one.late_minutes is not None}
    changed = [
        replace(row, behind_minutes=late[row.window])
        for row in rows
        if row.window in late and late[row.window] != row.behind_minutes
    ]
    with stage.database.begin() as conn:
        forecasts.keep(conn, everything)
        journal.append_many(conn, told)
        for row in changed:
            runs.save_window(conn, row)
        stage.crash("forecast")
    latest.update({one.window: one for one in everything})
    for row in changed:
        stage.windows[row.window] = replace(row, version=row.version + 1)


def _tell(made: Forecast, before: Forecast | None, now: datetime) -> Entry | None:
    """A line when a promise comes to be at risk, and when it is safe again; nothing in between."""
    was = before is not None and before.is_alarming
    if made.is_alarming is was or made.kept is None:
        return None
    subject = f"window:{made.window}" if made.window else f"run:{made.run}"
    why = say_risk(made) if made.is_alarming else say_safe(made)
    data = {
        "kept": made.kept,
        "promised": made.promised.isoformat(),
        "helps": [{"remedy": one.remedy.value, "kept": one.kept} for one in made.helps],
    }
    event = "forecast.at_risk" if made.is_alarming else "forecast.safe_again"
    return Entry(at=now, actor=ACTOR, event=event, subject=subject, why=str(why), data=data)


def say_risk(made: Forecast) -> Reason:
    """Why somebody should look at this promise, with what would help."""
    assert made.kept is not None
    assert made.enough is not None
    helps = "; ".join(f"{one.sentence}: {one.kept:.0%}" for one in made.helps)
    return reason(
        Code.FORECAST_AT_RISK,
        window=made.window or made.run,
        promised=f"{made.promised:%Y-%m-%d %H:%MZ}",
        kept=f"{made.kept:.0%}",
        least=f"{KEPT_LEAST:.0%}",
        share=f"{made.enough.share:.0%}",
        bound=f"{made.enough.bound:%Y-%m-%d %H:%MZ}",
        helps=f"What would help: {helps}." if helps else "Nothing that was tried would help.",
    )


def say_safe(made: Forecast) -> Reason:
    """That nothing need be done any more."""
    assert made.kept is not None
    return reason(
        Code.FORECAST_SAFE_AGAIN,
        window=made.window or made.run,
        promised=f"{made.promised:%Y-%m-%d %H:%MZ}",
        kept=f"{made.kept:.0%}",
    )
