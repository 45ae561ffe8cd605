"""The solver agrees with trying everything, repeats itself, and always says something true."""

from hypothesis import given, settings
from tests.unit.planning.rcpsp.projects import hard_project, shortest_makespan, tiny_projects, two_by_two

from fermata.planning.rcpsp.budget import Effort, Seconds
from fermata.planning.rcpsp.project import Project, Resource, Task, find_violations
from fermata.planning.rcpsp.solve import solve_project


@given(project=tiny_projects())
@settings(derandomize=True, deadline=None, max_examples=80)
def test_tiny_projects_are_solved_as_trying_every_list_solves_them(project: Project) -> None:
    found = solve_project(project, Effort(5.0))
    assert found.is_proven
    assert found.makespan == found.bound == shortest_makespan(project)
    assert find_violations(project, found.starts) == ()


def test_equal_effort_gives_equal_schedules() -> None:
    one, two = (solve_project(hard_project(40), Effort(0.8), seed=7) for _ in range(2))
    assert one == two


def test_every_stage_gives_a_sound_schedule_and_a_bound_under_it() -> None:
    project = hard_project(60)
    for units in (0.0, 0.01, 0.5):
        found = solve_project(project, Effort(units))
        assert find_violations(project, found.starts) == ()
        assert found.bound <= found.makespan


def test_more_effort_is_never_worse() -> None:
    project = hard_project(60)
    spans = [solve_project(project, Effort(units)).makespan for units in (0.0, 0.2, 1.0)]
    assert spans == sorted(spans, reverse=True)
    assert spans[-1] < spans[0]


def test_no_second_at_all_still_gives_a_schedule() -> None:
    found = solve_project(two_by_two(), Seconds(remaining=lambda: 0.0))
    assert find_violations(two_by_two(), found.starts) == ()


def test_the_lanes_end_when_the_seconds_do() -> None:
    ticks = iter(range(10**9))
    found = solve_project(hard_project(60), Seconds(remaining=lambda: 1.0 - next(ticks) * 0.004))
    assert find_violations(hard_project(60), found.starts) == ()


def test_a_project_of_no_length_is_done_at_once() -> None:
    nothing = Project(
        name="none",
        tasks=(
            Task(name="start", duration=0, demands=(0,), successors=(1,)),
            Task(name="end", duration=0, demands=(5,)),
        ),
        resources=(Resource(name="crew", capacity=0),),
    )
    found = solve_project(nothing, Effort(0.0))
    assert (found.makespan, found.bound, found.is_proven) == (0, 0, True)
