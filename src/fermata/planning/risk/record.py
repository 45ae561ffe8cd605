"""Keeps what happens in the runs of a simulation, and makes the report's figures of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fermata.domain.campaign import LimitKind
from fermata.planning.dice import Minutes
from fermata.planning.risk.day import DayPlay, find_enough
from fermata.planning.risk.figures import LimitRisk, ModeRisk, Spread, WindowRisk
from fermata.planning.risk.stage import DAY_MINUTES, Counts, Stage

Floats = NDArray[np.float64]


@dataclass(kw_only=True)
class Record:
    """A block of runs, a row each. `most`: per day and limit, the largest use. Per window in the order they are due:
    `waited` minutes (-1: missed its day) and `over`, minutes from its planned end to enough nodes back. `returned`:
    per day of `stage.fan_days`, the nodes that come back on it.
    """

    stage: Stage
    most: Counts
    waited: Floats
    over: Floats
    returned: Counts
    late_node_days: Floats
    lost_node_hours: Floats

    @classmethod
    def of(cls, stage: Stage, runs: int) -> "Record":
        """Of so many runs, with nothing in it."""
        windows = len(stage.scenes)
        return cls(
            stage=stage,
            most=np.zeros((runs, len(stage.days), len(stage.caps)), dtype=np.int32),
            waited=np.zeros((runs, windows)),
            over=np.zeros((runs, windows)),
            returned=np.zeros((runs, len(stage.fan_days) if stage.days else 0), dtype=np.int32),
            late_node_days=np.zeros(runs),
            lost_node_hours=np.zeros(runs),
        )

    def add(self, day: int, first: int, play: DayPlay) -> None:
        """Takes in a day; `first`: the number of its first window."""
        self.most[:, day] = play.most
        for number, scene in enumerate(play.scenes):
            at = first + number
            opened, back = play.opened[:, number], play.back[number]
            is_open = opened >= 0
            self.waited[:, at] = np.where(is_open, opened - scene.start, -1)
            self.over[:, at] = np.where(is_open, opened + find_enough(scene, back) - scene.end, np.inf)
            self.lost_node_hours += np.where(is_open, back.sum(axis=1, dtype=np.float64) / 60, 0)
            days = np.ceil((back + (opened - self.stage.deadline_day_end)[:, None]) / DAY_MINUTES)
            self.late_node_days += np.where(is_open, np.maximum(days, 0).sum(axis=1), 0)
            self._add_returned(opened[is_open], back[is_open], np.flatnonzero(is_open))

    def _add_returned(self, opened: NDArray[np.int64], back: Minutes, rows: NDArray[np.intp]) -> None:
        """Of a window, in the runs in which it opened. Who comes back after the last day counts nowhere."""
        days = self.returned.shape[1]
        on = np.searchsorted(self.stage.fan_ends, back + opened[:, None])
        places = (on + rows[:, None] * (days + 1)).ravel()
        counted = np.bincount(places, minlength=len(self.returned) * (days + 1)).reshape(-1, days + 1)
        self.returned += counted[:, :days].astype(np.int32)

    def find_excess(self) -> Counts:
        """By how much each limit is exceeded at its worst instant, a row per run; what is below zero was left."""
        allowed = np.array([cap.allowed for cap in self.stage.caps], dtype=np.int32)
        most: Counts = self.most.max(axis=1, initial=0)
        return most - allowed


def judge(stage: Stage, records: Sequence[Record], *, gated: bool) -> ModeRisk:
    """The figures of all blocks together."""
    most = np.concatenate([record.most for record in records])
    waited = np.concatenate([record.waited for record in records])
    over = np.concatenate([record.over for record in records])
    exceeded = most > np.array([cap.allowed for cap in stage.caps], dtype=np.int32)
    on_nodes = np.array([cap.limit.what is LimitKind.NODES_OUT for cap in stage.caps], dtype=np.bool_)
    ends = np.array([scene.end for scene in stage.scenes])
    nodes = np.array([scene.cast.nodes for scene in stage.scenes])
    missed = waited < 0
    return ModeRisk(
        gated=gated,
        any_exceeded=_share(exceeded.any(axis=(1, 2))),
        any_nodes_exceeded=_share(exceeded[:, :, on_nodes].any(axis=(1, 2))),
        limits=tuple(_judge_limit(stage, most, exceeded, number) for number in range(len(stage.caps))),
        windows=_judge_windows(stage, over, missed),
        kept=_spread((over <= 0).sum(axis=1)),
        deadline_missed=_share((over + ends > stage.deadline).any(axis=1)),
        late_node_days=_spread(np.concatenate([record.late_node_days for record in records])),
        lost_node_hours=_spread(np.concatenate([record.lost_node_hours for record in records])),
        waited_windows=_spread((waited > 0).sum(axis=1)),
        missed_windows=_spread(missed.sum(axis=1)),
        missed_nodes=_spread((missed * nodes).sum(axis=1)),
    )


def _judge_limit(stage: Stage, most: Counts, exceeded: NDArray[np.bool_], number: int) -> LimitRisk:
    cap = stage.caps[number]
    by_day = exceeded[:, :, number].mean(axis=0)
    worst = int(by_day.argmax()) if len(by_day) else 0
    ever = len(by_day) > 0 and by_day[worst] > 0
    return LimitRisk(
        limit=cap.name,
        is_on_nodes=cap.limit.what is LimitKind.NODES_OUT,
        allowed=cap.allowed,
        exceeded=_share(exceeded[:, :, number].any(axis=1)),
        worst_day=stage.days[worst][0] if ever else None,
        exceeded_on_worst_day=float(by_day[worst]) if ever else 0.0,
        most=round(float(np.quantile(most[:, :, number].max(axis=1, initial=0), 0.9))),
    )


def _judge_windows(stage: Stage, over: Floats, missed: NDArray[np.bool_]) -> tuple[WindowRisk, ...]:
    found: list[WindowRisk] = []
    for number, scene in enumerate(stage.scenes):
        ended = over[~missed[:, number], number]
        p90 = float(np.quantile(ended, 0.9)) if len(ended) else 0.0
        found.append(
            WindowRisk(
                window=scene.window.id,
                cluster=scene.window.cluster,
                promised=scene.window.end_confidence,
                late=_share(over[:, number] > 0),
                late_minutes_p90=max(0, round(p90)),
                missed=_share(missed[:, number]),
            )
        )
    return tuple(found)


def _share(happened: NDArray[np.bool_] | np.bool_) -> float:
    return round(float(np.mean(happened)), 4) if np.size(happened) else 0.0


def _spread(values: NDArray[np.generic]) -> Spread:
    found = np.asarray(values, dtype=np.float64)
    low, middle, high = (round(float(np.quantile(found, q)), 3) for q in (0.1, 0.5, 0.9))
    return Spread(mean=round(float(found.mean()), 3), p10=low, p50=middle, p90=high)
