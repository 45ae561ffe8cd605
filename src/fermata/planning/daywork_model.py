"""One day with CP-SAT: which start each window has, and when its steps begin, so that no team has more to do at any
instant than it can. The least sum of window ends, then the least shifting of steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fermata.domain.ids import TeamId
from fermata.planning import cp_model
from fermata.planning.daywork_moves import are_least, move_forward
from fermata.planning.daywork_steps import DayRow, DayWindow, find_busy_teams

# Deterministic time, of which January's fullest day takes a seventh. Steps that begin a little later than they could
# end no window later, so their share is small and need not prove anything.
EFFORT_OF_A_DAY = 0.5
EFFORT_FOR_STEPS = 0.05
SEED = 1
# January's fullest day has 450 steps. Beyond 1,000 shifting them brings next to nothing within its effort; beyond 3,000
# the solver finds no earlier end in its own, and building the model takes longer than all the rest.
SHIFTED_STEPS_MOST = 1_000
SOLVED_STEPS_MOST = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPlan:
    """The start of each window, and of each of its steps from there on. `proven`: no sum of ends is less."""

    starts: tuple[int, ...]
    steps: tuple[tuple[int, ...], ...]
    proven: bool
    effort: float


def plan_day(
    windows: Sequence[DayWindow],
    rows: Sequence[DayRow],
    limits: Mapping[TeamId, int],
    not_after: Sequence[tuple[int, int]],
    *,
    effort: float,
) -> DayPlan | None:
    """The best found within the effort, None when nothing was. `not_after`: pairs of windows of which the first starts
    no later. What moving windows one at a time makes of the day costs no effort, and is often the best there is.
    """
    moved = move_forward(windows, rows, limits, not_after)
    is_least = moved is not None and are_least(windows, moved)
    at_hand = DayPlan(starts=moved.starts, steps=moved.steps, proven=is_least, effort=0.0) if moved else None
    steps = sum(len(window.steps) for window in windows)
    if effort <= 0 or (at_hand is not None and steps > (SHIFTED_STEPS_MOST if is_least else SOLVED_STEPS_MOST)):
        return at_hand
    model = _DayModel(windows, rows, limits)
    for first, second in not_after:
        model.cp.add(model.starts[first] <= model.starts[second])
    ends = at_hand if is_least else _end_early(model, windows, at_hand, effort)
    return None if ends is None else _shift_least(model, ends)


def _end_early(
    model: _DayModel, windows: Sequence[DayWindow], at_hand: DayPlan | None, effort: float
) -> DayPlan | None:
    """The least sum of ends that the solver finds, from the day at hand on."""
    if at_hand is not None:
        model.hint(at_hand.starts, at_hand.steps)
    else:
        model.hint([window.now for window in windows], [[step.least for step in window.steps] for window in windows])
    model.cp.minimize(cp_model.LinearExpr.sum(model.starts))
    ends = _solve(model, effort)
    return at_hand if ends is None else ends


def _shift_least(model: _DayModel, ends: DayPlan) -> DayPlan:
    """The same starts, with steps begun as early as the solver finds."""
    for variable, value in zip(model.starts, ends.starts, strict=True):
        model.cp.add(variable == value)
    model.hint(ends.starts, ends.steps)
    model.cp.minimize(cp_model.LinearExpr.sum([start for steps in model.steps for start in steps]))
    steps = _solve(model, EFFORT_FOR_STEPS) or ends
    return replace(ends, steps=steps.steps)


class _DayModel:
    """Starts of windows and, from there, of steps; only teams that could be too busy are counted."""

    def __init__(self, windows: Sequence[DayWindow], rows: Sequence[DayRow], limits: Mapping[TeamId, int]) -> None:
        self.cp = cp_model.CpModel()
        self._windows = windows
        self.starts = [self.cp.new_int_var_from_domain(cp_model.Domain.from_values(w.starts), "") for w in windows]
        self._at = [{start: self.cp.new_bool_var("") for start in window.starts} for window in windows]
        for variable, chosen in zip(self.starts, self._at, strict=True):
            self.cp.add_exactly_one(chosen.values())
            self.cp.add(variable == sum(start * is_it for start, is_it in chosen.items()))
        for row in rows:
            self.cp.add(sum(units * self._at[window][start] for window, start, units in row.terms) <= row.most)
        self._busy = find_busy_teams([window.steps for window in windows], limits)
        self.steps = [self._begin(*pair) for pair in zip(windows, self.starts, strict=True)]
        for window, begins in zip(windows, self.steps, strict=True):
            for i, j in window.bonds:
                self.cp.add(begins[j] >= begins[i] + window.steps[i].minutes)
            for i, j in window.rising:
                self.cp.add(begins[j] >= begins[i])
        for team in sorted(self._busy):
            self._bound_team(team, limits[team])

    def _begin(self, window: DayWindow, start: cp_model.IntVar) -> list[cp_model.IntVar]:
        """When each step begins, in minutes into the day's room. Nothing moves when no team can be too busy."""
        begins: list[cp_model.IntVar] = []
        for step in window.steps:
            most = step.most if self._busy else step.least
            begin = self.cp.new_int_var(min(window.starts) + step.least, max(window.starts) + most, "")
            self.cp.add(begin >= start + step.least)
            self.cp.add(begin <= start + most)
            begins.append(begin)
        return begins

    def _bound_team(self, team: TeamId, most: int) -> None:
        spans: list[cp_model.IntervalVar] = []
        units: list[int] = []
        for window, begins in zip(self._windows, self.steps, strict=True):
            for step, begin in zip(window.steps, begins, strict=True):
                if step.team == team:
                    spans.append(self.cp.new_fixed_size_interval_var(begin, step.minutes, ""))
                    units.append(step.units)
        self.cp.add_cumulative(spans, units, most)

    def hint(self, starts: Sequence[int], steps: Sequence[Sequence[int]]) -> None:
        """Offers a solution to start from."""
        self.cp.clear_hints()  # type: ignore[no-untyped-call]
        for start, chosen, opening in zip(self.starts, self._at, starts, strict=True):
            self.cp.add_hint(start, opening)
            for at, is_it in chosen.items():
                self.cp.add_hint(is_it, at == opening)
        for opening, begins, offsets in zip(starts, self.steps, steps, strict=True):
            for begin, offset in zip(begins, offsets, strict=True):
                self.cp.add_hint(begin, opening + offset)


def _solve(model: _DayModel, effort: float) -> DayPlan | None:
    """One thread, so that equal models end equally."""
    solver = cp_model.CpSolver()
    solver.parameters.random_seed = SEED
    solver.parameters.num_workers = 1
    solver.parameters.max_deterministic_time = effort
    solver.parameters.catch_sigint_signal = False  # else it leaves the process without anybody's own Ctrl-C handler
    status = solver.solve(model.cp)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None
    return DayPlan(
        starts=tuple(solver.value(start) for start in model.starts),
        steps=tuple(
            tuple(solver.value(begin) - solver.value(start) for begin in begins)
            for start, begins in zip(model.starts, model.steps, strict=True)
        ),
        proven=status == cp_model.OPTIMAL,
        effort=solver.response_proto.deterministic_time,
    )
