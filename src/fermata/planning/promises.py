"""Promises the end of each window that `ways` lays out: how long it takes and how sure that is, from its rehearsal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fermata.domain.fleet import Device, Node
from fermata.domain.ids import UpdateId
from fermata.domain.pending import FleetPending
from fermata.domain.plans import DeviceApplyStep
from fermata.planning.cast import find_cast
from fermata.planning.confidence import START_SLACK_MINUTES, choose_minutes, find_end_confidence, stretch_minutes
from fermata.planning.dice import Minutes, Pools
from fermata.planning.inputs import PlanningInput
from fermata.planning.rehearsal import count_needed, find_enough, rehearse
from fermata.planning.sequence import WindowSteps

# Windows this near in size are rehearsed once. Four times the nodes take 7 % longer, so a fifth more take 1 % longer:
# four minutes of a long day, where runs of one window differ by half an hour.
SIZE_STEP = 1.2
DENSITY_STEP = 1.25  # the same for how many devices a node hangs on, of which the slowest counts


Shape = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A window's length, how sure its end is, and the rehearsals behind it: minutes until enough nodes were back."""

    minutes: int
    end_confidence: float
    back: tuple[float, ...]


def stretch_promise(promise: Promise, *, longest: int, wanted: float) -> Promise:
    """The same window with up to `longest` minutes if it is less sure than `wanted`."""
    if promise.end_confidence >= wanted:
        return promise
    back = promise.back
    minutes = stretch_minutes(back, least=promise.minutes, longest=longest, wanted=wanted)
    return Promise(minutes=minutes, end_confidence=find_end_confidence(back, minutes), back=back)


class Promises:
    """Windows with equal steps, about as many nodes and about as many devices to a node are rehearsed once. `room`:
    the minutes of the longest day.
    """

    def __init__(self, inputs: PlanningInput, pending: FleetPending, *, room: int) -> None:
        self._inputs = inputs
        self._pending = pending
        self._room = room
        self._pools = Pools()
        self._played: dict[Shape, Minutes] = {}
        self._enough: dict[tuple[Shape, int], tuple[float, ...]] = {}

    def promise(self, steps: WindowSteps, nodes: Sequence[Node], devices: Sequence[Device]) -> Promise:
        """The promise of a window of these nodes and devices."""
        shape = self._shape(steps, nodes, devices)
        if shape not in self._played:
            self._played[shape] = self._rehearse(steps, nodes)
        missing = len(nodes) - count_needed(len(nodes), self._inputs.campaign.return_threshold)
        if (shape, missing) not in self._enough:
            self._enough[shape, missing] = tuple(find_enough(self._played[shape], missing).tolist())
        back = self._enough[shape, missing]
        longest = self._room - START_SLACK_MINUTES
        minutes = choose_minutes(back, least=steps.minutes, longest=longest, wanted=self._inputs.confidence)
        return Promise(minutes=minutes, end_confidence=find_end_confidence(back, minutes), back=back)

    def _rehearse(self, steps: WindowSteps, nodes: Sequence[Node]) -> Minutes:
        cast = find_cast(nodes, steps.steps, fleet=self._inputs.fleet, pending=self._pending)
        catalogue, campaign = self._inputs.catalogue, self._inputs.campaign
        return rehearse(steps.steps, cast, catalogue=catalogue, campaign=campaign, pools=self._pools)

    def _shape(self, steps: WindowSteps, nodes: Sequence[Node], devices: Sequence[Device]) -> Shape:
        order = tuple((step.step, getattr(step, "update", None), step.start, step.end) for step in steps.steps)
        return order, _bucket(len(nodes), SIZE_STEP), self._devices_shape(steps, len(nodes), devices)

    def _devices_shape(
        self, steps: WindowSteps, nodes: int, devices: Sequence[Device]
    ) -> tuple[tuple[UpdateId, int, int], ...]:
        """For each device update: about how many devices a node hangs on, and the most nodes behind one."""
        behind = {device.name: len(self._inputs.fleet.nodes_behind(device)) for device in devices}
        counts: dict[UpdateId, list[int]] = {}
        for step in steps.steps:
            if isinstance(step, DeviceApplyStep):
                counts.setdefault(step.update, []).extend(behind[name] for name in step.devices)
        return tuple(
            (update, _bucket(sum(found) / max(1, nodes), DENSITY_STEP), max(found))
            for update, found in sorted(counts.items())
        )


def _bucket(count: float, step: float) -> int:
    return round(math.log(max(1.0, count)) / math.log(step))
