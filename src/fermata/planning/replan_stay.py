"""Which windows can stay where they were told: a small exact question, asked before any other place is looked at."""

from collections.abc import Mapping, Sequence

from ortools.sat.python import cp_model

from fermata.planning.rows import Row

EFFORT = 5.0  # deterministic time; a hundred windows and as many rows take a hundredth of it


def choose_stays(rows: Sequence[Row], weights: Mapping[int, int], *, seed: int) -> frozenset[int]:
    """The heaviest set of spots (the keys of `weights`) that breaks no row; all of them when they break none."""
    if all(sum(units for _, units in row.terms) <= row.capacity for row in rows):
        return frozenset(weights)
    model = cp_model.CpModel()
    stays = {spot: model.new_bool_var(f"s{spot}") for spot in sorted(weights)}
    for row in rows:
        terms = [(stays[spot], units) for spot, units in row.terms if spot in stays]
        expression = cp_model.LinearExpr.weighted_sum([taken for taken, _ in terms], [units for _, units in terms])
        model.add(expression <= row.capacity)
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
