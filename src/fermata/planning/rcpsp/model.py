"""The solver model of a project: one interval a task, its order, one cumulative a resource; and one solve of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fermata.planning import cp_model
from fermata.planning.rcpsp.bounds import earliest_starts, longest_tails
from fermata.planning.rcpsp.budget import Budget
from fermata.planning.rcpsp.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: the best schedule no longer than `ceiling` that keeps the order of `successors`, by task.

    `order` has every task before its successors. `wants_any` is content with the first schedule found.
    """

    successors: Sequence[Sequence[int]]
    order: Sequence[int]
    ceiling: int
    hint: Sequence[int] = ()
    wants_any: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`starts` is None when none was found, which is proof where `is_complete`; no answer to it is under `bound`."""

    starts: tuple[int, ...] | None
    is_complete: bool
    bound: int


class Asked:
    """A question in the solver's terms; `stop` ends its solve from another thread."""

    def __init__(self, project: Project, question: Question) -> None:
        self._solver = cp_model.CpSolver()
        self._cp = cp_model.CpModel()
        self._starts: list[cp_model.IntVar] = []
        self._question = question
        tasks = project.tasks
        heads = earliest_starts(tasks, question.order, question.successors)
        tails = longest_tails(tasks, question.order, question.successors)
        latest = [question.ceiling - tail for tail in tails]
        self._is_void = any(head > last for head, last in zip(heads, latest, strict=True))
        self._floor = max(tails)
        if not self._is_void:
            self._build(project, heads, latest)

    def _build(self, project: Project, heads: Sequence[int], latest: Sequence[int]) -> None:
        cp, tasks, question = self._cp, project.tasks, self._question
        starts = [cp.new_int_var(head, last, "") for head, last in zip(heads, latest, strict=True)]
        self._starts = starts
        for index, those in enumerate(question.successors):
            for successor in those:
                cp.add(starts[successor] >= starts[index] + tasks[index].duration)
        intervals = [
            cp.new_fixed_size_interval_var(start, task.duration, "") for start, task in zip(starts, tasks, strict=True)
        ]
        for number, resource in enumerate(project.resources):
            users = [index for index, task in enumerate(tasks) if task.demands[number] and task.duration]
            demands = [tasks[index].demands[number] for index in users]
            cp.add_cumulative([intervals[index] for index in users], demands, resource.capacity)
        for start, hinted in zip(starts, question.hint, strict=False):
            cp.add_hint(start, hinted)
        if not question.wants_any:
            makespan = cp.new_int_var(self._floor, question.ceiling, "")
            for index, those in enumerate(question.successors):
                if not those:
                    cp.add(makespan >= starts[index] + tasks[index].duration)
            cp.minimize(makespan)

    def stop(self) -> None:
        """Ends a running solve soon; what it found counts."""
        self._solver.stop_search()

    def solve(self, budget: Budget, *, share: float, workers: int, seed: int) -> Answer:
        """One solve that takes at most `share` of what is left of the budget."""
        if self._is_void:
            return Answer(starts=None, is_complete=True, bound=self._question.ceiling + 1)
        parameters = self._solver.parameters
        parameters.random_seed = seed
        parameters.num_workers = workers
        parameters.linearization_level = 0  # measured on j120: the relaxation costs time and closes nothing
        parameters.cp_model_presolve = not self._question.wants_any  # of a move it costs more than it saves
        parameters.catch_sigint_signal = False  # else it leaves the process without anybody's own Ctrl-C handler
        limit = budget.solver_limit(share)
        if limit.is_deterministic:
            parameters.max_deterministic_time = limit.amount
            parameters.interleave_search = True
        else:
            parameters.max_time_in_seconds = limit.amount
        status = self._solver.solve(self._cp)
        budget.spend_solver(self._solver.response_proto.deterministic_time)
        complete = status in (cp_model.OPTIMAL, cp_model.INFEASIBLE)
        if status == cp_model.INFEASIBLE:
            return Answer(starts=None, is_complete=True, bound=self._question.ceiling + 1)
        bound = self._floor if self._question.wants_any else round(self._solver.best_objective_bound)
        found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
        starts = tuple(self._solver.value(start) for start in self._starts) if found else None
        return Answer(starts=starts, is_complete=complete, bound=max(bound, self._floor))
