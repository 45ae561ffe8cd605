"""How likely what is left of a plan misses its campaign's deadline, and because of which windows: played many times."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fermata.domain.deadline_risk import Driver, FanDay
from fermata.domain.plans import Plan
from fermata.planning.inputs import PlanningInput, never
from fermata.planning.risk.record import Record
from fermata.planning.risk.simulate import Campaigns, Simulation
from fermata.planning.risk.stage import Stage

FAN_EXCEEDED = 0.1  # the bound of the fan: one play in ten has fewer nodes back
DRIVERS_MOST = 5  # a list that fits into a sentence and a card


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """Over so many `plays`: the share that misses the deadline, late node-days, who causes it most often, and how many
    of the plan's nodes are back by the end of each day.
    """

    plays: int
    missed: float
    late_node_days: float
    late_node_days_p90: float
    drivers: tuple[Driver, ...]
    fan: tuple[FanDay, ...] = ()


NOTHING_LEFT = Foreseen(plays=0, missed=0.0, late_node_days=0.0, late_node_days_p90=0.0, drivers=())


def foresee_deadline(
    inputs: PlanningInput,
    plan: Plan,
    *,
    plays: int,
    recovery_days: int,
    seed: int = 1,
    is_overdue: Callable[[], bool] = never,
) -> Foreseen:
    """Plays `plan`, which has only windows to come, with windows that wait for room as the conductor lets them.

    A window that finds no room on its day is planned again: it misses the deadline if that lies fewer than
    `recovery_days` after its day. `is_overdue` is asked between blocks of plays, of which one is always played.
    """
    if not plan.windows:
        return NOTHING_LEFT
    campaigns = Campaigns(inputs, plan, Simulation(runs=plays, seed=seed, with_gate=True))
    records: list[Record] = []
    for block in range(campaigns.blocks):
        if records and is_overdue():
            break
        records.append(campaigns.play(block)[-1])
    return replace(_judge(records[0].stage, records, recovery_days), fan=_open_fan(records))


def _open_fan(records: Sequence[Record]) -> tuple[FanDay, ...]:
    stage, back = records[0].stage, np.concatenate([record.returned for record in records]).cumsum(axis=1)
    middle, least = (np.quantile(back, share, axis=0, method="lower") for share in (0.5, FAN_EXCEEDED))
    return tuple(
        FanDay(day=day, median=int(a), bound=int(b)) for day, a, b in zip(stage.fan_days, middle, least, strict=True)
    )


def _judge(stage: Stage, records: list[Record], recovery_days: int) -> Foreseen:
    over = np.concatenate([record.over for record in records])
    opened = np.concatenate([record.waited for record in records]) >= 0
    ends = np.array([scene.end for scene in stage.scenes])
    nodes = np.array([scene.cast.nodes for scene in stage.scenes])
    days_late = np.array([_days_late(stage, number, recovery_days) for number in range(len(stage.days))])
    slip = np.repeat(days_late, [len(scenes) for _, scenes in stage.days])
    late: NDArray[np.bool_] = np.where(opened, over + ends > stage.deadline, slip > 0)
    node_days = np.concatenate([record.late_node_days for record in records])
    node_days = node_days + (~opened * np.maximum(slip, 0) * nodes).sum(axis=1)
    share = late.mean(axis=0)
    worst = sorted(range(len(share)), key=lambda number: (-share[number], number))[:DRIVERS_MOST]
    return Foreseen(
        plays=len(late),
        missed=round(float(late.any(axis=1).mean()), 3),
        late_node_days=round(float(node_days.mean()), 1),
        late_node_days_p90=round(float(np.quantile(node_days, 0.9)), 1),
        drivers=tuple(
            Driver(
                window=stage.scenes[number].window.id,
                cluster=stage.scenes[number].window.cluster,
                nodes=int(nodes[number]),
                missed=round(float(share[number]), 3),
            )
            for number in worst
            if share[number] > 0
        ),
    )


def _days_late(stage: Stage, number: int, recovery_days: int) -> int:
    """By how many days a window of that day, taken on the first day on which it can be again, is late."""
    return (stage.days[number][0] - stage.inputs.campaign.deadline).days + recovery_days
