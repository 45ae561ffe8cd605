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
from fermata.planning.dice import Columns, Minutes
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
    played, last = _play(rest, odds, random, now)
    last.sort()
    instant = _Instants(now)
    kept = chance(last, (rest.deadline - now) / MINUTE)
    middle = instant.at(last, 0.5)
    nodes = count_needed(rest.back + played.owed, rest.threshold)
    enough = BackAt(share=rest.threshold, nodes=nodes, median=middle, bound=instant.at(last, BOUND))
    late = math.ceil((middle - planned_end) / MINUTE)
    return Forecast(
        run=rest.run,
        window=None,
        at=now,
        promised=rest.deadline,
        planned_end=planned_end,
        back=tuple(_level(share, played, rest.back, instant) for share in LEVELS),
        enough=enough,
        kept=kept,
        kept_end=chance(last, (planned_end - now) / MINUTE),
        late_minutes=max(late, 0),
        is_alarming=is_alarming(kept, was_alarming),
    )


@dataclass(frozen=True, slots=True)
class _Instants:
    now: datetime

    def at(self, minutes: Minutes, share: float) -> datetime:
        """The instant below which that share of ascending runs lies."""
        return self.now + timedelta(minutes=math.ceil(max(0.0, float(minutes[rank(share, len(minutes))]))))


@dataclass(frozen=True, slots=True)
class _Played:
    """Nodes that are not back, `owed` of them in every run: so many (`counts`) return after `minutes`, ascending in
    each run's row.
    """

    minutes: Minutes
    counts: Columns
    owed: int

    def when(self, nodes: int) -> Minutes:
        """Per run, ascending, when so many of them are back."""
        places = (np.cumsum(self.counts, axis=1) >= nodes).argmax(axis=1)
        found: Minutes = np.sort(self.minutes[np.arange(len(places)), places])
        return found


def _play(rest: Remaining, odds: Odds, random: np.random.Generator, now: datetime) -> tuple[_Played, Minutes]:
    """When the nodes that are not back are, and minutes until every window has enough of its nodes."""
    last: Minutes = np.zeros(RUNS, dtype=np.float32)
    blocks: list[tuple[Minutes | Floats, Columns]] = []
    repair = odds.draw_repair(random, RUNS)
    for outlook in rest.open:
        rows = random.integers(0, len(outlook.back), RUNS)
        played = outlook.back[rows]
        blocks.append(_one_each(played[:, ~outlook.standing.back[outlook.columns]]))
        nodes = outlook.needed(rest.threshold)
        if nodes > len(outlook.since):
            last = np.maximum(last, np.partition(played, nodes - 1, axis=1)[:, nodes - 1])
    for row, sure in rest.confidence:
        takes = row.planned_end - row.planned_start
        planned = (max(row.planned_end, now + takes) - now) / MINUTE  # one that waits past its start ends later
        late = random.random(RUNS) >= sure
        end = (planned + late * random.exponential(LATE_MINUTES, RUNS))[:, None]
        last = np.maximum(last, end[:, 0])
        out = random.binomial(row.nodes, odds.fallout.draw(random, RUNS))
        blocks.append((end, row.nodes - out))
        most = int(out.max())
        blocks.append((end + random.exponential(1.0, (RUNS, most)) * repair, (np.arange(most) < out).astype(np.intp)))
    if rest.tail:
        blocks.append(_one_each(random.exponential(1.0, (RUNS, rest.tail)) * repair))
    minutes = np.concatenate([np.zeros((RUNS, 0)), *(found for found, _ in blocks)], axis=1, dtype=np.float32)
    counts = np.concatenate([np.zeros((RUNS, 0), dtype=np.intp), *(found for _, found in blocks)], axis=1)
    order = np.argsort(minutes, axis=1)
    in_turn = np.take_along_axis(minutes, order, axis=1)
    return _Played(in_turn, np.take_along_axis(counts, order, axis=1), int(counts[0].sum())), last


def _one_each(minutes: Minutes | Floats) -> tuple[Minutes | Floats, Columns]:
    return minutes, np.ones(minutes.shape, dtype=np.intp)


def _level(share: float, played: _Played, already: int, instant: _Instants) -> BackAt:
    nodes = count_needed(already + played.owed, share)
    if nodes <= already:
        return BackAt(share=share, nodes=nodes, median=instant.now, bound=instant.now)
    minutes = played.when(nodes - already)
    return BackAt(share=share, nodes=nodes, median=instant.at(minutes, 0.5), bound=instant.at(minutes, BOUND))
