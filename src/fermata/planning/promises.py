"""Promises the end of each window that `ways` lays out: how long it takes and how sure that is, from its rehearsal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fermata.domain.fleet import Device, Node
from fermata.domain.ids import UpdateId
from fermata.domain.pending import FleetPending
from fermata.domain.plans import DeviceApplyStep
from fermata.planning.confidence import START_SLACK_MINUTES, choose_minutes, find_end_confidence, stretch_minutes
from fermata.planning.dice import Minutes, Pools
from fermata.planning.inputs import PlanningInput
from fermata.planning.rehearsal import count_needed, find_cast, rehearse
from fermata.planning.sequence import WindowSteps

# Windows this near in size are rehearsed once. Four times the nodes take 7 % longer, so 8 % more take half a per cent
# longer: two minutes of a long day, where runs of one window differ by half an hour.
SIZE_STEP = 1.08
COUNT_STEP = 1.25  # the same for the number of devices of one update, of which the slowest counts
SPARE_MOST = 8  # nodes that may be missing: up to here one more or less decides whether fallout breaks the promise


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
    """Windows with equal steps, about as many nodes and about as many devices are rehearsed once. `room`: the minutes
    of the longest day.
    """

    def __init__(self, inputs: PlanningInput, pending: FleetPending, *, room: int) -> None:
        self._inputs = inputs
        self._pending = pending
        self._room = room
        self._pools = Pools()
        self._backs: dict[tuple[object, ...], tuple[float, ...]] = {}

    def promise(self, steps: WindowSteps, nodes: Sequence[Node], devices: Sequence[Device]) -> Promise:
        """The promise of a window of these nodes and devices."""
        key = self._shape(steps, nodes, devices)
        if key not in self._backs:
            self._backs[key] = tuple(self._rehearse(steps, nodes).tolist())
        longest = self._room - START_SLACK_MINUTES
        back = self._backs[key]
        minutes = choose_minutes(back, least=steps.minutes, longest=longest, wanted=self._inputs.confidence)
        return Promise(minutes=minutes, end_confidence=find_end_confidence(back, minutes), back=back)

    def _rehearse(self, steps: WindowSteps, nodes: Sequence[Node]) -> Minutes:
        cast = find_cast(nodes, steps.steps, fleet=self._inputs.fleet, pending=self._pending)
        catalogue, campaign = self._inputs.catalogue, self._inputs.campaign
        return rehearse(steps.steps, cast, catalogue=catalogue, campaign=campaign, pools=self._pools)

    def _shape(self, steps: WindowSteps, nodes: Sequence[Node], devices: Sequence[Device]) -> tuple[object, ...]:
        spare = len(nodes) - count_needed(len(nodes), self._inputs.campaign.return_threshold)
        shape = tuple((step.step, getattr(step, "update", None), step.start, step.end) for step in steps.steps)
        return shape, _bucket(len(nodes), SIZE_STEP), min(spare, SPARE_MOST), self._devices_shape(steps, devices)

    def _devices_shape(self, steps: WindowSteps, devices: Sequence[Device]) -> tuple[tuple[UpdateId, int, int], ...]:
        """For each device update: about how many devices, and the most nodes behind one."""
        behind = {device.name: len(self._inputs.fleet.nodes_behind(device)) for device in devices}
        counts: dict[UpdateId, list[int]] = {}
        for step in steps.steps:
            if isinstance(step, DeviceApplyStep):
                counts.setdefault(step.update, []).extend(behind[name] for name in step.devices)
        return tuple((update, _bucket(len(found), COUNT_STEP), max(found)) for update, found in sorted(counts.items()))


def _bucket(count: int, step: float) -> int:
    return round(math.log(max(1, count)) / math.log(step))
