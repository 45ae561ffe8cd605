"""How many wrong pairs any plan has at least, and how many windows of each class lie where in plans with few of them.

Wrong pairs of two classes add up over days: windows of the earlier class on a day times those of the later class on
days before it, or, told the other way round, windows of the later class on a day times those of the earlier class on
days after it. A linear program knows the lower envelope of each product, both ways round, from the least and the most
that the counts can be (McCormick 1976, Computability of global solutions to factorable nonconvex programs). These it is
asked for, of plans that are no worse than the one at hand: an answer to one question often shows that others need not
be asked.

The program is kept small: it knows days but no starts, and only rows that no other row implies. From one question to
the next it goes on from the last answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor

from ortools.linear_solver import pywraplp

from fermata.planning.problem import Problem, Spot
from fermata.planning.rows import Row
from fermata.planning.terms import CostTerm, OrderTerm

SLACK = 1e-4  # of the linear solver's figures, where whole numbers are sought
ROUNDS_MOST = 6  # of asking for all counts: January takes three, of one second and less
UNKNOWN = 1e9  # farther than any count: what an answer that the linear solver is not sure of stands for
Line = dict[int, float]  # coefficients by variable
Place = tuple[int, int, int]  # way, group and day
Mark = tuple[float, tuple[tuple[int, int], ...]]  # a cutoff, and what the counts can be within it
_Limit = tuple[int, Mapping[int, int]]  # what the units, by number of the place, can come to at most


@dataclass(slots=True, kw_only=True)
class _Count:
    """Windows of one class on one day, or on all days up to it: a variable, and what it can be."""

    variable: int
    least: int = 0
    most: int
    products: list["_Product"] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Product:
    """A variable that is at least the product of two counts, as far as two rows say so: `today` times `upto`, or, with
    a `total`, `today` times what `upto` leaves of it.
    """

    variable: int
    today: _Count
    upto: _Count
    total: _Count | None
    rows: tuple[pywraplp.Constraint, pywraplp.Constraint]

    @property
    def factor(self) -> tuple[int, int]:
        """The least and the most of the second factor."""
        if self.total is None:
            return self.upto.least, self.upto.most
        return max(0, self.total.least - self.upto.most), self.total.most - self.upto.least


class OrderBound:
    """The plan relaxed to shares of places, with a variable for the windows of each class on and up to each day. Ask
    `find`, then, of that cutoff, `ranges` and `find_floor`; then perhaps again with a lower cutoff, or, after
    `go_back`, with one between.
    """

    def __init__(self, problem: Problem, spots: Sequence[Spot], rows: Sequence[Row], term: OrderTerm) -> None:
        self._lp = pywraplp.Solver.CreateSolver("GLOP")
        # The last answer is where the next question starts: only without presolving is it of use.
        self._how = pywraplp.MPSolverParameters()
        self._how.SetIntegerParam(self._how.PRESOLVE, self._how.PRESOLVE_OFF)
        self._how.SetIntegerParam(self._how.LP_ALGORITHM, self._how.PRIMAL)
        self.term = term
        self._spots = spots
        self._places = list(dict.fromkeys((spot.way, spot.group, spot.day) for spot in spots))
        self._numbers = {place: number for number, place in enumerate(self._places)}
        for _ in self._places:
            self._lp.NumVar(0, 1, "")
        self._serve(problem)
        self.limits = _list_limits(self._numbers, spots, rows)  # over places in the order in which spots name them
        for most, line in self.limits:
            self._add({place: float(units) for place, units in line.items()}, most=most)
        self._days = sorted({day for _, _, day in self._places})
        self._today: dict[tuple[int, int], _Count] = {}  # by class and number of the day
        self._upto: dict[tuple[int, int], _Count] = {}
        for rank, (least, most) in enumerate(self._count_windows(problem, term)):
            self._add_counts(term, rank, least, most)
        self._total = dict.fromkeys(self._add_pairs(term), 1.0)
        self._cut = self._add(self._total)
        self._cutoff = self._lp.infinity()
        self._is_sure = False  # of the last answer
        self.iterations = 0  # of the linear solver, all questions together

    def ranges(self, rank: int) -> list[tuple[int, tuple[int, int]]]:
        """Each day with the least and the most windows of the class up to it, in plans within the last cutoff."""
        return [(day, (self._upto[rank, at].least, self._upto[rank, at].most)) for at, day in enumerate(self._days)]

    def find(self, cutoff: int) -> int:
        """Wrong pairs that every plan on these spots has at least, if it has no more than `cutoff`; `cutoff` + 1 says
        that none has. No cutoff may be above the one before.
        """
        self._cutoff = cutoff
        self._cut.SetUb(cutoff)
        bound = 0
        for number in range(ROUNDS_MOST + 1):
            found = self._optimize(self._total)
            if found is None or found > cutoff + SLACK:
                return cutoff + 1
            before, bound = bound, max(bound, ceil(found - SLACK))
            if number and bound == before:
                break
            if number < ROUNDS_MOST and not self._narrow_all():
                return cutoff + 1
        return bound

    def mark(self) -> Mark:
        """What is known of plans within the last cutoff."""
        return self._cutoff, tuple((count.least, count.most) for count in self._counts())

    def go_back(self, mark: Mark) -> None:
        """Makes an earlier cutoff the last one."""
        self._cutoff, ranges = mark
        self._cut.SetUb(self._cutoff)
        for count, (least, most) in zip(self._counts(), ranges, strict=True):
            if (count.least, count.most) != (least, most):
                count.least, count.most = least, most
                self._hold(count)

    def find_floor(self, term: CostTerm) -> int:
        """What the term comes to at least in plans with no more wrong pairs than the last cutoff."""
        line: Line = {}
        for spot in self._spots:
            number, cost = self._numbers[spot.way, spot.group, spot.day], float(term.cost(spot))
            line[number] = min(cost, line.get(number, cost))
        found = self._optimize(line)
        return 0 if found is None else max(0, ceil(found - SLACK))

    def _counts(self) -> list[_Count]:
        return [*self._upto.values(), *self._today.values()]

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

    def _count_windows(self, problem: Problem, term: OrderTerm) -> list[tuple[int, int]]:
        """The fewest and the most windows that each class can have."""
        taken = {way for way, _, _ in self._places}
        found = [(0, 0)] * term.classes
        for ways in problem.ways_of:
            windows = [problem.ways[way].windows for way in ways if way in taken]
            if windows and term.ranks[ways[0]] >= 0:
                least, most = found[term.ranks[ways[0]]]
                found[term.ranks[ways[0]]] = (least + min(windows), most + max(windows))
        return found

    def _add_counts(self, term: OrderTerm, rank: int, least: int, most: int) -> None:
        at: dict[int, list[int]] = {day: [] for day in self._days}
        for number, (way, _, day) in enumerate(self._places):
            if term.ranks[way] == rank:
                at[day].append(number)
        before: _Count | None = None
        for number, members in enumerate(at.values()):
            ways = len({self._places[member][0] for member in members})
            today = self._today[rank, number] = _Count(variable=self._new(), most=min(most, ways))
            line = dict.fromkeys(members, 1.0) | {today.variable: -1.0}
            self._add(line, least=0, most=0)
            upto = min(most, today.most + (before.most if before else 0))
            count = self._upto[rank, number] = _Count(variable=self._new(), most=upto)
            line = {today.variable: 1.0, count.variable: -1.0} | ({before.variable: 1.0} if before else {})
            self._add(line, least=0, most=0)
            before = count
        if before is not None:
            before.least = least
            self._hold(before)

    def _add_pairs(self, term: OrderTerm) -> list[int]:
        """For every two classes a variable: their wrong pairs, which both ways of adding them up bound."""
        found: list[int] = []
        last = len(self._days) - 1
        for later in range(1, term.classes):
            for earlier in range(later):
                befores = [(self._today[earlier, at], self._upto[later, at - 1], None) for at in range(1, last + 1)]
                afters = [
                    (self._today[later, at], self._upto[earlier, at], self._upto[earlier, last]) for at in range(last)
                ]
                pairs = self._new()
                for sides in (befores, afters):
                    products = [
                        self._add_product(*side) for side in sides if side[0].most and (side[2] or side[1]).most
                    ]
                    self._add(dict.fromkeys(products, -1.0) | {pairs: 1.0}, least=0)
                found.append(pairs)
        return found

    def _add_product(self, today: _Count, upto: _Count, total: _Count | None) -> int:
        variable, rows = self._new(), (self._add({}), self._add({}))
        product = _Product(variable=variable, today=today, upto=upto, total=total, rows=rows)
        for count in (today, upto) if total is None else (today, upto, total):
            count.products.append(product)
        self._envelop(product)
        return variable

    def _narrow_all(self) -> bool:
        """Asks for the least and the most of every count whose last answers leave open whether it is more or less;
        False when no plan is left.
        """
        counts = self._counts()
        doubts = {(n, upwards) for n, count in enumerate(counts) for upwards in (False, True)}
        self._drop_answered(counts, doubts)
        for number, count in enumerate(counts):
            for upwards in (False, True):
                if (number, upwards) not in doubts:
                    continue
                found = self._optimize({count.variable: 1.0}, upwards=upwards)
                if found is None:
                    return False
                doubts.discard((number, upwards))
                self._drop_answered(counts, doubts)
                least = count.least if upwards else max(count.least, ceil(found - SLACK))
                most = min(count.most, floor(found + SLACK)) if upwards else count.most
                if least > most:
                    return False
                if (least, most) != (count.least, count.most):
                    count.least, count.most = least, most
                    self._hold(count)
        return self._tie_days()

    def _drop_answered(self, counts: Sequence[_Count], doubts: set[tuple[int, bool]]) -> None:
        """Where the last answer has a count at its least or most, asking would give nothing new."""
        if not self._is_sure:
            return
        for number, upwards in list(doubts):
            count = counts[number]
            value = self._lp.variable(count.variable).solution_value()
            is_there = value > count.most - 1 + SLACK if upwards else value < count.least + 1 - SLACK
            if is_there or count.least == count.most:
                doubts.discard((number, upwards))

    def _tie_days(self) -> bool:
        """What counts up to two days in a row say of the day between."""
        for (rank, at), today in self._today.items():
            upto, before = self._upto[rank, at], self._upto.get((rank, at - 1))
            least = max(today.least, upto.least - (before.most if before else 0))
            most = min(today.most, upto.most - (before.least if before else 0))
            if least > most:
                return False
            if (least, most) != (today.least, today.most):
                today.least, today.most = least, most
                self._hold(today)
        return True

    def _hold(self, count: _Count) -> None:
        """Bounds a count by whole numbers, which cuts off shares that lie between, and its products by them."""
        self._lp.variable(count.variable).SetBounds(count.least, count.most)
        for product in count.products:
            self._envelop(product)

    def _envelop(self, product: _Product) -> None:
        """(x - least of x) * (y - least of y) >= 0, and the same with the most of both."""
        today, (least, most) = product.today, product.factor
        for row, (x, y) in zip(product.rows, ((today.least, least), (today.most, most)), strict=True):
            line: Line = {product.variable: 1.0, today.variable: -float(y), product.upto.variable: -float(x)}
            if product.total is not None:
                line |= {product.total.variable: -float(x), product.upto.variable: float(x)}
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
        self.iterations += self._lp.iterations()
        if status == pywraplp.Solver.INFEASIBLE:
            return None
        self._is_sure = status == pywraplp.Solver.OPTIMAL
        unsure = UNKNOWN if upwards else -UNKNOWN
        value: float = objective.Value() if self._is_sure else unsure
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
