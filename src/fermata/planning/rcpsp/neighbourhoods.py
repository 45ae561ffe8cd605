"""Moves of the large-neighbourhood search: which tasks are set free, and the order that the others keep."""

from collections.abc import Sequence
from dataclasses import dataclass

from fermata.planning.rcpsp.dice import Dice
from fermata.planning.rcpsp.project import Project, sort_tasks

WINDOW_SHARE = 0.7  # of the moves free a stretch of time; most gains are found there
RESOURCE_SHARE = 0.2  # free users of one resource over a longer stretch; the rest free tasks from anywhere
LONGER = 2.0  # that stretch holds so many times the tasks that are set free


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Successors by task, those of the project and those that were kept; `order` has every task before its own."""

    successors: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]


def choose_free(project: Project, starts: Sequence[int], size: int, dice: Dice) -> frozenset[int]:
    """About `size` tasks that a move may put elsewhere."""
    kind = dice.share()
    real = [index for index, task in enumerate(project.tasks) if task.duration]
    if kind >= WINDOW_SHARE + RESOURCE_SHARE:
        return frozenset(real[place] for place in dice.several(size, len(real)))
    makespan = max(starts[index] + project.tasks[index].duration for index in real)
    centre = dice.share() * makespan

    def distance(index: int) -> tuple[float, int]:
        return abs(starts[index] + project.tasks[index].duration / 2 - centre), index

    near = sorted(real, key=distance)
    if kind < WINDOW_SHARE or not project.resources:
        return frozenset(near[:size])
    resource = dice.below(len(project.resources))
    users = [index for index in near[: int(size * LONGER)] if project.tasks[index].demands[resource]]
    return frozenset(users[:size])


def keep_order(project: Project, starts: Sequence[int], free: frozenset[int]) -> Order:
    """What stays when `free` tasks are let go: of all others, who hands units of a resource on to whom.

    The chains are those of Policella et al. (2004): each unit goes from task to task, from predecessors first.
    """
    tasks = project.tasks
    rank = {index: place for place, index in enumerate(sort_tasks(tasks))}
    order = tuple(sorted(rank, key=lambda index: (starts[index], rank[index])))
    kept = [index for index in order if index not in free and tasks[index].duration]
    successors: list[set[int]] = [set(task.successors) for task in tasks]
    for number, resource in enumerate(project.resources):
        holders = {-1: resource.capacity}  # units by the task that used them last; -1: nobody yet
        for index in kept:
            needed = tasks[index].demands[number]
            if not needed:
                continue
            givers = [h for h in holders if h < 0 or starts[h] + tasks[h].duration <= starts[index]]
            givers.sort(key=lambda h, index=index: (h >= 0 and index not in successors[h], -holders[h], h))  # type: ignore[misc]
            holders[index] = needed
            for giver in givers:
                given = min(needed, holders[giver])
                holders[giver] -= given
                needed -= given
                if giver >= 0:
                    successors[giver].add(index)
                if not holders[giver]:
                    del holders[giver]
                if not needed:
                    break
    return Order(successors=tuple(tuple(sorted(those)) for those in successors), order=order)
