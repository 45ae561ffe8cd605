"""A lower bound of the order term: how many wrong pairs any plan has at least. The search asks when the solver's own
bound is far off.

Days are halved again and again. At each halving, windows of a later class in the earlier half make wrong pairs with
those of an earlier class in the later half, and every pair on two days is counted at exactly one halving. A linear
program knows the lower envelope of each product of two such counts from the least and the most that the counts can be
(McCormick 1976, Computability of global solutions to factorable nonconvex programs). These it is asked for first, of
plans that are no worse than the one at hand.

The program is kept small: it knows days but no starts, and only rows that no other row implies. From one question to
the next it goes on from the last answer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor

from ortools.linear_solver import pywraplp

from fermata.planning.problem import Problem, Spot
from fermata.planning.rows import Row
from fermata.planning.terms import CostTerm, OrderTerm

SLACK = 1e-4  # of the linear solver's figures, where whole numbers are sought
ROUNDS_MOST = 6  # of asking for all counts: each takes a second and more at January size, and later ones gain less
UNKNOWN = 1e9  # farther than any count: what an answer that the linear solver is not sure of stands for
Line = dict[int, float]  # coefficients by variable
Place = tuple[int, int, int]  # way, group and day
_Limit = tuple[int, Mapping[int, int]]  # what the units, by number of the place, can come to at most


@dataclass(slots=True, kw_only=True)
class _Count:
    """Windows of one class on the days from one up to another: a variable, and what it can be."""

    variable: int
    least: int = 0
    most: int
    products: list["_Product"] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Product:
    """A variable that is at least the product of two counts, as far as two rows say so."""

    variable: int
    counts: tuple[_Count, _Count]
    rows: tuple[pywraplp.Constraint, pywraplp.Constraint]


class OrderBound:
    """The plan relaxed to shares of places, with a variable for the windows of each class from day to day: ask `find`,
    then, of that cutoff, `find_floor` if you like.
    """

    def __init__(self, problem: Problem, spots: Sequence[Spot], rows: Sequence[Row], term: OrderTerm) -> None:
        self._lp = pywraplp.Solver.CreateSolver("GLOP")
        # The last answer is where the next question starts: only without presolving is it of use.
        self._how = pywraplp.MPSolverParameters()
        self._how.SetIntegerParam(self._how.PRESOLVE, self._how.PRESOLVE_OFF)
        self._how.SetIntegerParam(self._how.LP_ALGORITHM, self._how.PRIMAL)
        self._term = term
        self._spots = spots
        self._places = list(dict.fromkeys((spot.way, spot.group, spot.day) for spot in spots))
        self._numbers = {place: number for number, place in enumerate(self._places)}
        for _ in self._places:
            self._lp.NumVar(0, 1, "")
        self._serve(problem)
        for most, line in _list_limits(self._numbers, spots, rows):
            self._add({place: float(units) for place, units in line.items()}, most=most)
        self._windows = _count_windows(problem, term)
        self._days = sorted({day for _, _, day in self._places})
        self._at: dict[tuple[int, int], list[int]] = {}
        for number, (way, _, day) in enumerate(self._places):
            self._at.setdefault((term.ranks[way], day), []).append(number)
        self._counts: dict[tuple[int, int, int], _Count] = {}
        self._products: list[_Product] = []

    def find(self, cutoff: int) -> int:
        """Wrong pairs that every plan on these spots has at least, if it has no more than `cutoff`; `cutoff` + 1 says
        that none has.
        """
        for halving in _halve(0, len(self._days)):
            self._add_products(*halving)
        total = dict.fromkeys((product.variable for product in self._products), 1.0)
        self._add(total, most=cutoff)
        counts = [count for count in self._counts.values() if count.products]
        bound = 0
        for _ in range(ROUNDS_MOST):
            if not all(self._narrow(count) for count in counts):
                return cutoff + 1
            found = self._optimize(total)
            if found is None or found > cutoff + SLACK:
                return cutoff + 1
            before, bound = bound, max(bound, ceil(found - SLACK))
            if bound == before:
                break
        return bound

    def find_floor(self, term: CostTerm) -> int:
        """What the term comes to at least in plans with no more wrong pairs than the cutoff that was searched with."""
        line: Line = {}
        for spot in self._spots:
            number, cost = self._numbers[spot.way, spot.group, spot.day], float(term.cost(spot))
            line[number] = min(cost, line.get(number, cost))
        found = self._optimize(line)
        return 0 if found is None else max(0, ceil(found - SLACK))

    def _add(self, line: Line, *, least: float | None = None, most: float | None = None) -> pywraplp.Constraint:
        infinity = self._lp.infinity()
        row = self._lp.Constraint(-infinity if least is None else least, infinity if most is None else most)
        for number, coefficient in line.items():
            row.SetCoefficient(self._lp.variable(number), coefficient)
        return row

    def _new(self) -> int:
        self._lp.NumVar(0, self._lp.infinity(), "")
        number: int = self._lp.NumVariables() - 1
        return number

    def _serve(self, problem: Problem) -> None:
        """Each cluster in one way or a mix of ways, no two parts of it on one day, none after its last."""
        by_group: dict[tuple[int, int], list[int]] = {}
        for number, (way, g, _) in enumerate(self._places):
            by_group.setdefault((way, g), []).append(number)
        for ways in problem.ways_of:
            used = {way: self._new() for way in ways}
            self._add(dict.fromkeys(used.values(), 1.0), least=1, most=1)
            for way, share in used.items():
                groups = problem.ways[way].groups
                for g, group in enumerate(groups):
                    members = dict.fromkeys(by_group.get((way, g), []), 1.0)
                    self._add(members | {share: -float(len(group.parts))}, least=0, most=0)
                if problem.ways[way].windows > 1:
                    members_of = {g: by_group.get((way, g), []) for g in range(len(groups))}
                    lasts = {n for g, found in members_of.items() if groups[g].is_last for n in found}
                    self._keep_days_apart(sorted(n for found in members_of.values() for n in found), lasts, share)

    def _keep_days_apart(self, members: Sequence[int], lasts: set[int], share: int) -> None:
        gone: list[int] = []
        for day in sorted({self._places[n][2] for n in members}):
            today = [n for n in members if self._places[n][2] == day]
            gone.extend(n for n in today if n in lasts)
            others = [n for n in today if n not in lasts]
            self._add(dict.fromkeys([*others, *gone], 1.0) | {share: -1.0}, most=0)

    def _add_products(self, first: int, middle: int, until: int) -> None:
        for later in range(1, self._term.classes):
            early = self._count_of(later, first, middle)
            for earlier in range(later):
                after = self._count_of(earlier, middle, until)
                if early.most and after.most:
                    rows = (self._add({}), self._add({}))
                    product = _Product(variable=self._new(), counts=(early, after), rows=rows)
                    self._products.append(product)
                    early.products.append(product)
                    after.products.append(product)
                    self._envelop(product)

    def _count_of(self, rank: int, first: int, until: int) -> _Count:
        """The count of those days: the sum of both halves of them."""
        key = (rank, first, until)
        if key not in self._counts:
            if until - first == 1:
                members = self._at.get((rank, self._days[first]), [])
                line, most = dict.fromkeys(members, 1.0), self._windows[rank] if members else 0
            else:
                middle = (first + until) // 2
                halves = (self._count_of(rank, first, middle), self._count_of(rank, middle, until))
                line = {half.variable: 1.0 for half in halves}
                most = min(self._windows[rank], sum(half.most for half in halves))
            count = self._counts[key] = _Count(variable=self._new(), most=most)
            self._add(line | {count.variable: -1.0}, least=0, most=0)
        return self._counts[key]

    def _narrow(self, count: _Count) -> bool:
        """Asks for the least and the most of a count; False when no plan is left."""
        if count.least < count.most:
            line = {count.variable: 1.0}
            least, most = self._optimize(line), self._optimize(line, upwards=True)
            if least is None or most is None:
                return False
            narrowed = (max(count.least, ceil(least - SLACK)), min(count.most, floor(most + SLACK)))
            if narrowed != (count.least, count.most):
                count.least, count.most = narrowed
                for product in count.products:
                    self._envelop(product)
                if count.least <= count.most:  # whole counts cut off shares that lie between
                    self._lp.variable(count.variable).SetBounds(count.least, count.most)
        return count.least <= count.most

    def _envelop(self, product: _Product) -> None:
        """(x - least of x) * (y - least of y) >= 0, and the same with the most of both."""
        early, after = product.counts
        corners = ((early.least, after.least), (early.most, after.most))
        for row, (x, y) in zip(product.rows, corners, strict=True):
            line: Line = {product.variable: 1.0, early.variable: -float(y), after.variable: -float(x)}
            for number, coefficient in line.items():
                row.SetCoefficient(self._lp.variable(number), coefficient)
            row.SetLb(-x * y)

    def _optimize(self, line: Line, *, upwards: bool = False) -> float | None:
        """The least (or the most) that a sum can be; None when there is nothing."""
        objective = self._lp.Objective()
        objective.Clear()
        for number, coefficient in line.items():
            objective.SetCoefficient(self._lp.variable(number), coefficient)
        objective.SetOptimizationDirection(upwards)
        status = self._lp.Solve(self._how)
        if status == pywraplp.Solver.INFEASIBLE:
            return None
        unsure = UNKNOWN if upwards else -UNKNOWN
        value: float = objective.Value() if status == pywraplp.Solver.OPTIMAL else unsure
        return value


def _list_limits(numbers: Mapping[Place, int], spots: Sequence[Spot], rows: Sequence[Row]) -> list[_Limit]:
    """The rows over places: one takes of a row what each of its spots takes at least. Rows that others imply are left
    out; so is what grows, which only makes the bound lower.
    """
    place_of = [numbers[spot.way, spot.group, spot.day] for spot in spots]
    starts = [0] * len(numbers)
    for number in place_of:
        starts[number] += 1
    by_day: dict[int, list[_Limit]] = {}
    for row in (row for row in rows if row.day is None):
        units: dict[int, list[int]] = {}
        for spot, taken in zip(row.spots.tolist(), row.units.tolist(), strict=True):
            units.setdefault(place_of[spot], []).append(taken)
        line = {place: min(taken) for place, taken in units.items() if len(taken) == starts[place]}
        if line:
            by_day.setdefault(spots[row.spots[0]].day, []).append((row.capacity, line))
    return [limit for limits in by_day.values() for limit in _keep_tightest(limits)]


def _keep_tightest(limits: Sequence[_Limit]) -> list[_Limit]:
    """Without those that another one implies; of equal ones the first stays."""
    kept: list[_Limit] = []
    for limit in limits:
        if not any(_implies(other, limit) for other in kept):
            kept = [other for other in kept if not _implies(limit, other)]
            kept.append(limit)
    return kept


def _implies(limit: _Limit, other: _Limit) -> bool:
    (most, line), (other_most, other_line) = limit, other
    if most > other_most or len(line) < len(other_line):
        return False
    return all(line.get(place, 0) >= units for place, units in other_line.items())


def _count_windows(problem: Problem, term: OrderTerm) -> list[int]:
    """The most windows that each class can have."""
    most = [0] * term.classes
    for ways in problem.ways_of:
        if ways and term.ranks[ways[0]] >= 0:
            most[term.ranks[ways[0]]] += max(problem.ways[way].windows for way in ways)
    return most


def _halve(first: int, until: int) -> Iterator[tuple[int, int, int]]:
    if until - first > 1:
        middle = (first + until) // 2
        yield (first, middle, until)
        yield from _halve(first, middle)
        yield from _halve(middle, until)
