"""What a plan is worth by each preference, recomputed from its windows. Smaller is better."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter
from typing import assert_never

import numpy as np

from fermata.domain.campaign import (
    AvoidWeekday,
    FewestWindows,
    FinishByDeadline,
    OrderClasses,
    Preference,
    SpreadEvenly,
    WorkloadOrder,
)
from fermata.domain.plans import Plan, Window
from fermata.domain.replanning import BROKEN_TERM, MOVED_TERM, WEIGHT_TODAY, count_broken, weigh_moves
from fermata.planning.case import CheckCase
from fermata.planning.columns import NO_NUMBERS, NOBODY, Numbers


def score(case: CheckCase, plan: Plan, preference: Preference) -> float:
    """The value of one term, unrounded."""
    match preference:
        case FinishByDeadline():
            return _late_node_days(case, plan)
        case FewestWindows():
            return len(plan.windows)
        case OrderClasses():
            return _wrong_pairs(case, plan, preference.classes)
        case SpreadEvenly():
            return _unevenness(case, plan, preference)
        case AvoidWeekday():
            return sum(case.day_of(window.start).weekday() == preference.weekday for window in plan.windows)
        case WorkloadOrder():
            return _wrong_turns(case, plan)
        case _:
            assert_never(preference)


def score_moves(case: CheckCase, plan: Plan) -> tuple[tuple[str, float], ...]:
    """What a re-plan costs those who were told the parent's times: the terms before all preferences, with their values.

    Nothing for a plan that follows no other.
    """
    if case.inputs.parent is None:
        return ()
    broken = count_broken(case.standing, plan.windows, plan.unplanned)
    return (
        (BROKEN_TERM, broken),
        (MOVED_TERM, weigh_moves(case.standing, plan.windows, now=case.inputs.now) / WEIGHT_TODAY),
    )


def _late_node_days(case: CheckCase, plan: Plan) -> int:
    deadline = case.inputs.campaign.deadline
    return sum(len(w.nodes) * max(0, (case.day_of(w.start) - deadline).days) for w in plan.windows)


def _wrong_pairs(case: CheckCase, plan: Plan, classes: tuple[str, ...]) -> int:
    ranked: list[tuple[int, Window]] = []
    for window in plan.windows:
        cluster = case.fleet.clusters.get(window.cluster)
        if cluster is not None:
            named = f"{'big' if cluster.name in case.big else 'small'} {cluster.division}"
            if named in classes:
                ranked.append((classes.index(named), window))
    return _count_inversions([(rank, window.start) for rank, window in ranked])


def _count_inversions(ranked: Iterable[tuple[int, datetime]]) -> int:
    """Pairs of which the one with the lower rank starts later."""
    starts: list[datetime] = []  # of lower ranks, sorted
    wrong = 0
    for _, group in groupby(sorted(ranked), key=itemgetter(0)):
        fresh = [start for _, start in group]
        wrong += sum(len(starts) - bisect_right(starts, start) for start in fresh)
        starts = sorted([*starts, *fresh])
    return wrong


def _wrong_turns(case: CheckCase, plan: Plan) -> int:
    """Pairs of windows of which the one that starts first is of a cluster with a higher ranked service."""
    workloads = case.inputs.workloads
    assert workloads is not None, "without a map the workload order is no preference"
    ranks = {name: workloads.rank_of(nodes) for name, nodes in case.fleet.nodes_by_cluster.items()}
    ranked = [(rank, w.start) for w in plan.windows if (rank := ranks.get(w.cluster)) is not None]
    return _count_inversions(ranked)


def _unevenness(case: CheckCase, plan: Plan, preference: SpreadEvenly) -> float:
    """Over every calendar day of the campaign and every group: the largest minus the smallest share out that day."""
    columns, clusters = case.columns, case.fleet.clusters
    over = [
        str(name if preference.over == "cluster" else getattr(clusters[name], preference.over))
        for name in columns.clusters
    ]
    names = {name: number for number, name in enumerate(sorted(set(over)))}
    group = np.array([names[name] for name in over], np.int64)[columns.nodes.cluster]
    matching = case.matching(preference.where)
    sizes = np.bincount(group[matching], minlength=len(names))
    by_day: dict[date, list[Numbers]] = defaultdict(list)
    for window in plan.windows:
        by_day[case.day_of(window.start)].append(columns.nodes.find(window.nodes))
    shares: list[float] = []
    for day in case.days:
        out = np.unique(np.concatenate([NO_NUMBERS, *by_day[day]]))
        out = out[out != NOBODY]
        counts = np.bincount(group[out[matching[out]]], minlength=len(names))
        shares.extend((counts[sizes > 0] / sizes[sizes > 0]).tolist())
    return max(shares, default=0.0) - min(shares, default=0.0)
