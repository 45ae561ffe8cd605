"""A lower bound of the order term: how many wrong pairs any plan has at least. The search asks when the solver's own
bound is far off.

Days are halved again and again. At each halving, windows of a later class in the earlier half make wrong pairs with
those of an earlier class in the later half, and every pair on two days is counted at exactly one halving. A linear
program knows the lower envelope of each product of two such counts from the least and the most that the counts can be
(McCormick 1976, Computability of global solutions to factorable nonconvex programs). These it is asked for first, of
plans that are better than the one at hand; when there are none, that one is the best.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil, floor

from ortools.linear_solver import pywraplp

from fermata.planning.problem import Problem, Spot
from fermata.planning.rows import Row
from fermata.planning.terms import OrderTerm

SLACK = 1e-4  # of the linear solver's figures, where whole numbers are sought
ROUNDS_MOST = 3  # of asking for all counts: each takes three seconds at January size, and later ones gain less
GAIN_LEAST = 0.02  # by which share a round must raise the bound for another one to be worth its time
Line = dict[int, float]  # coefficients by variable


@dataclass(slots=True, kw_only=True)
class _Count:
    """Windows of one class from one day up to another: a difference of two variables, and what it can be."""

    line: Line
    least: int = 0
    most: int
    products: list["_Product"] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Product:
    """A variable that is at least the product of two counts, as far as two rows say so."""

    variable: int
    counts: tuple[_Count, _Count]
    rows: tuple[pywraplp.Constraint, pywraplp.Constraint]


def find_order_bound(
    problem: Problem, spots: Sequence[Spot], rows: Sequence[Row], term: OrderTerm, *, cutoff: int
) -> int:
    """Wrong pairs that every plan on these spots has at least, if it has no more than `cutoff`; `cutoff` + 1 says that
    none has.
    """
    return _OrderBound(problem, spots, rows, term).find(cutoff)


class _OrderBound:
    """The plan relaxed to shares of spots, with a variable for the windows of each class up to each day."""

    def __init__(self, problem: Problem, spots: Sequence[Spot], rows: Sequence[Row], term: OrderTerm) -> None:
        self._lp = pywraplp.Solver.CreateSolver("GLOP")
        self._spots = spots
        self._term = term
        for _ in spots:
            self._lp.NumVar(0, 1, "")
        self._serve(problem)
        for row in (row for row in rows if row.day is None):  # what grows is left out: it only makes the bound lower
            self._add(dict(zip(row.spots.tolist(), row.units.tolist(), strict=True)), most=row.capacity)
        self._windows = _count_windows(problem, term)
        self._days = sorted({spot.day for spot in spots})
        self._at: dict[tuple[int, int], list[int]] = {}
        for number, spot in enumerate(spots):
            self._at.setdefault((term.ranks[spot.way], spot.day), []).append(number)
        self._upto = self._add_up()
        self._counts: dict[tuple[int, int, int], _Count] = {}
        self._products: list[_Product] = []

    def find(self, cutoff: int) -> int:
        """As `find_order_bound`."""
        for halving in _halve(0, len(self._days)):
            self._add_products(*halving)
        total = dict.fromkeys((product.variable for product in self._products), 1.0)
        self._add(total, most=cutoff)
        bound = 0
        for _ in range(ROUNDS_MOST):
            if not all(self._narrow(count) for count in self._counts.values()):
                return cutoff + 1
            found = self._optimize(total)
            if found is None or found > cutoff + SLACK:
                return cutoff + 1
            before, bound = bound, max(bound, ceil(found - SLACK))
            if bound < before + max(1, GAIN_LEAST * before):
                break
        return bound

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
        for number, spot in enumerate(self._spots):
            by_group.setdefault((spot.way, spot.group), []).append(number)
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
        for day in sorted({self._spots[n].day for n in members}):
            today = [n for n in members if self._spots[n].day == day]
            gone.extend(n for n in today if n in lasts)
            others = [n for n in today if n not in lasts]
            self._add(dict.fromkeys([*others, *gone], 1.0) | {share: -1.0}, most=0)

    def _add_up(self) -> dict[tuple[int, int], int]:
        """Per class and number of days: the variable that counts its windows on the first so many days."""
        upto: dict[tuple[int, int], int] = {}
        for rank in range(self._term.classes):
            for number, day in enumerate(self._days, start=1):
                count = upto[rank, number] = self._new()
                before = {upto[rank, number - 1]: -1.0} if number > 1 else {}
                self._add({count: 1.0} | before | dict.fromkeys(self._at.get((rank, day), []), -1.0), least=0, most=0)
        return upto

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
        key = (rank, first, until)
        if key not in self._counts:
            before = {self._upto[rank, first]: -1.0} if first else {}
            has_any = any((rank, self._days[n]) in self._at for n in range(first, until))
            line = {self._upto[rank, until]: 1.0} | before
            self._counts[key] = _Count(line=line, most=self._windows[rank] if has_any else 0)
        return self._counts[key]

    def _narrow(self, count: _Count) -> bool:
        """Asks for the least and the most of a count; False when no plan is left."""
        if count.least < count.most:
            least, most = self._optimize(count.line), self._optimize(count.line, upwards=True)
            if least is None or most is None:
                return False
            narrowed = (max(count.least, ceil(least - SLACK)), min(count.most, floor(most + SLACK)))
            if narrowed != (count.least, count.most):
                count.least, count.most = narrowed
                for product in count.products:
                    self._envelop(product)
        return count.least <= count.most

    def _envelop(self, product: _Product) -> None:
        """(x - least of x) * (y - least of y) >= 0, and the same with the most of both."""
        early, after = product.counts
        corners = ((early.least, after.least), (early.most, after.most))
        for row, (x, y) in zip(product.rows, corners, strict=True):
            line: Line = {product.variable: 1.0}
            for count, factor in ((early, y), (after, x)):
                for number, sign in count.line.items():
                    line[number] = line.get(number, 0.0) - sign * factor
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
        status = self._lp.Solve()
        assert status in (pywraplp.Solver.OPTIMAL, pywraplp.Solver.INFEASIBLE), "a bounded program has an answer"
        value: float | None = objective.Value() if status == pywraplp.Solver.OPTIMAL else None
        return value


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
