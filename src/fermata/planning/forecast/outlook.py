"""The outlook of one open window: from where its units stand, played on, to times and to how sure a promise is."""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np

from fermata.domain.forecasts import BOUND, LEVELS, BackAt
from fermata.domain.ids import NodeId, WindowId
from fermata.domain.node_states import UnitKind
from fermata.domain.operations import UnitOp, WindowRun
from fermata.domain.updates import Catalogue
from fermata.planning.dice import Columns, Minutes
from fermata.planning.forecast.draws import Draws
from fermata.planning.forecast.learning import Lessons
from fermata.planning.forecast.odds import Odds
from fermata.planning.forecast.rest import NO_RELIEF, Relief, play_rest
from fermata.planning.forecast.standing import MINUTE, Layout, Standing, stand
from fermata.planning.rehearsal import count_needed

RUNS_MOST = 199  # with one less than a round number, the 90th percentile is a run, and holds with exactly 90 %
RUNS_LEAST = 99
NODE_RUNS = 20_000  # runs times nodes: in large windows runs differ little


@dataclass(frozen=True, kw_only=True)
class Learned:
    """All that is known of steps at one moment, for every window; `played`: the windows that were forecast by it, for
    the forecast of the whole run.
    """

    lessons: Lessons
    odds: Odds
    catalogue: Catalogue
    played: dict[WindowId, "Outlook"] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """A window's rest, played. `back`: minutes from `at` until each node of the baseline is back, a row per run,
    unordered; `columns`: which of the layout's nodes they are; `since`: when those came back that are.
    """

    at: datetime
    layout: Layout
    standing: Standing
    columns: Columns
    back: Minutes
    since: tuple[datetime, ...]

    @property
    def baseline(self) -> int:
        """How many nodes were in service when the window opened."""
        return len(self.columns)

    def needed(self, share: float) -> int:
        """How many of them are so large a share."""
        return count_needed(self.baseline, share)

    def minutes(self, nodes: int) -> Minutes:
        """Per run, ascending, when so many are back."""
        if nodes not in self._minutes:
            self._minutes[nodes] = np.sort(np.partition(self.back, nodes - 1, axis=1)[:, nodes - 1])
        return self._minutes[nodes]

    @cached_property
    def _minutes(self) -> dict[int, Minutes]:
        return {}

    def back_at(self, share: float) -> BackAt:
        """When so large a share is back."""
        nodes = self.needed(share)
        if nodes <= len(self.since):
            then = self.since[nodes - 1] if nodes else self.at
            return BackAt(share=share, nodes=nodes, median=then, bound=then)
        minutes = self.minutes(nodes)
        return BackAt(
            share=share,
            nodes=nodes,
            median=self._instant(minutes[rank(0.5, len(minutes))]),
            bound=self._instant(minutes[rank(BOUND, len(minutes))]),
        )

    def back_all(self) -> tuple[BackAt, ...]:
        """At every level."""
        return tuple(self.back_at(share) for share in LEVELS)

    def kept(self, share: float, by: datetime) -> float:
        """How likely so large a share is back `by` then."""
        nodes = self.needed(share)
        if nodes <= len(self.since):
            return float(not nodes or self.since[nodes - 1] <= by)
        return chance(self.minutes(nodes), (by - self.at) / MINUTE)

    def _instant(self, minutes: np.float32) -> datetime:
        return self.at + timedelta(seconds=math.ceil(min(float(minutes), _FAR_MINUTES) * 60))


_FAR_MINUTES = 366 * 24 * 60.0  # a year: whatever takes longer is not told apart


def look_out(
    row: WindowRun, layout: Layout, ops: Sequence[UnitOp], learned: Learned, now: datetime, relief: Relief = NO_RELIEF
) -> Outlook:
    """Plays a window's rest as its rows stand at `now`. The same rows at the same time give the same outlook."""
    standing = stand(layout, ops, now)
    runs = min(RUNS_MOST, max(RUNS_LEAST, NODE_RUNS // max(1, layout.nodes) // 100 * 100 - 1))
    draws = Draws(
        learned.lessons.belief(row.cluster),
        learned.lessons.slow,
        learned.odds,
        catalogue=learned.catalogue,
        runs=runs,
        seed=(zlib.crc32(row.run.encode()), zlib.crc32(row.window.encode()), int(now.timestamp())),
    )
    back = play_rest(layout, standing, draws, learned.catalogue, relief)
    columns = np.flatnonzero(standing.counts)
    return Outlook(
        at=now,
        layout=layout,
        standing=standing,
        columns=columns,
        back=back[:, columns],
        since=_since(ops, layout, standing),
    )


def _since(ops: Sequence[UnitOp], layout: Layout, standing: Standing) -> tuple[datetime, ...]:
    """When those nodes of the baseline came back that are."""
    back = np.flatnonzero(standing.counts & standing.back)
    if not len(back):
        return ()
    columns = frozenset(back.tolist())
    found = (op for op in ops if op.kind is UnitKind.NODE and layout.column.get(NodeId(op.unit)) in columns)
    return tuple(sorted(op.finished_at or standing.now for op in found))


def rank(share: float, runs: int) -> int:
    """The place, from 0, of the run below which `share` of all draws lie: of n runs the k-th holds with k / (n + 1)."""
    return min(runs, max(1, round(share * (runs + 1)))) - 1


def chance(minutes: Minutes, limit: float) -> float:
    """How likely a draw is within the limit, of ascending runs; rounded to what they can tell."""
    return round(float(np.searchsorted(minutes, limit, side="right")) / len(minutes), 3)
