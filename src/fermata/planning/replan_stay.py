"""Which windows can stay where they were told: a small exact question, asked before any other place is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fermata.planning import cp_model

EFFORT = 5.0  # deterministic time; a hundred windows and as many rows take a hundredth of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The units of those that stay, less the `loans` of those that stay, are at most `capacity`; both as pairs of a
    spot and its units.
    """

    capacity: int
    terms: tuple[tuple[int, int], ...]
    loans: tuple[tuple[int, int], ...] = ()


def choose_stays(bounds: Sequence[Bound], weights: Mapping[int, int], *, seed: int) -> frozenset[int]:
    """The heaviest set of spots (the keys of `weights`) that keeps every bound; all of them when they keep all."""
    if all(_add_up(bound.terms) - _add_up(bound.loans) <= bound.capacity for bound in bounds):
        return frozenset(weights)
    model = cp_model.CpModel()
    stays = {spot: model.new_bool_var(f"s{spot}") for spot in sorted(weights)}
    for bound in bounds:
        terms = [*bound.terms, *((spot, -units) for spot, units in bound.loans)]
        expression = cp_model.LinearExpr.weighted_sum([stays[spot] for spot, _ in terms], [units for _, units in terms])
        model.add(expression <= bound.capacity)
    # Equal weights: the earlier spots stay, so that equal inputs give equal answers on any machine.
    scale = len(stays) + 1
    model.maximize(
        cp_model.LinearExpr.weighted_sum(
            list(stays.values()), [weights[spot] * scale * scale - i for i, spot in enumerate(stays)]
        )
    )
    solver = cp_model.CpSolver()
    solver.parameters.random_seed = seed
    solver.parameters.num_workers = 1
    solver.parameters.max_deterministic_time = EFFORT
    solver.parameters.catch_sigint_signal = False
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return frozenset()
    return frozenset(spot for spot, taken in stays.items() if solver.boolean_value(taken))


def _add_up(terms: Sequence[tuple[int, int]]) -> int:
    return sum(units for _, units in terms)
