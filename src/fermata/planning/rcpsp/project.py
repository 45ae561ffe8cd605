"""A project to schedule, what makes one impossible, and the plain check of a schedule. Read by everything beside it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

HORIZON_MAX = 1_000_000  # sum of all durations: lists of this length are still quick to make; PSPLIB stays under 2,000

TASKS_MAX = 2_000  # the bounds look at every pair of tasks; this many take seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What tasks share; `capacity` units of it are there at every moment."""

    name: str
    capacity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """`demands` holds units per resource of the project, in its order; `successors` are indices of tasks that start
    no earlier than this one ends. A duration of 0 takes nothing.
    """

    name: str
    duration: int
    demands: tuple[int, ...]
    successors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectFault:
    """Why a project cannot be scheduled. `task` is the index of the one at fault, None when it is none alone."""

    task: int | None
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Tasks and resources. Raises ValueError with every fault when no schedule of them can exist."""

    name: str
    tasks: tuple[Task, ...]
    resources: tuple[Resource, ...]

    def __post_init__(self) -> None:
        faults = find_faults(self.tasks, self.resources)
        if faults:
            raise ValueError("; ".join(fault.sentence for fault in faults))


def find_faults(tasks: Sequence[Task], resources: Sequence[Resource]) -> tuple[ProjectFault, ...]:
    """Everything that makes a project impossible; its order is judged only when all else is sound."""
    faults = tuple(fault for index in range(len(tasks)) for fault in _task_faults(index, tasks, resources))
    total = sum(task.duration for task in tasks)
    if not tasks:
        faults += (ProjectFault(task=None, sentence="The project has no task."),)
    if len(tasks) > TASKS_MAX:
        sentence = f"The project has {len(tasks):,} tasks, more than the {TASKS_MAX:,} that are scheduled."
        faults += (ProjectFault(task=None, sentence=sentence),)
    if total > HORIZON_MAX:
        sentence = f"All durations together are {total:,}, more than the {HORIZON_MAX:,} that are scheduled."
        faults += (ProjectFault(task=None, sentence=sentence),)
    return faults or _order_faults(tasks)


def _task_faults(index: int, tasks: Sequence[Task], resources: Sequence[Resource]) -> Iterator[ProjectFault]:
    task = tasks[index]
    if task.duration < 0:
        yield ProjectFault(task=index, sentence=f"Task {task.name} has a negative duration, {task.duration}.")
    if len(task.demands) != len(resources):
        counts = f"{len(task.demands)} demands where the project has {len(resources)} resources"
        yield ProjectFault(task=index, sentence=f"Task {task.name} has {counts}.")
        return
    for resource, demand in zip(resources, task.demands, strict=True):
        if demand < 0:
            sentence = f"Task {task.name} asks for {demand} of {resource.name}; it must be 0 or more."
            yield ProjectFault(task=index, sentence=sentence)
        if demand > resource.capacity and task.duration > 0:
            sentence = f"Task {task.name} asks for {demand} of {resource.name}, which has {resource.capacity}."
            yield ProjectFault(task=index, sentence=sentence)
    for successor in task.successors:
        if not 0 <= successor < len(tasks):
            yield ProjectFault(task=index, sentence=f"Task {task.name} has a successor that is no task of the project.")


def _order_faults(tasks: Sequence[Task]) -> tuple[ProjectFault, ...]:
    order = sort_tasks(tasks)
    if len(order) == len(tasks):
        return ()
    circle = _find_circle(tasks, set(range(len(tasks))) - set(order))
    told = " before ".join(tasks[index].name for index in (*circle, circle[0]))
    return (ProjectFault(task=circle[0], sentence=f"Tasks wait for each other in a circle: {told}."),)


def sort_tasks(tasks: Sequence[Task]) -> tuple[int, ...]:
    """Indices with every task after its predecessors, otherwise in their own order; those in or after a circle are left
    out.
    """
    waits = [0] * len(tasks)
    for task in tasks:
        for successor in task.successors:
            waits[successor] += 1
    order: list[int] = []
    ready = [index for index in range(len(tasks)) if not waits[index]]
    while ready:
        order.extend(ready)
        freed = []
        for index in ready:
            for successor in tasks[index].successors:
                waits[successor] -= 1
                if not waits[successor]:
                    freed.append(successor)
        ready = sorted(freed)
    return tuple(order)


def _find_circle(tasks: Sequence[Task], stuck: set[int]) -> tuple[int, ...]:
    """One circle among tasks each of which waits for another of them, begun at its first task."""
    before: dict[int, int] = {}
    for index in sorted(stuck):
        for successor in tasks[index].successors:
            before.setdefault(successor, index)
    path = [min(stuck)]
    while path[-1] not in path[:-1]:
        path.append(before[path[-1]])
    circle = path[path.index(path[-1]) : -1][::-1]
    first = circle.index(min(circle))
    return (*circle[first:], *circle[:first])


def find_violations(project: Project, starts: Sequence[int]) -> tuple[str, ...]:
    """What is wrong with a schedule, in plain sentences: a start before 0, an order not kept, a resource overdrawn."""
    found = []
    for index, task in enumerate(project.tasks):
        if starts[index] < 0:
            found.append(f"Task {task.name} starts before 0.")
        found += [
            f"Task {project.tasks[other].name} starts before task {task.name} ends."
            for other in task.successors
            if starts[other] < starts[index] + task.duration
        ]
    for number, resource in enumerate(project.resources):
        used: dict[int, int] = defaultdict(int)
        for task, start in zip(project.tasks, starts, strict=True):
            for moment in range(start, start + task.duration):
                used[moment] += task.demands[number]
        over = [moment for moment in sorted(used) if used[moment] > resource.capacity]
        found += [f"{resource.name} is overdrawn at {moment}: {used[moment]}." for moment in over[:1]]
    return tuple(found)
