"""Solves a project: bounds and list schedules first, then the solver on the whole, then breeding of list schedules
beside large-neighbourhood moves, until the best schedule meets the bound or the budget ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fermata.planning.rcpsp.bounds import lower_bound
from fermata.planning.rcpsp.breeding import SCHEDULES_EACH, Population
from fermata.planning.rcpsp.budget import Budget
from fermata.planning.rcpsp.dice import Dice
from fermata.planning.rcpsp.listing import Listing, justify
from fermata.planning.rcpsp.model import Asked, Question
from fermata.planning.rcpsp.neighbourhoods import choose_free, keep_order
from fermata.planning.rcpsp.project import Project, find_violations, sort_tasks
from fermata.planning.rcpsp.race import Lane, Race

FIRST_SAMPLES = 20  # enough to meet the bound of most easy projects, in milliseconds
MEMBERS = 100  # of the population; fewer grow alike within a second or two
PLACING_EFFORT = 4e-6  # units for a task of a list schedule: about its seconds on a common core
WHOLE_SHARE = 0.1  # of the budget for the first solve of the whole: what is easy to prove is proven by then
ROUNDS = (0.3, 0.5, 1.0)  # share of what is left that each round of both lanes takes
CLOSE = 0.05  # gap up to which the solver goes on with the whole project: a wider one it hardly ever closes
SMALL = 40  # tasks up to which it always does: moves and breeding stay where they are, the search comes through
MOVE_EFFORT = 0.01  # units for making one move ready; one that the longest ways rule out takes the solver nothing
MOVE_LIMIT = 0.25  # seconds or units of one move; a move that takes longer seldom finds anything
SIZE_FIRST, SIZE_LEAST = 20, 6  # tasks that a move sets free
GROWTH, SHRINKAGE = 1.03, 0.97  # of that size, after a move that was searched through, or was not
STRICT_SHARE = 0.7  # of the moves ask for something shorter; the others take what is as short, which leads elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Start times by task, from 0; no schedule of the project is shorter than `bound`."""

    starts: tuple[int, ...]
    makespan: int
    bound: int

    @property
    def is_proven(self) -> bool:
        """True when nothing shorter exists."""
        return self.makespan <= self.bound


def solve_project(project: Project, budget: Budget, *, seed: int = 1, workers: int = 2) -> Schedule:
    """The shortest schedule found within the budget. With `Effort`, equal inputs give the equal schedule."""
    search = _Search(project, seed=seed, workers=workers)
    search.sample(FIRST_SAMPLES, budget)
    if not search.race.is_settled:
        search.ask_whole(budget, share=WHOLE_SHARE, workers=workers)
    if not search.race.is_settled:
        search.sample(MEMBERS - FIRST_SAMPLES, budget)
    for share in ROUNDS:
        if not search.race.is_settled:
            budget.run_lanes((search.search_lane, search.breed_lane), share)
    violations = find_violations(project, search.race.starts)
    assert not violations, violations
    return Schedule(starts=search.race.starts, makespan=search.race.makespan, bound=search.race.bound)


class _Search:
    """What the stages of one call share."""

    def __init__(self, project: Project, *, seed: int, workers: int) -> None:
        self._project = project
        self._listing = Listing.of(project)
        self._population = Population(self._listing, seed)
        self._dice = Dice(seed + 1)
        self._seed = seed
        self._side_workers = max(1, workers - 1)  # beside the list schedules, which keep one core
        self._size = float(SIZE_FIRST)
        self._around: tuple[int, ...] = ()  # starts of the schedule that moves start from
        self._listed: list[int] = []  # finish times of the population's best, as told
        self.race = Race(self._listing.forward.durations, lower_bound(project))

    def sample(self, count: int, budget: Budget) -> None:
        """Members for the population; at least one, so that there always is a schedule."""
        for number in range(count):
            if number and (budget.left() <= 0 or self.race.is_settled):
                return
            self._population.sample()
            self._count_lists(budget)

    def breed_lane(self, budget: Budget) -> None:
        """Breeds until the budget ends, and takes in what the other lane found."""
        while budget.left() > 0 and not self.race.is_settled:
            if self.race.makespan < self._population.makespan:
                self._population.welcome(self._listing.finishes(self.race.starts))
            self._population.breed()
            self._count_lists(budget)

    def search_lane(self, budget: Budget) -> None:
        """The whole project where it or the gap is small, moves around the best schedule otherwise."""
        if len(self._project.tasks) <= SMALL or self.race.makespan <= self.race.bound * (1 + CLOSE):
            self.ask_whole(budget, share=1.0, workers=self._side_workers)
        self._around = self.race.starts
        while (left := budget.left()) > 0 and not self.race.is_settled:
            if self.race.makespan < self._length(self._around):
                self._around = self.race.starts
            self._move(budget, min(1.0, MOVE_LIMIT / left))

    def ask_whole(self, budget: Budget, *, share: float, workers: int) -> None:
        """The solver on the whole project, asked for something shorter than the best."""
        tasks = self._project.tasks
        question = Question(
            successors=self._listing.successors,
            order=sort_tasks(tasks),
            ceiling=self.race.makespan,
            hint=self.race.starts,
        )
        asked = Asked(self._project, question)
        self.race.when_settled(asked.stop)
        if self.race.is_settled:  # by the other lane, while the model was built
            return
        answer = asked.solve(budget, share=share, workers=workers, seed=self._seed)
        self.race.when_settled(None)
        self.race.raise_bound(answer.bound)
        if answer.starts is not None:
            self.race.offer(Lane.SOLVER, answer.starts)

    def _move(self, budget: Budget, share: float) -> None:
        makespan = self._length(self._around)
        size = max(SIZE_LEAST, int(self._size * (0.6 + 0.8 * self._dice.share())))
        is_strict = self._dice.share() < STRICT_SHARE
        free = choose_free(self._project, self._around, size, self._dice)
        kept = keep_order(self._project, self._around, free)
        question = Question(
            successors=kept.successors,
            order=kept.order,
            ceiling=makespan - 1 if is_strict else makespan,
            wants_any=is_strict,
        )
        budget.spend(MOVE_EFFORT)
        seed = self._dice.below(2**31 - 1)
        answer = Asked(self._project, question).solve(budget, share=share, workers=1, seed=seed)
        if is_strict:
            grown = self._size * (GROWTH if answer.is_complete else SHRINKAGE)
            self._size = min(max(grown, SIZE_LEAST), len(self._project.tasks))
        if answer.starts is not None:
            finishes = justify(self._listing, self._listing.finishes(answer.starts))
            self._around = tuple(self._listing.starts(finishes))
            self.race.offer(Lane.SOLVER, self._around)

    def _length(self, starts: Sequence[int]) -> int:
        return max(self._listing.finishes(starts))

    def _count_lists(self, budget: Budget) -> None:
        """Counts one more member of the population, and tells when it is the shortest."""
        budget.spend(SCHEDULES_EACH * len(self._project.tasks) * PLACING_EFFORT)
        if self._listed is not self._population.best:
            self._listed = self._population.best
            self.race.offer(Lane.LISTS, self._listing.starts(self._listed))
