"""What a plan would be worth with one of its windows on another day or hour, without counting everything again."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime
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
from fermata.domain.ids import ClusterId, WindowId
from fermata.domain.plans import Plan, Window
from fermata.planning.days import Day
from fermata.planning.inputs import PlanningInput
from fermata.planning.terms import place_of

SHARE_DIGITS = 9  # as in a plan's objective: sums of shares come out equal whatever their order


class Worth:
    """Each preference's value, in the campaign's order, as `fermata.planning.scores` has it; smaller is better."""

    def __init__(self, inputs: PlanningInput, plan: Plan, days: Mapping[WindowId, Day]) -> None:
        self._inputs = inputs
        self._windows = plan.windows
        self._days = dict(days)
        self._spreads = {
            number: _Spread(inputs, plan, self._days, preference)
            for number, preference in enumerate(inputs.campaign.preferences)
            if isinstance(preference, SpreadEvenly)
        }
        self._ranks = {
            number: self._rank(preference)
            for number, preference in enumerate(inputs.campaign.preferences)
            if isinstance(preference, OrderClasses | WorkloadOrder)
        }
        self._now = tuple(self._total(number, p) for number, p in enumerate(inputs.campaign.preferences))

    @property
    def now(self) -> tuple[float, ...]:
        """Of the plan as it is."""
        return self._now

    def moved(self, window: Window, day: Day, start: datetime) -> tuple[float, ...]:
        """With `window` at `start` of `day` and all others where they are."""
        preferences = self._inputs.campaign.preferences
        return tuple(self._moved(number, p, window, day, start) for number, p in enumerate(preferences))

    def _moved(self, number: int, preference: Preference, window: Window, day: Day, start: datetime) -> float:
        before, now = self._days[window.id], self._now[number]
        match preference:
            case FinishByDeadline():
                return now + len(window.nodes) * (day.late - before.late)
            case FewestWindows():
                return now
            case OrderClasses() | WorkloadOrder():
                ranks = self._ranks[number]
                return now + _wrong_pairs_of(ranks, window, start) - _wrong_pairs_of(ranks, window, window.start)
            case SpreadEvenly():
                return self._spreads[number].moved(window, before, day)
            case AvoidWeekday(weekday=weekday):
                return now + (day.date.weekday() == weekday) - (before.date.weekday() == weekday)
            case _:
                assert_never(preference)

    def _total(self, number: int, preference: Preference) -> float:
        match preference:
            case FinishByDeadline():
                return sum(len(w.nodes) * self._days[w.id].late for w in self._windows)
            case FewestWindows():
                return len(self._windows)
            case OrderClasses() | WorkloadOrder():
                ranks = self._ranks[number]
                return sum(_wrong_pairs_of(ranks, w, w.start) for w in self._windows) / 2  # each pair is seen twice
            case SpreadEvenly():
                return self._spreads[number].total()
            case AvoidWeekday(weekday=weekday):
                return sum(self._days[w.id].date.weekday() == weekday for w in self._windows)
            case _:
                assert_never(preference)

    def _rank(self, preference: OrderClasses | WorkloadOrder) -> Mapping[WindowId, tuple[int, datetime]]:
        """Windows that the order is about, with their place in it: lower ones are to start first."""
        places = {name: self._place(preference, name) for name in {window.cluster for window in self._windows}}
        return {
            window.id: (place, window.start)
            for window in self._windows
            if (place := places[window.cluster]) is not None
        }

    def _place(self, preference: OrderClasses | WorkloadOrder, cluster: ClusterId) -> int | None:
        inputs = self._inputs
        nodes = inputs.fleet.nodes_by_cluster[cluster]
        if isinstance(preference, WorkloadOrder):
            return inputs.workloads.rank_of(nodes) if inputs.workloads is not None else None
        size = "big" if len(nodes) > inputs.campaign.big_cluster_nodes else "small"
        name = f"{size} {inputs.fleet.clusters[cluster].division}"
        return preference.classes.index(name) if name in preference.classes else None


def _wrong_pairs_of(ranks: Mapping[WindowId, tuple[int, datetime]], window: Window, start: datetime) -> int:
    """Pairs in the wrong order in which `window`, started at `start`, is one of the two."""
    if window.id not in ranks:
        return 0
    rank = ranks[window.id][0]
    others = (pair for name, pair in ranks.items() if name != window.id)
    return sum((r < rank and at > start) or (r > rank and at < start) for r, at in others)


class _Spread:
    """How many of each place's nodes are out on each day."""

    def __init__(
        self, inputs: PlanningInput, plan: Plan, days: Mapping[WindowId, Day], preference: SpreadEvenly
    ) -> None:
        fleet, campaign = inputs.fleet, inputs.campaign
        self._totals: Counter[str] = Counter()
        for cluster in fleet.clusters.values():
            if campaign.scope.matches_cluster(cluster):
                nodes = fleet.nodes_by_cluster[cluster.name]
                self._totals[place_of(cluster, preference.over)] += sum(
                    preference.where.matches(node, cluster) for node in nodes
                )
        self._cells = (campaign.extension_until - campaign.first_day).days + 1
        self._of: dict[WindowId, tuple[str, int]] = {}
        self._out: dict[tuple[str, str], int] = defaultdict(int)
        for window in plan.windows:
            cluster = fleet.clusters[window.cluster]
            count = sum(preference.where.matches(fleet.nodes[name], cluster) for name in window.nodes)
            self._of[window.id] = (place_of(cluster, preference.over), count)
            self._out[self._of[window.id][0], days[window.id].date.isoformat()] += count

    def total(self) -> float:
        """The largest minus the smallest share over all places and days."""
        places = [place for place, nodes in self._totals.items() if nodes]
        shares = [count / self._totals[place] for (place, _), count in self._out.items() if self._totals[place]]
        if len(shares) < len(places) * self._cells:
            shares.append(0.0)
        return round(max(shares, default=0.0) - min(shares, default=0.0), SHARE_DIGITS)

    def moved(self, window: Window, before: Day, day: Day) -> float:
        """The same with the window's nodes out on another day."""
        place, count = self._of[window.id]
        self._out[place, before.date.isoformat()] -= count
        self._out[place, day.date.isoformat()] += count
        value = self.total()
        self._out[place, day.date.isoformat()] -= count
        self._out[place, before.date.isoformat()] += count
        return value
