"""What a plan is worth by each preference, recomputed from its windows. Smaller is better."""

from collections import defaultdict
from datetime import date
from itertools import product
from typing import assert_never

from fermata.domain.campaign import (
    AvoidWeekday,
    FewestWindows,
    FinishByDeadline,
    OrderClasses,
    Preference,
    SpreadEvenly,
    WorkloadOrder,
)
from fermata.domain.ids import NodeId
from fermata.domain.plans import Plan, Window
from fermata.domain.replanning import BROKEN_TERM, MOVED_TERM, WEIGHT_TODAY, count_broken, weigh_moves
from fermata.planning.case import CheckCase


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
    return sum(a < b and first.start > second.start for (a, first), (b, second) in product(ranked, ranked))


def _wrong_turns(case: CheckCase, plan: Plan) -> int:
    """Pairs of windows of which the one that starts first is of a cluster with a higher ranked service."""
    workloads = case.inputs.workloads
    assert workloads is not None, "without a map the workload order is no preference"
    ranks = {name: workloads.rank_of(nodes) for name, nodes in case.fleet.nodes_by_cluster.items()}
    ranked = [(rank, w.start) for w in plan.windows if (rank := ranks.get(w.cluster)) is not None]
    return sum(a > b and first < second for (a, first), (b, second) in product(ranked, ranked))


def _unevenness(case: CheckCase, plan: Plan, preference: SpreadEvenly) -> float:
    """Over every calendar day of the campaign and every group: the largest minus the smallest share out that day."""
    groups: dict[str, set[NodeId]] = defaultdict(set)
    for name in case.matching(preference.where):
        cluster = case.fleet.clusters[case.fleet.nodes[name].cluster]
        groups[str(cluster.name if preference.over == "cluster" else getattr(cluster, preference.over))].add(name)
    out: dict[tuple[str, date], set[NodeId]] = defaultdict(set)
    for window in plan.windows:
        day = case.day_of(window.start)
        for group, members in groups.items():
            out[group, day].update(members.intersection(window.nodes))
    shares = [len(out[group, day]) / len(groups[group]) for group in groups for day in case.days]
    return max(shares, default=0.0) - min(shares, default=0.0)
