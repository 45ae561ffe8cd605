"""A window as a forecast plays it: its order of play, and where each of its units stands at one moment."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from fermata.domain.fleet import Node
from fermata.domain.ids import DeviceId, NodeId
from fermata.domain.node_states import FINAL, UnitKind, UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.plans import DeviceApplyStep, DrainStep, NodeApplyStep, RebootStep, VerifyStep
from fermata.domain.scripts import NodeScript, WindowScript
from fermata.planning.dice import Columns
from fermata.planning.forecast.evidence import REBOOT, Kind, kind_of
from fermata.planning.forecast.learning import Under
from fermata.planning.forecast.normal import Floats
from fermata.planning.order_of_play import order_of_play

MINUTE = timedelta(minutes=1)
Truth = NDArray[np.bool_]

_STEP_UNDER_WAY = frozenset(
    {UnitState.DRAINING, UnitState.APPLYING, UnitState.REBOOTING, UnitState.VERIFYING, UnitState.RESETTING}
)
_BEFORE_DRAIN = frozenset({UnitState.PENDING, UnitState.LOCKED})


@dataclass(frozen=True, kw_only=True)
class DeviceGroup:
    """Devices of one step with the same nodes behind them. `rows`: of the layout's devices; `columns`: of its nodes."""

    rows: Columns
    columns: Columns


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What does not change while a window is conducted. A column per node, in the script's order; a row per device.

    `order`: groups of steps (indices) as they are played; `takes_part`: each step's columns; `domains`: a number per
    column, ascending, for its fault domain; `groups`: each device step's devices.
    """

    script: WindowScript
    column: Mapping[NodeId, int]
    row: Mapping[DeviceId, int]
    domains: Columns
    order: tuple[tuple[int, ...], ...]
    takes_part: tuple[Columns, ...]
    groups: Mapping[int, tuple[DeviceGroup, ...]]

    @property
    def nodes(self) -> int:
        """How many columns there are."""
        return len(self.column)

    @cached_property
    def known_left(self) -> dict[tuple[Sequence[int], int, bool, int, int], tuple[Columns, bool]]:
        """See `_left_of`."""
        return {}

    @cached_property
    def parts(self) -> tuple[Truth, ...]:
        """Each step's columns once more, as a truth per column."""
        found = np.zeros((len(self.takes_part), self.nodes), dtype=np.bool_)
        for part, columns in zip(found, self.takes_part, strict=True):
            part[columns] = True
        return tuple(found)


def lay_out(script: WindowScript, nodes: Mapping[NodeId, Node]) -> Layout:
    """The layout of a window; `nodes`: the fleet that it was planned for."""
    names = sorted(script.nodes, key=lambda name: script.nodes[name].rank)
    column = {name: number for number, name in enumerate(names)}
    every = np.arange(len(names))
    takes_part = [
        every
        if isinstance(step, DrainStep | VerifyStep | DeviceApplyStep)
        else np.array([column[name] for name in names if index in script.nodes[name].steps], dtype=np.intp)
        for index, step in enumerate(script.steps)
    ]
    row = {name: number for number, name in enumerate(script.devices)}
    by_place: dict[tuple[int, tuple[NodeId, ...]], list[int]] = {}
    for device in script.devices.values():
        by_place.setdefault((device.step, device.behind), []).append(row[device.device])
    groups: dict[int, list[DeviceGroup]] = {}
    for (step, behind), rows in by_place.items():
        columns = np.array([column[name] for name in behind], dtype=np.intp)
        groups.setdefault(step, []).append(DeviceGroup(rows=np.array(rows, dtype=np.intp), columns=columns))
    numbers = {domain: n for n, domain in enumerate(dict.fromkeys(nodes[name].fault_domain for name in names))}
    return Layout(
        script=script,
        column=column,
        row=row,
        domains=np.array([numbers[nodes[name].fault_domain] for name in names], dtype=np.intp),
        order=tuple(order_of_play(script.steps, takes_part, script.by_id)),
        takes_part=tuple(takes_part),
        groups={step: tuple(found) for step, found in groups.items()},
    )


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where the units of a window stand. Minutes count from `now`; arrays have a column per node, or a row per device.

    `counts`: nodes that were in service, so that their return is what the baseline waits for. `back`: those that are.
    `todo`: a row per step, what nodes have still to do, steps under way included. `at`: the step under way, -1 none;
    `elapsed`: for how long; `resets`: it is a reset, after which the step is done again. `failed`: waits for a repair.
    `idle`: nothing runs on it, so that it drains at once. `wrote`: it was rebooted in this window.
    """

    now: datetime
    counts: Truth
    back: Truth
    todo: Truth
    at: Columns
    elapsed: Floats
    resets: Truth
    failed: Truth
    idle: Truth
    wrote: Truth
    device_todo: Truth
    device_elapsed: Floats
    device_failed: Truth


def stand(layout: Layout, ops: Iterable[UnitOp], now: datetime) -> Standing:
    """Reads the rows of a window. Units that were not taken have nothing to do and count for nothing; nor do those
    that the plan does not know."""
    nodes, devices, steps = layout.nodes, len(layout.row), len(layout.script.steps)
    found = Standing(
        now=now,
        counts=np.zeros(nodes, dtype=np.bool_),
        back=np.zeros(nodes, dtype=np.bool_),
        todo=np.zeros((steps, nodes), dtype=np.bool_),
        at=np.full(nodes, -1, dtype=np.intp),
        elapsed=np.zeros(nodes),
        resets=np.zeros(nodes, dtype=np.bool_),
        failed=np.zeros(nodes, dtype=np.bool_),
        idle=np.zeros(nodes, dtype=np.bool_),
        wrote=np.zeros(nodes, dtype=np.bool_),
        device_todo=np.zeros(devices, dtype=np.bool_),
        device_elapsed=np.full(devices, -1.0),
        device_failed=np.zeros(devices, dtype=np.bool_),
    )
    for op in ops:
        if op.kind is UnitKind.DEVICE and op.unit in layout.row:
            _stand_device(found, layout.row[DeviceId(op.unit)], op)
        elif op.unit in layout.column:
            _stand_node(found, layout, op)
    return found


def _elapsed(op: UnitOp, now: datetime) -> float:
    return max(0.0, (now - (op.step_started_at or now)) / MINUTE)


def _stand_device(found: Standing, row: int, op: UnitOp) -> None:
    if op.finished_at is not None or op.state in (UnitState.PROVEN, UnitState.LEFT_OUT):
        return
    found.device_todo[row] = True
    found.device_failed[row] = op.state is UnitState.FAILED
    if op.state is UnitState.APPLYING:
        found.device_elapsed[row] = _elapsed(op, found.now)


def _stand_node(found: Standing, layout: Layout, op: UnitOp) -> None:
    column = layout.column[NodeId(op.unit)]
    found.counts[column] = op.in_service_before and op.state is not UnitState.LEFT_OUT
    found.idle[column] = not op.in_service_before
    if op.state in FINAL or op.state is UnitState.PROVEN:
        found.back[column] = True
        return
    own = layout.script.nodes[NodeId(op.unit)]
    found.failed[column] = op.state is UnitState.FAILED
    todo, found.wrote[column] = _left_of(layout, own, op)
    found.todo[todo, column] = True
    if op.state in _STEP_UNDER_WAY:
        found.at[column] = op.position if op.state is not UnitState.DRAINING else own.steps[0]
        found.elapsed[column] = _elapsed(op, found.now)
        found.resets[column] = op.state is UnitState.RESETTING


def _left_of(layout: Layout, own: NodeScript, op: UnitOp) -> tuple[Columns, bool]:
    """The steps that a node has still to do, as indices, and whether it was rebooted. Nodes stand alike in their
    hundreds, and most stand as they did at the last look.
    """
    is_drained = op.state not in _BEFORE_DRAIN and op.state is not UnitState.DRAINING
    alike = (own.steps, own.due, is_drained, op.applied, op.active)
    known = layout.known_left.get(alike)
    if known is None:
        script = layout.script
        todo = [index for index in own.steps if _is_to_do(script, own, index, op)]
        wrote = any(script.activates[index] and index not in todo for index in own.steps)
        known = layout.known_left[alike] = (np.array(todo, dtype=np.intp), wrote)
    return known


def _is_to_do(script: WindowScript, own: NodeScript, index: int, op: UnitOp) -> bool:
    step = script.steps[index]
    match step:
        case DrainStep():
            return op.state in _BEFORE_DRAIN or op.state is UnitState.DRAINING
        case NodeApplyStep():
            return not script.bits[step.update] & (op.applied | op.active)
        case RebootStep():
            return bool(script.activates[index] & own.due & ~op.active)
        case VerifyStep():
            return True
        case DeviceApplyStep():
            return False
        case _:
            assert_never(step)


def under_way(ops: Iterable[UnitOp], now: datetime) -> list[Under]:
    """The steps of these units that have not ended: they count as having taken at least this long."""
    found: list[Under] = []
    for op in ops:
        kind = kind_of(op.step) if op.state in _STEP_UNDER_WAY else None
        idle = op.state is UnitState.DRAINING and not op.in_service_before
        if kind is not None and not idle:
            found.append(Under(kind=kind, cluster=op.cluster, minutes=_elapsed(op, now)))
    return found


def kinds_of_steps(script: WindowScript) -> tuple[Kind, ...]:
    """The kind of each step of a window."""
    return tuple(kind_of(label) or REBOOT for label in script.labels)
