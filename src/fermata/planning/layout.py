"""Lays out one shape of window with CP-SAT: the order of what runs in it, then when. As few reboots as it takes, then
the shortest end.

The order is chosen by likely lengths, because a switch waits for the slowest drain behind it and everybody waits for a
turn; the times that are told follow from that order and the median of one unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias

from fermata.domain.ids import UpdateId
from fermata.planning import cp_model
from fermata.planning.shape import Shape

# Deterministic time of one solve. Shapes of January take a hundredth of it; one that needs more keeps what was found.
EFFORT = 1.0
SEED = 1
SHAPES_KEPT = 512  # laid out before, in memory: a fleet has a few dozen

Linear: TypeAlias = "cp_model.LinearExprT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """When everything of a shape runs, in minutes from the window's start.

    `tasks`: the start of each task; `reboots`: for each layer, the updates that its reboot makes active and when each
    cell reboots; `verify`: the start of the verification. `proven`: no order of this shape ends sooner.
    """

    tasks: tuple[int, ...]
    reboots: tuple[tuple[tuple[UpdateId, ...], tuple[int, ...]], ...]
    verify: int
    proven: bool


@lru_cache(maxsize=SHAPES_KEPT)
def lay_out_shape(shape: Shape) -> Layout:
    """The best layout found, at worst everything one after the other. Equal shapes get equal layouts."""
    line = put_in_line(shape)
    order = _Model(shape, likely=True).solve() or line
    timed = _Model(shape, likely=False)
    timed.follow(order)
    found = timed.solve() or line
    reboots = [
        (tuple(u for u in shape.rebootful if found.layer_of[u] == number), starts)
        for number, starts in enumerate(found.reboots)
    ]
    proven = order.proven and found.proven
    return Layout(tasks=found.tasks, reboots=tuple(reboots), verify=found.verify, proven=proven)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Starts per task, per layer and cell, and of the verification; the layer of each update that needs a reboot."""

    tasks: tuple[int, ...]
    reboots: tuple[tuple[int, ...], ...]
    verify: int
    layer_of: Mapping[UpdateId, int]
    proven: bool


def put_in_line(shape: Shape) -> Placed:
    """Everything one after the other: what is left when a shape is too large to search."""
    at = shape.drain
    starts = [0] * len(shape.tasks)
    reboots: list[tuple[int, ...]] = []
    layer_of: dict[UpdateId, int] = {}
    for layer in shape.layers:
        for update in layer:
            for i, task in enumerate(shape.tasks):
                if task.update == update:
                    starts[i] = at
                    at += task.minutes.told
        active = [update for update in layer if update in shape.rebootful]
        layer_of.update(dict.fromkeys(active, len(reboots)))
        if active:
            reboots.append(tuple(at + cell * shape.reboot for cell in range(shape.cells)))
            at += shape.cells * shape.reboot
    return Placed(tasks=tuple(starts), reboots=tuple(reboots), verify=at, layer_of=layer_of, proven=False)


class _Model:
    """One shape with lengths of one kind."""

    def __init__(self, shape: Shape, *, likely: bool) -> None:
        self._shape = shape
        self._cp = cp_model.CpModel()
        self._minutes = [task.minutes.likely if likely else task.minutes.told for task in shape.tasks]
        self._horizon = self._worst_end(likely=likely)
        earliest = [max(shape.drain, task.from_likely if likely else 0) for task in shape.tasks]
        self._starts = [self._cp.new_int_var(least, self._horizon, "") for least in earliest]
        self._reboots = [
            [self._cp.new_int_var(shape.drain, self._horizon, "") for _ in range(shape.cells)]
            for _ in range(shape.reboots)
        ]
        self._verify = self._cp.new_int_var(shape.drain, self._horizon, "")
        self._is_in = {u: [self._cp.new_bool_var("") for _ in range(shape.reboots)] for u in shape.rebootful}
        self._run_apart()
        self._keep_order()
        self._reboot_in_order()
        self._reboot_after_writes()
        self._share()
        self._end()

    def _worst_end(self, *, likely: bool) -> int:
        """Everything one after the other."""
        waits = max((task.from_likely for task in self._shape.tasks), default=0) if likely else 0
        reboots = self._shape.reboots * self._shape.cells * self._shape.reboot
        return self._shape.drain + waits + sum(self._minutes) + reboots + self._shape.verify

    def _end_of(self, task: int) -> Linear:
        return self._starts[task] + self._minutes[task]

    def _interval(self, start: cp_model.IntVar, minutes: int) -> cp_model.IntervalVar:
        return self._cp.new_fixed_size_interval_var(start, minutes, "")

    def _run_apart(self) -> None:
        """A node does one thing at a time; batches of one update on devices follow each other; conflicts never meet."""
        shape = self._shape
        spans = [self._interval(start, m) for start, m in zip(self._starts, self._minutes, strict=True)]
        self._spans = spans
        for cell in range(shape.cells):
            reboots = [self._interval(starts[cell], shape.reboot) for starts in self._reboots]
            self._cp.add_no_overlap([*(s for s, t in zip(spans, shape.tasks, strict=True) if t.cell == cell), *reboots])
        for (i, earlier), (j, later) in pairwise(enumerate(shape.tasks)):
            if (earlier.update, earlier.cell) == (later.update, later.cell):
                self._cp.add(self._starts[j] >= self._end_of(i))
        for one, other in shape.apart:
            for i in self._of(one):
                for j in self._of(other):
                    self._cp.add_no_overlap([spans[i], spans[j]])

    def _of(self, update: UpdateId, cell: int | None = None) -> list[int]:
        """The tasks of an update; with `cell`, only those there or on devices."""
        return [
            i
            for i, task in enumerate(self._shape.tasks)
            if task.update == update and (cell is None or task.cell in (None, cell))
        ]

    def _keep_order(self) -> None:
        """What must be active before: in each cell for itself, on devices before anything and after everything."""
        for first, later in self._shape.before:
            for j in self._of(later):
                for i in self._of(first, self._shape.tasks[j].cell):
                    self._cp.add(self._starts[j] >= self._end_of(i))
                    for layer, is_in in enumerate(self._is_in.get(first, ())):
                        self._cp.add(self._starts[j] >= self._reboot_end(layer, i)).only_enforce_if(is_in)

    def _reboot_end(self, layer: int, task: int) -> Linear:
        """When the nodes of a task are through the reboot of a layer."""
        cell = self._shape.tasks[task].cell
        assert cell is not None, "devices are not rebooted"
        return self._reboots[layer][cell] + self._shape.reboot

    def _reboot_in_order(self) -> None:
        """Cells reboot in their order, since batches are read so; each of them once for every layer."""
        for starts in self._reboots:
            for one, other in pairwise(starts):
                self._cp.add(one <= other)
        for earlier, later in pairwise(self._reboots):
            for one, other in zip(earlier, later, strict=True):
                self._cp.add(other >= one + self._shape.reboot)

    def _reboot_after_writes(self) -> None:
        """Each update that needs it is activated by one of the reboots, the same in every cell."""
        for update, is_in in self._is_in.items():
            self._cp.add_exactly_one(is_in)
            for i in self._of(update):
                for layer, here in enumerate(is_in):
                    begin = self._reboot_end(layer, i) - self._shape.reboot
                    self._cp.add(begin >= self._end_of(i)).only_enforce_if(here)
                    if layer:
                        self._cp.add(self._starts[i] >= self._reboot_end(layer - 1, i)).only_enforce_if(here)

    def _share(self) -> None:
        for share in self._shape.shares:
            spans = [self._spans[i] for i, _ in share.uses]
            self._cp.add_cumulative(spans, [units for _, units in share.uses], share.most)

    def _end(self) -> None:
        """The end first; among equal ends, everything as early as can be."""
        ends = [self._end_of(i) for i in range(len(self._starts))]
        ends += [start + self._shape.reboot for starts in self._reboots for start in starts]
        for end in ends:
            self._cp.add(self._verify >= end)
        self._cp.minimize(self._verify * (len(ends) * self._horizon + 1) + cp_model.LinearExpr.sum(ends))

    def follow(self, other: Placed) -> None:
        """Keeps each cell's order, and which reboot activates what, as they were found."""
        for update, layer in other.layer_of.items():
            self._cp.add(self._is_in[update][layer] == 1)
        for cell in range(self._shape.cells):
            own = [(other.tasks[i], i) for i, task in enumerate(self._shape.tasks) if task.cell == cell]
            for (_, one), (_, later) in pairwise(sorted(own)):
                self._cp.add(self._starts[later] >= self._end_of(one))

    def solve(self) -> Placed | None:
        """The best that was found within the effort; one thread, so that equal models end equally."""
        solver = cp_model.CpSolver()
        solver.parameters.random_seed = SEED
        solver.parameters.num_workers = 1
        solver.parameters.max_deterministic_time = EFFORT
        solver.parameters.catch_sigint_signal = False  # else it leaves the process without anybody's own Ctrl-C handler
        status = solver.solve(self._cp)
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return None
        return Placed(
            tasks=_values(solver, self._starts),
            reboots=tuple(_values(solver, starts) for starts in self._reboots),
            verify=solver.value(self._verify),
            layer_of={u: [solver.boolean_value(x) for x in is_in].index(True) for u, is_in in self._is_in.items()},
            proven=status == cp_model.OPTIMAL,
        )


def _values(solver: cp_model.CpSolver, variables: Sequence[cp_model.IntVar]) -> tuple[int, ...]:
    return tuple(solver.value(variable) for variable in variables)
