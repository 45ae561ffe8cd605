"""Looks ahead before a window opens: when it could, with which teams, and whether it would be back as promised."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fermata.domain.deviation import learn_stretch
from fermata.domain.ids import NodeId, TeamId, UpdateId
from fermata.domain.node_states import UnitKind
from fermata.domain.observed import stretch_catalogue
from fermata.domain.operations import WindowRun
from fermata.domain.outlooks import Answer, Outlook, judge_outlook
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.run_states import WindowState
from fermata.domain.scripts import APPLY_PREFIX, WindowScript
from fermata.domain.updates import Catalogue
from fermata.execution.stage import Stage
from fermata.planning.today import Rehearsed
from fermata.store import unit_ops

MINUTE = timedelta(minutes=1)
LATE = 5 * MINUTE  # a window that opens within a look of its time is on time


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Why a window does not open now. `is_final`: nor later on this day."""

    why: Reason
    is_final: bool


def find_hold(
    stage: Stage, row: WindowRun, script: WindowScript, taken: Sequence[NodeId], now: datetime
) -> Hold | None:
    """None: it opens, or waits for room that comes in time. On time and with all teams it is as sure as planned."""
    opens_at = find_room(stage, row, frozenset(taken), now)
    late = [other for other in stage.open_windows() if (other.behind_minutes or 0) > 0]
    busy = _busy_teams(stage, late)
    if opens_at is None or (opens_at <= row.planned_start + LATE and not busy):
        return None
    score = stage.score(row.plan)
    usual = stretch_catalogue(stage.catalogue, learn_stretch(stage.windows.values()))
    rehearsed = Rehearsed(
        steps=script.steps,
        nodes=[score.fleet.nodes[name] for name in taken],
        fleet=score.fleet,
        pending=score.pending,
        catalogue=usual,
        campaign=stage.campaign,
    )
    left = (row.back_by - opens_at) / MINUTE
    with_teams = rehearsed.chance_within(left)
    outlook = Outlook(
        planned=replace(rehearsed, catalogue=stage.catalogue).chance_within((row.back_by - row.planned_start) / MINUTE),
        now=replace(rehearsed, catalogue=_without(usual, busy)).chance_within(left) if busy else with_teams,
        with_teams=with_teams,
    )
    answer = judge_outlook(outlook, stage.campaign.open_confidence)
    if answer is Answer.OPEN:
        return None
    is_final = answer is Answer.STOP
    why = reason(
        Code.PROMISE_AT_RISK if is_final else Code.PROMISE_NEEDS_TEAMS,
        window=row.window,
        nodes=f"{len(taken):,}",
        opens_at=f"{opens_at:%H:%MZ}",
        back_by=f"{row.back_by:%Y-%m-%d %H:%MZ}",
        percent=round(100 * (outlook.with_teams if is_final else outlook.now)),
        wanted=round(100 * min(stage.campaign.open_confidence, outlook.planned)),
        late=", ".join(other.window for other in late) or "no other window",
    )
    return Hold(why=why, is_final=is_final)


def find_room(stage: Stage, row: WindowRun, taken: frozenset[NodeId], now: datetime) -> datetime | None:
    """When open windows, as they are foretold to end, leave room under every limit: now, later, or None: unknown."""
    with stage.database.read() as conn:
        out = unit_ops.nodes_in_work(conn)
    windows = dict(stage.windows)
    ends = sorted((max(now, _foretell(other)), other.window) for other in stage.open_windows())
    for at, window in [(now, None), *ends]:
        if window is not None:
            gone = {op.unit for op in stage.roster.of_window(window) if op.kind is UnitKind.NODE and not op.tail_since}
            out = out - gone
            windows[window] = replace(windows[window], state=WindowState.CLOSED)
        uses = stage.capacity.uses(out, tuple(windows.values()), now)
        if stage.capacity.first_full(row, taken, uses, now) is None:
            return at
    return None


def _foretell(row: WindowRun) -> datetime:
    return row.planned_end + (row.behind_minutes or 0) * MINUTE


def _busy_teams(stage: Stage, late: Sequence[WindowRun]) -> Counter[TeamId]:
    """How many units each team writes right now in windows that overrun."""
    names = {row.window for row in late}
    if not names:
        return Counter()
    with stage.database.read() as conn:
        found = unit_ops.busy(conn)
    teams: Counter[TeamId] = Counter()
    for use in found:
        if use.window in names and use.step.startswith(APPLY_PREFIX):
            teams[stage.catalogue.updates[UpdateId(use.step.removeprefix(APPLY_PREFIX))].owner_team] += use.units
    return teams


def _without(catalogue: Catalogue, busy: Counter[TeamId]) -> Catalogue:
    limits = {team: max(1, most - busy[team]) for team, most in catalogue.team_limits.items()}
    return replace(catalogue, team_limits=limits)
