"""The steps of one window, one after the other: drain, device updates, node updates in batches, as few reboots as
activation order allows, verify. Lengths are whole minutes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from fermata.domain.fleet import Device, Fleet, Node
from fermata.domain.ids import TeamId, UpdateId
from fermata.domain.pending import FleetPending
from fermata.domain.plans import DeviceApplyStep, DrainStep, NodeApplyStep, RebootStep, Step, VerifyStep
from fermata.domain.updates import NODE_TARGET, Catalogue, Duration, Update
from fermata.planning.activation import Layer, find_layers
from fermata.planning.batches import device_batches, node_batches
from fermata.planning.encoding import TeamUse
from fermata.planning.stagger import Room, Turns, find_turns, gather, lay_out_turns

# Steps are planned with the median of one unit. Nodes late in one step catch up in a later one and, in the end, while
# others verify: the time for that is pooled there (`confidence.py`), where it protects the end that was promised best.
STEP_QUANTILE_Z = 0.0
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # steps are laid out from here and shifted when their window has a start


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
    return _Layout(nodes, devices, fleet, pending, catalogue).finish()


def shift_steps(steps: Sequence[Step], start: datetime) -> tuple[Step, ...]:
    """The same steps in a window that starts at `start`."""
    by = start - EPOCH
    return tuple(replace(step, start=step.start + by, end=step.end + by) for step in steps)


def extend_verify(laid_out: WindowSteps, minutes: int) -> WindowSteps:
    """The same window with its last step, which waits for the late ones, ending after `minutes` if it ended before."""
    last = laid_out.steps[-1]
    end = max(last.end, EPOCH + timedelta(minutes=minutes))
    return replace(laid_out, steps=(*laid_out.steps[:-1], replace(last, end=end)))


def planned_minutes(duration: Duration) -> int:
    """The length a step is planned with, at least a minute."""
    return max(1, math.ceil(duration.quantile(STEP_QUANTILE_Z)))


class _Layout:
    """A window under construction. `now` is the end, in minutes, of what all nodes have been through."""

    def __init__(
        self,
        nodes: Sequence[Node],
        devices: Sequence[Device],
        fleet: Fleet,
        pending: FleetPending,
        catalogue: Catalogue,
    ) -> None:
        self._all = nodes
        self._fleet = fleet
        self._catalogue = catalogue
        self._updates: dict[UpdateId, Update] = {}
        self._nodes: dict[UpdateId, list[Node]] = {}
        self._devices: dict[UpdateId, list[Device]] = {}
        for node in nodes:
            for item in pending.of_node(node).due:
                self._updates[item.update.id] = item.update
                self._nodes.setdefault(item.update.id, []).append(node)
        for device in devices:
            for item in pending.of_device(device).due:
                self._updates[item.update.id] = item.update
                self._devices.setdefault(item.update.id, []).append(device)
        self._steps: list[Step] = []
        self._uses: list[TeamUse] = []
        self._reboots: dict[str, int] = {}
        self._now = 0

    def finish(self) -> WindowSteps:
        """Lays out everything, in the one order a window has."""
        defaults = self._catalogue.defaults
        if any(update.needs_drain for update in self._updates.values()):
            start, end = self._advance(planned_minutes(defaults.drain_minutes))
            self._steps.append(DrainStep(start=start, end=end))
        layers = find_layers(self._updates.values())
        turns = find_turns(tuple(self._updates.values()), self._nodes)
        for layer in layers if turns is None else gather(layers, turns.update.id):
            for wave in layer.waves:
                self._apply_wave(wave, turns)
            self._reboot(layer)
        start, end = self._advance(planned_minutes(defaults.verify_minutes))
        self._steps.append(VerifyStep(start=start, end=end))
        self._steps.sort(key=lambda step: step.start)
        return WindowSteps(
            steps=tuple(self._steps),
            updates=tuple(sorted(self._updates)),
            reboots_per_node=max(self._reboots.values(), default=0),
            team_uses=tuple(self._uses),
        )

    def _apply_wave(self, wave: Sequence[Update], turns: Turns | None) -> None:
        self._apply_to_devices([update for update in wave if update.target != NODE_TARGET])
        on_nodes = [update for update in wave if update.target == NODE_TARGET]
        if turns is not None and turns.update in on_nodes:
            self._apply_in_turns(turns, [update for update in on_nodes if update is not turns.update])
            return
        for update in on_nodes:
            self._apply_to_nodes(update)

    def _apply_in_turns(self, turns: Turns, others: Sequence[Update]) -> None:
        room = Room(catalogue=self._catalogue, window=len(self._all))
        batches = lay_out_turns(turns, others, self._nodes, start=self._now, room=room)
        for update in (turns.update, *others):
            own = [batch for batch in batches if batch.update is update]
            for number, batch in enumerate(own, start=1):
                self._use(update, batch.start, batch.end, batch.nodes)
                self._steps.append(
                    NodeApplyStep(
                        update=update.id,
                        batch=number,
                        batches=len(own),
                        nodes=batch.nodes,
                        start=EPOCH + timedelta(minutes=batch.start),
                        end=EPOCH + timedelta(minutes=batch.end),
                    )
                )
        self._now = max(batch.end for batch in batches)

    def _apply_to_devices(self, updates: Sequence[Update]) -> None:
        """Updates on different devices run side by side, but for conflicts and what a team cannot carry at once."""
        waiting = list(updates)
        while waiting:
            together: list[Update] = []
            carried: dict[TeamId, int] = {}
            for update in list(waiting):
                widest = max(len(batch) for batch in self._batches_of(update))
                limit = self._catalogue.team_limits.get(update.owner_team)
                load = carried.get(update.owner_team, 0) + widest
                clashes = any(frozenset((update.id, other.id)) in self._catalogue.conflicts for other in together)
                if together and (clashes or (limit is not None and load > limit)):
                    continue
                carried[update.owner_team] = load
                together.append(update)
                waiting.remove(update)
            ends = [self._run_device_batches(update) for update in together]
            self._now = max(ends)

    def _batches_of(self, update: Update) -> tuple[tuple[Device, ...], ...]:
        limit = self._catalogue.team_limits.get(update.owner_team)
        return device_batches(update, self._devices[update.id], fleet=self._fleet, limit=limit, window=len(self._all))

    def _run_device_batches(self, update: Update) -> int:
        minutes = planned_minutes(update.duration_minutes)
        at = self._now
        batches = self._batches_of(update)
        for number, batch in enumerate(batches, start=1):
            self._steps.append(
                DeviceApplyStep(
                    update=update.id,
                    devices=tuple(device.name for device in batch),
                    batch=number,
                    batches=len(batches),
                    start=EPOCH + timedelta(minutes=at),
                    end=EPOCH + timedelta(minutes=at + minutes),
                )
            )
            self._use(update, at, at + minutes, len(batch))
            at += minutes
        return at

    def _apply_to_nodes(self, update: Update) -> None:
        limit = self._catalogue.team_limits.get(update.owner_team)
        sizes = node_batches(update, self._nodes[update.id], limit=limit, window=len(self._all))
        minutes = planned_minutes(update.duration_minutes)
        for number, size in enumerate(sizes, start=1):
            self._use(update, self._now, self._now + minutes, size)
            start, end = self._advance(minutes)
            self._steps.append(
                NodeApplyStep(update=update.id, batch=number, batches=len(sizes), nodes=size, start=start, end=end)
            )

    def _reboot(self, layer: Layer) -> None:
        activates = tuple(update.id for update in layer.activates)
        names = {node.name for update in activates for node in self._nodes[update]}
        if not names:
            return
        for name in names:
            self._reboots[name] = self._reboots.get(name, 0) + 1
        start, end = self._advance(planned_minutes(self._catalogue.defaults.reboot_minutes))
        self._steps.append(RebootStep(nodes=len(names), activates=activates, start=start, end=end))

    def _use(self, update: Update, start: int, end: int, units: int) -> None:
        self._uses.append(TeamUse(team=update.owner_team, start=start, end=end, units=units))

    def _advance(self, minutes: int) -> tuple[datetime, datetime]:
        start = EPOCH + timedelta(minutes=self._now)
        self._now += minutes
        return start, EPOCH + timedelta(minutes=self._now)
