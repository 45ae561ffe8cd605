"""Tiny projects, drawn by Hypothesis or written down, and their shortest schedule by trying every list."""

from collections.abc import Sequence
from itertools import count as count_from
from itertools import permutations

from hypothesis import strategies as st

from fermata.planning.rcpsp.listing import Listing, place_all
from fermata.planning.rcpsp.project import Project, Resource, Task


@st.composite
def tiny_projects(draw: st.DrawFn) -> Project:
    """At most six tasks, an order among some of them that follows their numbers, and up to two resources."""
    capacities = draw(st.lists(st.integers(1, 4), max_size=2))
    count = draw(st.integers(1, 6))
    tasks = [
        Task(
            name=str(index),
            duration=draw(st.integers(0, 4)),
            demands=tuple(draw(st.integers(0, capacity)) for capacity in capacities),
            successors=tuple(other for other in range(index + 1, count) if draw(st.integers(0, 3)) == 0),
        )
        for index in range(count)
    ]
    resources = tuple(Resource(name=f"R{i}", capacity=capacity) for i, capacity in enumerate(capacities, start=1))
    return Project(name="tiny", tasks=tuple(tasks), resources=resources)


def shortest_makespan(project: Project) -> int:
    """The least over every list that keeps the order: one of them gives a shortest schedule."""
    packed = Listing.of(project).forward
    return min(
        max(place_all(packed, order))
        for order in permutations(range(len(project.tasks)))
        if all(order.index(i) < order.index(j) for i, task in enumerate(project.tasks) for j in task.successors)
    )


def earliest_in_turn(project: Project, order: Sequence[int]) -> list[int]:
    """Start times when each task of a list takes the first start at which it fits, tried one after the other."""
    starts: dict[int, int] = {}

    def has_room(index: int, start: int) -> bool:
        task = project.tasks[index]
        return all(
            task.demands[number]
            + sum(
                project.tasks[other].demands[number]
                for other, begin in starts.items()
                if begin <= moment < begin + project.tasks[other].duration
            )
            <= resource.capacity
            for number, resource in enumerate(project.resources)
            for moment in range(start, start + task.duration)
        )

    for index in order:
        before = [other for other in starts if index in project.tasks[other].successors]
        earliest = max((starts[other] + project.tasks[other].duration for other in before), default=0)
        starts[index] = next(start for start in count_from(earliest) if has_room(index, start))
    return [starts[index] for index in range(len(project.tasks))]


def two_by_two(count: int = 8) -> Project:
    """Tasks of length 1 to 3 in turn that share two units, each asking for one or two of them; no order."""
    tasks = tuple(
        Task(name=str(index), duration=index % 3 + 1, demands=(index % 2 + 1,), successors=()) for index in range(count)
    )
    return Project(name="pairs", tasks=tasks, resources=(Resource(name="crew", capacity=2),))


def hard_project(count: int = 24) -> Project:
    """Tasks whose demands never fill both resources evenly: no simple bound meets the shortest schedule."""
    tasks = tuple(
        Task(
            name=str(index),
            duration=index * 7 % 5 + 2,
            demands=(index * 5 % 4 + 1, index * 3 % 5),
            successors=tuple(other for other in (index + 3, index + 7) if other < count and index % 4),
        )
        for index in range(count)
    )
    return Project(
        name="hard", tasks=tasks, resources=(Resource(name="R1", capacity=6), Resource(name="R2", capacity=7))
    )
