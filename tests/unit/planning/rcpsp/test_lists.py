"""List schedules keep every rule, justification never makes one longer, and no bound is above the shortest schedule."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.planning.rcpsp.projects import (
    earliest_in_turn,
    hard_project,
    shortest_makespan,
    tiny_projects,
    two_by_two,
)

from fermata.planning.rcpsp.bounds import lower_bound
from fermata.planning.rcpsp.breeding import Population, sample_order
from fermata.planning.rcpsp.dice import Dice
from fermata.planning.rcpsp.listing import Listing, justify, place_all
from fermata.planning.rcpsp.neighbourhoods import choose_free, keep_order
from fermata.planning.rcpsp.project import Project, Resource, Task, find_violations


@given(project=tiny_projects(), seed=st.integers(0, 99))
@settings(derandomize=True, deadline=None, max_examples=150)
def test_a_list_schedule_keeps_every_rule_and_justifying_never_makes_it_longer(project: Project, seed: int) -> None:
    listing = Listing.of(project)
    finishes = place_all(listing.forward, sample_order(listing, Dice(seed), 2))
    justified = justify(listing, finishes)
    assert find_violations(project, listing.starts(finishes)) == ()
    assert find_violations(project, listing.starts(justified)) == ()
    assert max(justified) <= max(finishes)


@given(project=st.one_of(tiny_projects(), st.just(hard_project())), seed=st.integers(0, 99))
@settings(derandomize=True, deadline=None, max_examples=150)
def test_every_task_of_a_list_starts_as_early_as_those_before_it_leave_room(project: Project, seed: int) -> None:
    listing = Listing.of(project)
    order = sample_order(listing, Dice(seed), 1)
    assert listing.starts(place_all(listing.forward, order)) == earliest_in_turn(project, order)


@given(project=tiny_projects())
@settings(derandomize=True, deadline=None, max_examples=150)
def test_no_bound_is_above_the_shortest_schedule(project: Project) -> None:
    assert lower_bound(project) <= shortest_makespan(project)


def test_the_bound_sees_energy_and_exclusion_where_the_longest_path_sees_nothing() -> None:
    crew = (Resource(name="crew", capacity=4),)

    def bound_of(demand: int) -> int:
        tasks = tuple(Task(name=str(i), duration=2, demands=(demand,)) for i in range(6))
        return lower_bound(Project(name="flat", tasks=tasks, resources=crew))

    assert bound_of(2) == 6  # 24 units of energy over a capacity of 4
    assert bound_of(3) == 12  # no two of them fit together


def test_breeding_shortens_what_sampling_found() -> None:
    project = hard_project(60)
    population = Population(Listing.of(project), seed=3)
    for _ in range(12):
        population.sample()
    sampled = population.makespan
    for _ in range(300):
        population.breed()
    assert population.makespan < sampled
    assert find_violations(project, Listing.of(project).starts(population.best)) == ()


def test_a_welcomed_schedule_is_kept() -> None:
    listing = Listing.of(two_by_two())
    population, other = Population(listing, seed=1), Population(listing, seed=2)
    for member in (population, other):
        for _ in range(5):
            member.sample()
    population.welcome(other.best)
    assert population.makespan <= other.makespan


@given(seed=st.integers(0, 30), size=st.integers(1, 10))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_the_order_that_a_move_keeps_admits_the_schedule_it_came_from(seed: int, size: int) -> None:
    project = hard_project()
    listing = Listing.of(project)
    starts = listing.starts(place_all(listing.forward, sample_order(listing, Dice(seed), 1)))
    free = choose_free(project, starts, size, Dice(seed))
    kept = keep_order(project, starts, free)
    assert len(free) <= size
    for index, those in enumerate(kept.successors):
        assert set(project.tasks[index].successors) <= set(those)
        for successor in those:
            assert starts[index] + project.tasks[index].duration <= starts[successor]
            assert kept.order.index(index) < kept.order.index(successor)


def test_with_nothing_set_free_the_kept_order_alone_keeps_the_resources() -> None:
    project = hard_project()
    listing = Listing.of(project)
    starts = listing.starts(place_all(listing.forward, sample_order(listing, Dice(5), 1)))
    kept = keep_order(project, starts, frozenset())
    ordered = [
        Task(name=task.name, duration=task.duration, demands=(), successors=successors)
        for task, successors in zip(project.tasks, kept.successors, strict=True)
    ]
    free_of_resources = Listing.of(Project(name="kept", tasks=tuple(ordered), resources=()))
    earliest = free_of_resources.starts(place_all(free_of_resources.forward, kept.order))
    assert find_violations(project, earliest) == ()
