"""The plan by days, for the solver to prove what it cannot bound among spots: wrong pairs, and what comes after them.

Windows are counted by class on and up to each day. With the counts narrowed to what plans with few wrong pairs can
have, each product of two counts has few values. Starts are told apart only on days where they turn out to matter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from fermata.planning import cp_model
from fermata.planning.model import PlanModel, Solved, Unsolved
from fermata.planning.objective import Choice, add_product, add_term
from fermata.planning.order_bound import OrderBound
from fermata.planning.problem import Problem, Spot
from fermata.planning.rows import Row
from fermata.planning.terms import CostTerm, Term

Taken: TypeAlias = "list[cp_model.IntVar]"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Count:
    """How many of something, and between what it lies. `steps`: for each number above the least in turn,
    whether it is as many.
    """

    total: cp_model.IntVar
    least: int
    most: int
    steps: Sequence[cp_model.IntVar] = field(default_factory=tuple)


class DayModel:
    """The plan relaxed to places, a way's group on a day, with its spots on `detailed` days. Its plans are those within
    the last cutoff of `bound`; of all plans within it, none is missing.
    """

    def __init__(
        self, problem: Problem, spots: Sequence[Spot], rows: Sequence[Row], bound: OrderBound, detailed: Collection[int]
    ) -> None:
        self._spots = spots
        self._members: dict[tuple[int, int, int], list[int]] = {}
        for number, spot in enumerate(spots):
            self._members.setdefault((spot.way, spot.group, spot.day), []).append(number)
        first = [Spot(way=way, group=group, day=day, start=0) for way, group, day in self._members]  # all start at once
        self._plan = PlanModel(problem, first, [_make_row(*limit) for limit in bound.limits])
        self._cp = self._plan.cp
        self._chosen: dict[int, cp_model.IntVar] = {}
        for choice, members in zip(self._plan.choices, self._members.values(), strict=True):
            if choice.spot.day in detailed:
                self._tell_starts_apart(choice, members)
        for row in rows:
            if row.day is None and int(row.spots[0]) in self._chosen:
                taken = [self._chosen[number] for number in row.spots.tolist()]
                self._cp.add(cp_model.LinearExpr.weighted_sum(taken, row.units.tolist()) <= row.capacity)
        self._term = bound.term
        self._bound = bound

    def hold(self, term: Term, value: int) -> None:
        """Leaves only plans in which the term is no more than that."""
        self._cp.add(self._express(term) <= value)

    def lessen(self, term: Term) -> None:
        """Looks for the least of the term."""
        self._cp.minimize(self._express(term))

    def lessen_changes(self, near: Collection[Spot]) -> None:
        """Looks for a plan that takes as many of these places as may be."""
        places = {(spot.way, spot.group, spot.day) for spot in near}
        choices = zip(self._plan.choices, self._members, strict=True)
        self._cp.minimize(-cp_model.LinearExpr.sum([choice.taken for choice, place in choices if place in places]))

    def lessen_pairs(self, *, least: int) -> None:
        """Looks for the fewest wrong pairs, which are known to be no less than that."""
        self._cp.add(self._pairs >= least)
        self._cp.minimize(self._pairs)

    def solve(self, near: Collection[Spot], *, seed: int, effort: float) -> Solved | Unsolved:
        """As `PlanModel.solve`, from about that plan; `chosen` are all spots of the places that are taken."""
        places = {(spot.way, spot.group, spot.day) for spot in near}
        self._plan.hint([number for number, place in enumerate(self._members) if place in places])
        solved = self._plan.solve(seed=seed, effort=effort, is_for_proof=True)
        if isinstance(solved, Unsolved):
            return solved
        members = list(self._members.values())
        return replace(solved, chosen=tuple(spot for number in solved.chosen for spot in members[number]))

    @cached_property
    def _pairs(self) -> cp_model.LinearExprT:
        return self._count_pairs(self._bound)

    def _express(self, term: Term) -> cp_model.LinearExprT:
        if term is self._term:
            return self._pairs
        if isinstance(term, CostTerm):
            least = [min(term.cost(self._spots[number]) for number in each) for each in self._members.values()]
            return cp_model.LinearExpr.weighted_sum([choice.taken for choice in self._plan.choices], least)
        return add_term(self._cp, self._plan.choices, term)  # with one start a day, no term is more

    def _tell_starts_apart(self, place: Choice, members: Sequence[int]) -> None:
        for number in members:
            self._chosen[number] = self._cp.new_bool_var("")
        self._cp.add(cp_model.LinearExpr.sum([self._chosen[number] for number in members]) == place.taken)

    def _count_pairs(self, bound: OrderBound) -> cp_model.LinearExprT:
        """The wrong pairs of windows on different days, and on detailed days those of windows on the day."""
        on: dict[tuple[int, int], Taken] = {}
        for choice in self._plan.choices:
            on.setdefault((self._term.ranks[choice.spot.way], choice.spot.day), []).append(choice.taken)
        counts = [self._count_days(rank, on, bound) for rank in range(self._term.classes)]
        pairs: list[cp_model.LinearExprT] = []
        for later in range(1, self._term.classes):
            for earlier in range(later):
                for (today, _), (_, before) in zip(counts[earlier][1:], counts[later], strict=False):
                    pairs.extend(self._multiply(today, before))
        return cp_model.LinearExpr.sum([*pairs, *self._pair_starts()])

    def _count_days(
        self, rank: int, on: Mapping[tuple[int, int], Taken], bound: OrderBound
    ) -> list[tuple[_Count, _Count]]:
        """For each day, the windows of the class on it and on all days up to it."""
        found: list[tuple[_Count, _Count]] = []
        before = _Count(total=self._cp.new_constant(0), least=0, most=0)
        for day, (least, most) in bound.ranges(rank):
            taken = on.get((rank, day), [])
            fewest = max(0, least - before.most)
            most_today = max(fewest, min(len(taken), most - before.least))
            today = _Count(total=self._cp.new_int_var(fewest, most_today, ""), least=fewest, most=most_today)
            self._cp.add(cp_model.LinearExpr.sum(taken) == today.total)
            upto = self._count_up(least, most)
            self._cp.add(upto.total == before.total + today.total)
            found.append((today, upto))
            before = upto
        return found

    def _count_up(self, least: int, most: int) -> _Count:
        steps = [self._cp.new_bool_var("") for _ in range(least, most)]
        for lower, higher in pairwise(steps):
            self._cp.add_implication(higher, lower)
        total = self._cp.new_int_var(least, most, "")
        self._cp.add(total == least + cp_model.LinearExpr.sum(steps))
        return _Count(total=total, least=least, most=most, steps=steps)

    def _multiply(self, today: _Count, before: _Count) -> list[cp_model.LinearExprT]:
        """What the product of the two is the sum of: windows of today, once for each window before."""
        if today.least == today.most:
            return [today.most * before.total]
        found: list[cp_model.LinearExprT] = [before.least * today.total]
        for step in before.steps:
            once = self._cp.new_int_var(0, today.most, "")
            self._cp.add(once == today.total).only_enforce_if(step)
            self._cp.add(once == 0).only_enforce_if(~step)
            self._cp.add(once >= today.total - today.most * (1 - step))  # what these say to the linear relaxation
            self._cp.add(once >= today.least * step)
            found.append(once)
        return found

    def _pair_starts(self) -> list[cp_model.LinearExprT]:
        """Of each detailed day, windows of a later class at a start, times those of an earlier class at later ones."""
        days: dict[int, dict[int, dict[int, Taken]]] = {}  # by day, start and class
        for number, taken in self._chosen.items():
            spot = self._spots[number]
            classes = days.setdefault(spot.day, {}).setdefault(spot.start, {})
            classes.setdefault(self._term.ranks[spot.way], []).append(taken)
        found: list[cp_model.LinearExprT] = []
        for starts in days.values():
            for start, classes in starts.items():
                after = [(rank, taken) for s, each in starts.items() if s > start for rank, taken in each.items()]
                for later, starting in classes.items():
                    following = [each for rank, taken in after if 0 <= rank < later for each in taken]
                    if following:
                        found.append(add_product(self._cp, starting, following))
        return found


def _make_row(capacity: int, units: Mapping[int, int]) -> Row:
    places, taken = np.array(list(units), dtype=np.int64), np.array(list(units.values()), dtype=np.int64)
    return Row(resource=-1, capacity=capacity, spots=places, units=taken)
