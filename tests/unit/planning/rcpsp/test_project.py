"""What makes a project impossible is said by name, and what is wrong with a schedule too."""

import pytest
from tests.unit.planning.rcpsp.projects import two_by_two

from fermata.planning.rcpsp.project import HORIZON_MAX, Project, Resource, Task, find_violations

CREW = Resource(name="crew", capacity=2)


def task(name: str, *successors: int, duration: int = 1, demands: tuple[int, ...] = (1,)) -> Task:
    return Task(name=name, duration=duration, demands=demands, successors=successors)


@pytest.mark.parametrize(
    ("tasks", "sentence"),
    [
        ((), "The project has no task."),
        ((task("a", duration=-1),), "Task a has a negative duration, -1."),
        ((task("a", demands=(3,)),), "Task a asks for 3 of crew, which has 2."),
        ((task("a", demands=(-1,)),), "Task a asks for -1 of crew; it must be 0 or more."),
        ((task("a", demands=(1, 1)),), "Task a has 2 demands where the project has 1 resources."),
        ((task("a", 1),), "Task a has a successor that is no task of the project."),
        ((task("a", 0),), "Tasks wait for each other in a circle: a before a."),
        ((task("z", 1), task("a", 2), task("b", 3), task("c", 1)), "circle: a before b before c before a."),
        ((task("a", duration=HORIZON_MAX + 1),), "All durations together are 1,000,001"),
    ],
)
def test_an_impossible_project_is_refused_by_name(tasks: tuple[Task, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match="^.*" + sentence.replace(".", r"\.")):
        Project(name="bad", tasks=tasks, resources=(CREW,))


def test_a_task_of_no_length_may_ask_for_anything() -> None:
    assert Project(name="fine", tasks=(task("a", duration=0, demands=(9,)),), resources=(CREW,)).tasks


@pytest.mark.parametrize(
    ("starts", "sentence"),
    [
        ((-1, 1), "Task a starts before 0."),
        ((0, 1), "Task b starts before task a ends."),
        ((0, 2), None),
    ],
)
def test_a_schedule_that_breaks_the_order_is_told(starts: tuple[int, ...], sentence: str | None) -> None:
    project = Project(name="two", tasks=(task("a", 1, duration=2), task("b")), resources=(CREW,))
    assert find_violations(project, starts)[:1] == ((sentence,) if sentence else ())


def test_a_schedule_that_overdraws_a_resource_is_told_with_the_moment() -> None:
    assert find_violations(two_by_two(4), (0, 1, 3, 3)) == ("crew is overdrawn at 3: 3.",)
