"""Lower bounds of a makespan that need no search: critical path, energy, and tasks that exclude each other."""

from collections.abc import Sequence

from fermata.planning.rcpsp.project import Project, Task, sort_tasks


def earliest_starts(tasks: Sequence[Task], order: Sequence[int], successors: Sequence[Sequence[int]]) -> list[int]:
    """By task, the longest way to its start; `order` has every task after those that it succeeds."""
    heads = [0] * len(tasks)
    for index in order:
        end = heads[index] + tasks[index].duration
        for successor in successors[index]:
            heads[successor] = max(heads[successor], end)
    return heads


def longest_tails(tasks: Sequence[Task], order: Sequence[int], successors: Sequence[Sequence[int]]) -> list[int]:
    """By task, the longest way from its start to the end of all, its own duration included."""
    tails = [0] * len(tasks)
    for index in reversed(order):
        after = max((tails[successor] for successor in successors[index]), default=0)
        tails[index] = tasks[index].duration + after
    return tails


def lower_bound(project: Project) -> int:
    """No schedule of the project is shorter."""
    order = sort_tasks(project.tasks)
    successors = [task.successors for task in project.tasks]
    heads = earliest_starts(project.tasks, order, successors)
    tails = longest_tails(project.tasks, order, successors)
    path = max(tails)
    return max(path, _energy_bound(project, heads, tails), _exclusion_bound(project, heads, tails))


def _energy_bound(project: Project, heads: Sequence[int], tails: Sequence[int]) -> int:
    """Tasks that cannot start before `a` and after whose end `b` must still pass need their energy in between."""
    best = 0
    rest = [tail - task.duration for task, tail in zip(project.tasks, tails, strict=True)]
    by_rest = sorted(range(len(project.tasks)), key=lambda index: -rest[index])
    for number, resource in enumerate(project.resources):
        energy = [task.duration * task.demands[number] for task in project.tasks]
        users = [index for index in by_rest if energy[index]]
        for head in sorted({heads[index] for index in users}):
            total = 0
            for index in users:
                if heads[index] >= head:
                    total += energy[index]
                    best = max(best, head - (-total // resource.capacity) + rest[index])
    return best


def _exclusion_bound(project: Project, heads: Sequence[int], tails: Sequence[int]) -> int:
    """Tasks of which no two may overlap follow each other. One such set is gathered around each task, longest first."""
    tasks = project.tasks
    excludes = _find_exclusions(project)
    rest = [tail - task.duration for task, tail in zip(tasks, tails, strict=True)]
    by_length = sorted(range(len(tasks)), key=lambda index: -tasks[index].duration)
    best = 0
    for seed in range(len(tasks)):
        row, candidates = [seed], excludes[seed]
        for index in by_length:
            if index in candidates:
                row.append(index)
                candidates = candidates & excludes[index]
        length = sum(tasks[index].duration for index in row)
        best = max(best, min(heads[index] for index in row) + length + min(rest[index] for index in row))
    return best


def _find_exclusions(project: Project) -> list[set[int]]:
    """By task, the others with which it cannot overlap: before or after it by order, or together over a capacity."""
    tasks = project.tasks
    after: list[set[int]] = [set() for _ in tasks]
    for index in reversed(sort_tasks(tasks)):
        for successor in tasks[index].successors:
            after[index] |= {successor} | after[successor]
    found: list[set[int]] = [set() for _ in tasks]
    capacities = [resource.capacity for resource in project.resources]
    for one, first in enumerate(tasks):
        for two in range(one + 1, len(tasks)):
            sums = zip(first.demands, tasks[two].demands, capacities, strict=True)
            if two in after[one] or one in after[two] or any(a + b > most for a, b, most in sums):
                found[one].add(two)
                found[two].add(one)
    return found
