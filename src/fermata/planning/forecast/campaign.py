"""The forecast of a whole run: what is back already, what open windows still owe, and what is planned to come.

Windows to come end as their plan promises, with its confidence, and late by as much as open ones are known to vary;
their fallout is repaired as the campaign assumes, corrected by what was seen.
"""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from fermata.domain.forecasts import BOUND, LEVELS, BackAt, Forecast, is_alarming
from fermata.domain.ids import PlanId, RunId
from fermata.domain.operations import WindowRun
from fermata.domain.reasons import Code, reason
from fermata.domain.run_states import WindowState
from fermata.planning.forecast.normal import Floats
from fermata.planning.forecast.odds import Odds
from fermata.planning.forecast.outlook import Outlook, chance, rank
from fermata.planning.forecast.standing import MINUTE
from fermata.planning.rehearsal import count_needed

RUNS = 199
LATE_MINUTES = 45.0  # by how much a window that is late is late, on average, before it opened


@dataclass(frozen=True, kw_only=True)
class Remaining:
    """What is left of a run that follows `plan`.

    `confidence`: of each window to come, how sure its plan is of its end. `tail`: nodes of closed windows that are not
    back; `back`: nodes of the baseline that are. `deadline`: the end of the last day.
    """

    run: RunId
    plan: PlanId
    rows: Sequence[WindowRun]
    open: Sequence[Outlook]
    confidence: Sequence[tuple[WindowRun, float]]
    tail: int
    back: int
    threshold: float
    deadline: datetime


def forecast_run(rest: Remaining, odds: Odds, *, was_alarming: bool, now: datetime) -> Forecast:
    """When so much of everything that the run takes is back; `enough`, and how likely that is by the deadline: when
    every window has enough of its own.
    """
    planned_end = max((row.planned_end for row in rest.rows if row.state is not WindowState.CANCELLED), default=now)
    lost = [row for row in rest.rows if row.state is WindowState.MISSED and row.plan == rest.plan]
    if lost:
        why = reason(Code.FORECAST_UNPLANNED, run=rest.run, windows=len(lost), example=lost[0].window)
        return Forecast(
            run=rest.run,
            window=None,
            at=now,
            promised=rest.deadline,
            planned_end=planned_end,
            is_alarming=was_alarming,
            none=why,
        )
    random = np.random.Generator(np.random.SFC64((zlib.crc32(rest.run.encode()), int(now.timestamp()))))
    back, last = _play(rest, odds, random, now)
    last.sort()
    instant = _Instants(now)
    kept = chance(last, (rest.deadline - now) / MINUTE)
    middle = instant.at(last, 0.5)
    nodes = count_needed(rest.back + back.shape[1], rest.threshold)
    enough = BackAt(share=rest.threshold, nodes=nodes, median=middle, bound=instant.at(last, BOUND))
    late = math.ceil((middle - planned_end) / MINUTE)
    return Forecast(
        run=rest.run,
        window=None,
        at=now,
        promised=rest.deadline,
        planned_end=planned_end,
        back=tuple(_level(share, back, rest.back, instant) for share in LEVELS),
        enough=enough,
        kept=kept,
        kept_end=chance(last, (planned_end - now) / MINUTE),
        late_minutes=max(late, 0),
        is_alarming=is_alarming(kept, was_alarming),
    )


@dataclass(frozen=True, slots=True)
class _Instants:
    now: datetime

    def at(self, minutes: Floats, share: float) -> datetime:
        """The instant below which that share of ascending runs lies."""
        return self.now + timedelta(minutes=math.ceil(max(0.0, float(minutes[rank(share, len(minutes))]))))


def _play(rest: Remaining, odds: Odds, random: np.random.Generator, now: datetime) -> tuple[Floats, Floats]:
    """Minutes until each node not back yet is, a row per run, and until every window has enough of its nodes."""
    blocks: list[Floats] = []
    last: Floats = np.zeros(RUNS)
    repair = odds.draw_repair(random, RUNS)
    for outlook in rest.open:
        rows = random.integers(0, len(outlook.back), RUNS)
        played = outlook.back[rows]
        blocks.append(played[:, ~outlook.standing.back[outlook.columns]])
        nodes = outlook.needed(rest.threshold)
        if nodes > len(outlook.since):
            last = np.maximum(last, np.partition(played, nodes - 1, axis=1)[:, nodes - 1])
    for row, sure in rest.confidence:
        takes = row.planned_end - row.planned_start
        planned = (max(row.planned_end, now + takes) - now) / MINUTE  # one that waits past its start ends later
        late = random.random(RUNS) >= sure
        end = planned + late * random.exponential(LATE_MINUTES, RUNS)
        last = np.maximum(last, end)
        found = np.repeat(end[:, None], row.nodes, axis=1)
        out = random.random(found.shape) < odds.fallout.draw(random, RUNS)
        blocks.append(np.where(out, found + random.exponential(1.0, found.shape) * repair, found))
    if rest.tail:
        blocks.append(random.exponential(1.0, (RUNS, rest.tail)) * repair)
    return (np.concatenate(blocks, axis=1) if blocks else np.zeros((RUNS, 0))), last


def _level(share: float, back: Floats, already: int, instant: _Instants) -> BackAt:
    nodes = count_needed(already + back.shape[1], share)
    if nodes <= already:
        return BackAt(share=share, nodes=nodes, median=instant.now, bound=instant.now)
    place = nodes - already - 1
    minutes = np.sort(np.partition(back, place, axis=1)[:, place])
    return BackAt(share=share, nodes=nodes, median=instant.at(minutes, 0.5), bound=instant.at(minutes, BOUND))
