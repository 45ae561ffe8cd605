"""The solver model: which spots are taken, under the rows; and one deterministic solve of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fermata.planning import cp_model
from fermata.planning.objective import Choice
from fermata.planning.problem import Problem, Spot
from fermata.planning.rows import Row

WORKERS = 4  # threads of the interleaved search: any fixed number, for the result depends on it


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """A solution, by indices of spots, with the value and the proven bound of what was made least."""

    chosen: tuple[int, ...]
    value: int
    bound: int
    effort: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsolved:
    """No solution: proven that there is none, or not found within the effort."""

    proven: bool
    effort: float


class PlanModel:
    """Which spots are taken. Each cluster is serviced in exactly one way, with every part on a day of its own."""

    def __init__(self, problem: Problem, spots: Sequence[Spot], rows: Sequence[Row]) -> None:
        self.cp = cp_model.CpModel()
        self.choices = tuple(Choice(spot=spot, taken=self.cp.new_bool_var(f"s{i}")) for i, spot in enumerate(spots))
        self._problem = problem
        self._by_way: dict[int, list[Choice]] = {}
        for choice in self.choices:
            self._by_way.setdefault(choice.spot.way, []).append(choice)
        for ways in problem.ways_of:
            self._serve_once(ways)
        self._lent: dict[int, list[tuple[int, cp_model.IntVar]]] = {}
        for row in rows:
            taken = [self.choices[spot].taken for spot in row.spots.tolist()]
            used = cp_model.LinearExpr.weighted_sum(taken, row.units.tolist())
            if row.day is not None:
                used -= self._lent_before(row.resource, row.day)
            self.cp.add(used <= row.capacity)

    def _lent_before(self, resource: int, day: int) -> cp_model.IntVar | int:
        """What windows of earlier days lend the resource: sums over days, so that a row does not name all spots."""
        if resource not in self._lent:
            self._lent[resource] = list(self._add_up_loans(resource))
        return next((lent for last, lent in reversed(self._lent[resource]) if last < day), 0)

    def _add_up_loans(self, resource: int) -> Iterator[tuple[int, cp_model.IntVar]]:
        """For each day on which something may be lent, all that is lent on that day or before."""
        by_day: dict[int, list[tuple[cp_model.IntVar, int]]] = {}
        for choice in self.choices:
            for loan in self._problem.group_of(choice.spot).loans:
                if loan.resource == resource:
                    by_day.setdefault(choice.spot.day, []).append((choice.taken, loan.units))
        before: cp_model.IntVar | int = 0
        most = 0
        for day, loans in sorted(by_day.items()):
            most += sum(units for _, units in loans)
            today = cp_model.LinearExpr.weighted_sum([taken for taken, _ in loans], [units for _, units in loans])
            total = self.cp.new_int_var(0, most, "")
            self.cp.add(total == before + today)
            yield day, total
            before = total

    def _serve_once(self, ways: Sequence[int]) -> None:
        used = [self.cp.new_bool_var(f"w{way}") for way in ways]
        self.cp.add_exactly_one(used)
        for way, is_used in zip(ways, used, strict=True):
            choices = self._by_way.get(way, [])
            for g, group in enumerate(self._problem.ways[way].groups):
                taken = [c.taken for c in choices if c.spot.group == g]
                self.cp.add(cp_model.LinearExpr.sum(taken) == len(group.parts) * is_used)
            if self._problem.ways[way].windows > 1:
                self._keep_days_apart(choices)

    def _keep_days_apart(self, choices: Sequence[Choice]) -> None:
        """One part a day, and none on or after the day of the last one."""
        gone: list[cp_model.IntVar] = []  # the last part, on this day or before
        groups = self._problem.ways[choices[0].spot.way].groups if choices else ()
        for day in sorted({c.spot.day for c in choices}):
            today = [c for c in choices if c.spot.day == day]
            gone.extend(c.taken for c in today if groups[c.spot.group].is_last)
            others = [c.taken for c in today if not groups[c.spot.group].is_last]
            self.cp.add_at_most_one([*others, *gone])

    def hint(self, chosen: Sequence[int]) -> None:
        """Offers a solution, by indices of spots, to start from."""
        self.cp.clear_hints()  # type: ignore[no-untyped-call]
        taken = set(chosen)
        for number, choice in enumerate(self.choices):
            self.cp.add_hint(choice.taken, number in taken)

    def solve(self, *, seed: int, effort: float, is_for_proof: bool = False) -> Solved | Unsolved:
        """One solve with such a solver as `make_solver` makes."""
        solver = make_solver(seed=seed, effort=effort, is_for_proof=is_for_proof)
        status = solver.solve(self.cp)
        spent = solver.response_proto.deterministic_time
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return Unsolved(proven=status == cp_model.INFEASIBLE, effort=spent)
        chosen = tuple(i for i, choice in enumerate(self.choices) if solver.boolean_value(choice.taken))
        has_objective = self.cp.has_objective()
        return Solved(
            chosen=chosen,
            value=round(solver.objective_value) if has_objective else 0,
            bound=round(solver.best_objective_bound) if has_objective else 0,
            effort=spent,
        )


def make_solver(*, seed: int, effort: float, is_for_proof: bool) -> cp_model.CpSolver:
    """A solver for at most `effort` units of deterministic time, which make equal models end equally. `is_for_proof`:
    one search that goes by the linear relaxation, which proves most where that is tight.
    """
    solver = cp_model.CpSolver()
    solver.parameters.random_seed = seed
    if is_for_proof:
        solver.parameters.num_workers = 1
        solver.parameters.linearization_level = 2  # whatever has a linear form
        solver.parameters.cut_level = 0  # cuts cost more than they give: half the time goes without them
    else:
        solver.parameters.num_workers = WORKERS
        solver.parameters.interleave_search = True
    solver.parameters.max_deterministic_time = effort
    solver.parameters.catch_sigint_signal = False  # else it leaves the process without anybody's own Ctrl-C handler
    return solver
