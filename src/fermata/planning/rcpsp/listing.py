"""List schedules: tasks put in one after the other, each as early as it fits, and the double justification of a result.

A schedule is carried as finish times. The free units of all resources at one moment are packed into one whole number,
each resource in its own bits under a guard bit that a subtraction clears when the resource does not suffice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from fermata.planning.rcpsp.bounds import longest_tails
from fermata.planning.rcpsp.project import Project, sort_tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """One direction of time: `before` holds, by task, the tasks that must end first."""

    durations: tuple[int, ...]
    demands: tuple[int, ...]
    before: tuple[tuple[int, ...], ...]
    guards: int
    free: int
    horizon: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A project made ready for list schedules. `tails` holds the longest way from each start to the end."""

    forward: Packed
    backward: Packed
    successors: tuple[tuple[int, ...], ...]
    tails: tuple[int, ...]

    @classmethod
    def of(cls, project: Project) -> Self:
        """Packs the project, once for many schedules."""
        tasks = project.tasks
        successors = tuple(tuple(dict.fromkeys(task.successors)) for task in tasks)
        before: list[list[int]] = [[] for _ in tasks]
        for index, those in enumerate(successors):
            for successor in those:
                before[successor].append(index)
        forward = _pack(project, tuple(tuple(those) for those in before))
        return cls(
            forward=forward,
            backward=_pack(project, successors),
            successors=successors,
            tails=tuple(longest_tails(tasks, sort_tasks(tasks), successors)),
        )

    def starts(self, finishes: Sequence[int]) -> list[int]:
        """Start times from finish times."""
        return [end - length for end, length in zip(finishes, self.forward.durations, strict=True)]

    def finishes(self, starts: Sequence[int]) -> list[int]:
        """Finish times from start times."""
        return [start + length for start, length in zip(starts, self.forward.durations, strict=True)]


def _pack(project: Project, before: tuple[tuple[int, ...], ...]) -> Packed:
    demands = [0] * len(project.tasks)
    guards = free = shift = 0
    for number, resource in enumerate(project.resources):
        width = resource.capacity.bit_length()
        free |= (resource.capacity | 1 << width) << shift
        guards |= 1 << (shift + width)
        for index, task in enumerate(project.tasks):
            if task.duration:  # a task of no length takes nothing, whatever it asks for
                demands[index] |= task.demands[number] << shift
        shift += width + 1
    durations = tuple(task.duration for task in project.tasks)
    return Packed(
        durations=durations,
        demands=tuple(demands),
        before=before,
        guards=guards,
        free=free,
        horizon=sum(durations),
    )


def place_all(packed: Packed, order: Sequence[int]) -> list[int]:
    """Finish times by task when each is put in as early as it fits, in this order; predecessors stand before it."""
    durations, demands, before, guards = packed.durations, packed.demands, packed.before, packed.guards
    free = [packed.free] * packed.horizon
    finishes = [0] * len(durations)
    for index in order:
        start = 0
        for other in before[index]:
            if finishes[other] > start:  # noqa: PLR1730  # max() costs a call, in the innermost loop of all
                start = finishes[other]
        length, demand = durations[index], demands[index]
        end = start + length
        if demand:
            moment, fits = end - 1, start  # from the last moment back: one without room rules out all starts up to it
            while moment >= fits:
                if (free[moment] - demand) & guards == guards:
                    moment -= 1
                else:
                    fits, start = end, moment + 1  # what was looked at behind that moment has room
                    end = start + length
                    moment = end - 1
            for taken in range(start, end):
                free[taken] -= demand
        finishes[index] = end
    return finishes


def justify(listing: Listing, finishes: Sequence[int]) -> list[int]:
    """The schedule pushed to the right, then to the left again: never longer, often shorter.

    Double justification as in Valls, Ballestin and Quintanilla (2005).
    """
    count = range(len(finishes))
    late = place_all(listing.backward, sorted(count, key=lambda index: (-finishes[index], -index)))
    return place_all(listing.forward, sorted(count, key=lambda index: (-late[index], index)))
