"""The steps of one window: drain, updates of devices and nodes in batches, as few reboots as activation order allows,
verify. Lengths are whole minutes. What is due comes from `work`, when it runs from `layout`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import groupby

import numpy as np

from fermata.domain.fleet import Device, Fleet, Node
from fermata.domain.ids import UpdateId
from fermata.domain.pending import FleetPending
from fermata.domain.plans import DeviceApplyStep, DrainStep, NodeApplyStep, RebootStep, Step, VerifyStep
from fermata.domain.updates import Catalogue
from fermata.planning.encoding import TeamUse
from fermata.planning.layout import Layout, lay_out_shape
from fermata.planning.shape import Shape, Task, find_shape
from fermata.planning.work import BatchSizes, Cells, Columns, WindowWork, cut_cells, find_cells, gather_work

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # steps are laid out from here and shifted when their window has a start
INSTANTS_KEPT = 4096  # in memory, of minutes into a window


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSteps:
    """The steps of a window that starts at EPOCH, in order of their start, and what follows from them."""

    steps: tuple[Step, ...]
    updates: tuple[UpdateId, ...]
    reboots_per_node: int
    team_uses: tuple[TeamUse, ...]

    @property
    def minutes(self) -> int:
        """The length of the window."""
        return (self.steps[-1].end - EPOCH) // timedelta(minutes=1)


def lay_out_window(
    nodes: Sequence[Node], devices: Sequence[Device], *, fleet: Fleet, pending: FleetPending, catalogue: Catalogue
) -> WindowSteps:
    """The steps that bring every due update to `nodes` and `devices`. Raises CircularOrder if no order exists."""
    work = gather_work(nodes, devices, fleet=fleet, pending=pending, catalogue=catalogue)
    cells = find_cells(work)
    sizes = cut_cells(work, cells)
    shape = find_shape(work, len(cells), sizes)
    layout = lay_out_shape(shape)
    applies: list[DeviceApplyStep | NodeApplyStep] = [
        *_write_on_devices(work, shape, layout),
        *_write_on_nodes(sizes, shape, layout),
    ]
    return _write_steps(work, cells, shape, layout, applies)


@lru_cache(maxsize=INSTANTS_KEPT)
def after_epoch(minutes: int) -> datetime:
    """The instant so many minutes into a window."""
    return EPOCH + timedelta(minutes=minutes)


def shift_steps(steps: Sequence[Step], start: datetime) -> tuple[Step, ...]:
    """The same steps in a window that starts at `start`."""
    by = start - EPOCH
    return tuple(replace(step, start=step.start + by, end=step.end + by) for step in steps)


def extend_verify(laid_out: WindowSteps, minutes: int) -> WindowSteps:
    """The same window with its last step, which waits for the late ones, ending after `minutes` if it ended before."""
    last = laid_out.steps[-1]
    end = max(last.end, after_epoch(minutes))
    return replace(laid_out, steps=(*laid_out.steps[:-1], replace(last, end=end)))


def _write_steps(
    work: WindowWork, cells: Cells, shape: Shape, layout: Layout, applies: Sequence[DeviceApplyStep | NodeApplyStep]
) -> WindowSteps:
    """The steps of a window with that work, as its shape was laid out, around those that write."""
    drains = [DrainStep(start=EPOCH, end=after_epoch(shape.drain))] if shape.drain else []
    reboots, counts = _write_reboots(work, cells, shape, layout)
    verify = VerifyStep(start=after_epoch(layout.verify), end=after_epoch(layout.verify + shape.verify))
    before: list[Step] = [*drains, *applies, *reboots]
    return WindowSteps(
        steps=(*sorted(before, key=lambda step: step.start), verify),
        updates=tuple(sorted(work.updates)),
        reboots_per_node=int(counts.max(initial=0)),
        team_uses=tuple(_team_use(work, step) for step in applies),
    )


def _write_on_devices(work: WindowWork, shape: Shape, layout: Layout) -> list[DeviceApplyStep]:
    batches = work.batches_of_devices
    return [
        DeviceApplyStep(
            update=task.update,
            devices=tuple(device.name for device in batches[task.update][task.batch]),
            batch=task.batch + 1,
            batches=len(batches[task.update]),
            start=after_epoch(start),
            end=after_epoch(start + task.minutes.told),
        )
        for task, start in zip(shape.tasks, layout.tasks, strict=True)
        if task.cell is None
    ]


def _write_on_nodes(batches: BatchSizes, shape: Shape, layout: Layout) -> list[NodeApplyStep]:
    """Batches are numbered in the order in which nodes are cut into them, which is the order of the tasks."""
    placed = [(t, at) for t, at in zip(shape.tasks, layout.tasks, strict=True) if t.cell is not None]
    steps: list[NodeApplyStep] = []
    for name, group in groupby(placed, key=lambda pair: pair[0].update):
        own = list(group)
        sizes = [size for cell in batches[name] for size in cell]
        for number, ((task, start), size) in enumerate(zip(own, sizes, strict=True), start=1):
            steps.append(_write_batch(task, start, number, len(own), size))
    return steps


def _write_batch(task: Task, start: int, number: int, batches: int, size: int) -> NodeApplyStep:
    return NodeApplyStep(
        update=task.update,
        batch=number,
        batches=batches,
        nodes=size,
        start=after_epoch(start),
        end=after_epoch(start + task.minutes.told),
    )


def _write_reboots(work: WindowWork, cells: Cells, shape: Shape, layout: Layout) -> tuple[list[RebootStep], Columns]:
    """One step for all cells that reboot at the same time; with it, how often each node reboots."""
    steps: list[RebootStep] = []
    counts = np.zeros(len(work.nodes), dtype=np.intp)
    for activates, starts in layout.reboots:
        due = np.zeros(len(work.nodes), dtype=np.bool_)
        for update in activates:
            due[work.nodes_of[update]] = True
        counts += due
        sizes: dict[int, int] = {}
        for (first, until), start in zip(cells, starts, strict=True):
            sizes[start] = sizes.get(start, 0) + int(np.count_nonzero(due[first:until]))
        for start, nodes in sizes.items():
            if nodes:
                end = after_epoch(start + shape.reboot)
                steps.append(RebootStep(nodes=nodes, activates=activates, start=after_epoch(start), end=end))
    return steps, counts


def _team_use(work: WindowWork, step: DeviceApplyStep | NodeApplyStep) -> TeamUse:
    minute = timedelta(minutes=1)
    return TeamUse(
        team=work.updates[step.update].owner_team,
        start=(step.start - EPOCH) // minute,
        end=(step.end - EPOCH) // minute,
        units=step.nodes if isinstance(step, NodeApplyStep) else len(step.devices),
    )
