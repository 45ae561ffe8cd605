"""Which nodes of a window go through which steps: batches cut from the nodes in order, and what that makes alike."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import compress

import numpy as np

from fermata.domain.ids import NodeId, UpdateId
from fermata.domain.plans import DrainStep, NodeApplyStep, RebootStep, VerifyStep
from fermata.planning.case import CheckCase
from fermata.planning.columns import Flags, Groups, NodeColumns, Numbers

NodeStep = DrainStep | NodeApplyStep | RebootStep | VerifyStep


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """The nodes that a step takes: all with work of the `carried` kinds from one place in batch order to another."""

    step: NodeStep
    carried: Flags
    places: Numbers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NodeClass:
    """Nodes of one window, by number, that go through exactly the same steps, ordered by start.

    `active_at`: when each own due update runs: the end of its step, or of the reboot that activates it; absent
    when it never does.
    """

    columns: NodeColumns
    numbers: Numbers
    due: tuple[UpdateId, ...]
    steps: tuple[NodeStep, ...]
    applied: Mapping[UpdateId, NodeApplyStep]
    active_at: Mapping[UpdateId, datetime]

    @property
    def names(self) -> tuple[NodeId, ...]:
        """The nodes' names, in the order of the window."""
        return self.columns.named(self.numbers)


def fits(nodes: int, steps: Iterable[NodeApplyStep | RebootStep]) -> bool:
    """True when the steps' node counts are positive and add up to `nodes`."""
    sizes = [step.nodes for step in steps]
    return all(size > 0 for size in sizes) and sum(sizes) == nodes


def cut_runs(steps: Sequence[NodeApplyStep | RebootStep], carried: Flags, places: Numbers) -> Iterator[Run]:
    """`places` in as many runs as there are steps, of as many nodes as each says."""
    begin = 0
    for step in steps:
        yield Run(step=step, carried=carried, places=places[begin : begin + step.nodes])
        begin += step.nodes


def find_classes(case: CheckCase, numbers: Numbers, order: Numbers, runs: Iterable[Run]) -> Iterator[NodeClass]:
    """`numbers` by what they go through, in the order of each class's first; `order` puts them in batch order.

    Where a run begins is a cut: between two cuts, nodes with the same work go through the same steps.
    """
    ordered = sorted((run for run in runs if run.places.size), key=lambda run: (run.step.start, run.step.end))
    kinds = case.dues.kind[numbers[order]]
    begins = np.array([run.places[0] for run in ordered], np.int64)
    ends = np.array([run.places[-1] for run in ordered], np.int64)
    cuts = np.zeros(len(kinds), np.int64)
    cuts[begins] = 1
    stretches = np.cumsum(cuts) * len(case.dues.kinds)
    _, first, cell = np.unique(stretches + kinds, return_index=True, return_inverse=True)
    carried = np.array([run.carried for run in ordered], np.bool_).reshape(len(ordered), len(case.dues.kinds))
    taken = (begins[:, None] <= first) & (first <= ends[:, None]) & carried[:, kinds[first]]
    alike: dict[tuple[int, bytes], int] = {}
    keys = zip(kinds[first].tolist(), map(np.ndarray.tobytes, np.packbits(taken, axis=0).T), strict=True)
    of_cell = np.array([alike.setdefault(key, len(alike)) for key in keys], np.int64)
    of_node = np.empty(len(numbers), np.int64)
    of_node[order] = of_cell[cell]
    members = Groups.of(of_node, len(alike))
    make = _ClassMaker(case, [run.step for run in ordered])
    speaks = dict(zip(of_cell.tolist(), range(len(of_cell)), strict=True))  # one cell for each class
    taken_by_cell = taken.T.tolist()
    for number in np.argsort(members.members[members.starts[:-1]]).tolist():
        due = case.dues.kinds[kinds[first[speaks[number]]]]
        yield make.one(numbers[members.one(number)], due, taken_by_cell[speaks[number]])


class _ClassMaker:
    """Makes the classes of one window, whose steps are read once."""

    def __init__(self, case: CheckCase, steps: Sequence[NodeStep]) -> None:
        self._columns = case.columns.nodes
        self._steps = steps
        reboots = [(index, step) for index, step in enumerate(steps) if isinstance(step, RebootStep)]
        reboots.sort(key=lambda item: item[1].end)
        self._reboots = {
            place: tuple((i, r.end) for i, r in reboots if step.end <= r.start and step.update in r.activates)
            for place, step in enumerate(steps)
            if isinstance(step, NodeApplyStep) and step.update in case.rebootful
        }

    def one(self, numbers: Numbers, due: tuple[UpdateId, ...], taken: Sequence[bool]) -> NodeClass:
        """The class of nodes that go through the steps `taken`."""
        applied: dict[UpdateId, NodeApplyStep] = {}
        active: dict[UpdateId, datetime] = {}
        for place, step in compress(enumerate(self._steps), taken):
            if isinstance(step, NodeApplyStep):
                applied.setdefault(step.update, step)
                reboots = self._reboots.get(place)
                end = step.end if reboots is None else next((end for i, end in reboots if taken[i]), None)
                if end is not None:
                    active[step.update] = end
        steps = tuple(compress(self._steps, taken))
        return NodeClass(
            columns=self._columns, numbers=numbers, due=due, steps=steps, applied=applied, active_at=active
        )
