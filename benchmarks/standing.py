"""A year of updates arriving on clusters, planned anew every week: outages per node against knowing everything in
advance, against joining whatever is due next, and against one outage per update.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from time import process_time

import numpy as np

import harness
from fermata.domain.ids import ClusterId, NodeId, SupercomputerId, UpdateId
from fermata.planning.standing.check import check_standing
from fermata.planning.standing.items import ClusterItems, Item
from fermata.planning.standing.outages import ClusterStanding, Outage
from fermata.planning.standing.plan import Horizon, plan_cluster
from harness import Benchmark, Case, Place, Sample, Watch

CLUSTERS = {20: 72, 40: 12}  # by updates: of 40 a cluster takes seconds
WEEKLY = 6  # clusters that live through 52 plans
GROUPS = 12  # of nodes in a cluster, alike within; an update is due on some of them
YEAR = 365
NOTICE_DAYS = 7  # an outage is told a week ahead and then stays
FIRST = date(2026, 1, 1)


def main() -> None:
    """Two loads: the 20 updates that a calm year brings, and 40."""
    options = harness.read_options(__doc__ or "", runs=3)
    cases = []
    for updates, most in CLUSTERS.items():
        clusters = most if options.nodes is None else 1
        baseline = f"{updates} updates: join the next due"
        load = {"updates": updates, "clusters": clusters}
        cases += [
            Case(name=baseline, run=partial(join_next, **load)),
            Case(name=f"{updates} updates: known in advance", run=partial(know_all, **load), baseline=baseline),
            Case(
                name=f"{updates} updates: planned weekly",
                run=partial(plan_weekly, **load | {"clusters": min(clusters, WEEKLY)}),
                baseline=baseline,
            ),
        ]
    harness.run(
        Benchmark(
            name="standing",
            title="standing plan of a year",
            cases=cases,
            each_run=lambda: nullcontext({}),
            notes=[
                f"{CLUSTERS[20]} and {CLUSTERS[40]} clusters, {WEEKLY} of them planned weekly.",
                "Bound: no choice of days with all known in advance has fewer.",
            ],
        ),
        options,
    )


def make_year(seed: int, updates: int) -> ClusterItems:
    """Monthly, quarterly and urgent updates on some of the cluster's nodes, released at random, with their notice."""
    dice = np.random.default_rng(seed)
    nodes = [NodeId(f"n{number}") for number in range(GROUPS)]
    frozen = int(dice.integers(0, YEAR))
    closed = (FIRST + timedelta(days=frozen), FIRST + timedelta(days=frozen + 13))
    items: list[Item] = []
    for number in range(updates):
        released = FIRST + timedelta(days=int(dice.integers(0, YEAR - 95)))
        notice = int(dice.choice([1, 30, 90], p=[0.1, 0.3, 0.6]))
        share = dice.random() * 0.8 + 0.2
        takes = tuple(node for node in nodes if dice.random() < share) or (nodes[0],)
        waits = [i for i in items if i.first <= released and dice.random() < 0.1]
        items.append(
            Item(
                update=UpdateId(f"u{number:02}"),
                takes=takes,
                units=len(takes),
                first=released,
                due=released + timedelta(days=notice),
                minutes=float(dice.integers(10, 60)),
                after=tuple(item.update for item in waits),
                closed=(closed,) if notice > 20 else (),
            )
        )
    return ClusterItems(
        cluster=ClusterId(f"c{seed:02}"),
        supercomputer=SupercomputerId("sc"),
        timezone="UTC",
        nodes=GROUPS,
        items=tuple(items),
    )


def know_all(_place: Place, *, updates: int, clusters: int) -> Sample:
    """Every cluster's year in one go."""
    years = [make_year(seed, updates) for seed in range(clusters)]
    seconds: list[float] = []
    made: list[ClusterStanding] = []
    with Watch() as watch:
        for of in years:
            began = process_time()
            made.append(plan_cluster(of, Horizon(first_day=FIRST, last_day=FIRST + timedelta(days=YEAR - 1))))
            seconds.append(process_time() - began)
    faults = sum(len(check_standing(of, plan, first_day=FIRST)) for of, plan in zip(years, made, strict=True))
    return watch.sample(
        outages_per_node=sum(plan.node_outages for plan in made) / clusters / GROUPS,
        bound_per_node=sum(plan.node_outages_bound for plan in made) / clusters / GROUPS,
        one_per_update=sum(plan.separate_node_outages for plan in made) / clusters / GROUPS,
        proven_share=sum(plan.node_outages == plan.node_outages_bound for plan in made) / clusters,
        late=sum(len(plan.troubles) for plan in made),
        median_ms=1000 * float(np.median(seconds)),
        most_ms=1000 * max(seconds),
        faults=faults,
    )


def plan_weekly(_place: Place, *, updates: int, clusters: int) -> Sample:
    """Each week with what is known by then; outages of the next days are told and stay."""
    with Watch() as watch:
        found = [_live_through(make_year(seed, updates)) for seed in range(clusters)]
    return watch.sample(
        outages_per_node=sum(out for out, _ in found) / clusters / GROUPS, late=sum(late for _, late in found)
    )


def _live_through(of: ClusterItems) -> tuple[int, int]:
    """Node outages and updates done late in a year of weekly plans. An update is known on the day it is released."""
    told: Sequence[Outage] = ()
    left = {item.update: item for item in of.items}
    out = late = 0
    for week in range(0, YEAR, 7):
        today = FIRST + timedelta(days=week)
        known = tuple(item for item in left.values() if item.first < today)
        horizon = Horizon(first_day=today, last_day=FIRST + timedelta(days=YEAR + 60), notice_days=NOTICE_DAYS)
        plan = plan_cluster(replace(of, items=_without_done(known)), horizon, published=told)
        for outage in plan.outages:
            if outage.day < today + timedelta(days=7):
                out += len(outage.nodes)
                late += sum(outage.day > left[name].due for name in outage.updates)
                for name in outage.updates:
                    del left[name]
        told = plan.outages
    return out, late


def _without_done(items: Sequence[Item]) -> tuple[Item, ...]:
    names = {item.update for item in items}
    return tuple(replace(item, after=tuple(name for name in item.after if name in names)) for item in items)


def join_next(_place: Place, *, updates: int, clusters: int) -> Sample:
    """The baseline: on each due date everything that is out and has those nodes or more waits no longer."""
    years = [make_year(seed, updates) for seed in range(clusters)]
    with Watch() as watch:
        out = sum(_join(of) for of in years)
    return watch.sample(outages_per_node=out / clusters / GROUPS)


def _join(of: ClusterItems) -> int:
    left = sorted(of.items, key=lambda item: (item.due, item.update))
    out: Counter[date] = Counter()
    while left:
        day = left[0].due
        while not left[0].is_open(day) and day > left[0].first:
            day -= timedelta(days=1)
        joined = [item for item in left if item.first <= day and item.is_open(day)] or left[:1]
        out[day] += len({node for item in joined for node in item.takes})
        left = [item for item in left if item not in joined]
    return out.total()


if __name__ == "__main__":
    main()
