"""A planned window read as a script: which steps each of its nodes and devices goes through, in which order."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from fermata.domain.fleet import DeviceScope, Fleet, Node
from fermata.domain.ids import DeviceId, NodeId, UpdateId
from fermata.domain.pending import FleetPending
from fermata.domain.plans import (
    DeviceApplyStep,
    DrainStep,
    NodeApplyStep,
    RebootStep,
    Step,
    VerifyStep,
    Window,
    batch_members,
)
from fermata.domain.readmission import Target
from fermata.domain.step_order import device_waits, node_waits
from fermata.domain.updates import Catalogue, Update

LOCK = "lock"
DRAIN = "drain"
VERIFY = "verify"
GIVE_BACK = "give_back"
RELEASE = "release"
APPLY_PREFIX = "apply:"
REBOOT_PREFIX = "reboot:"
RESET_PREFIX = "reset:"
UNDO_PREFIX = "undo:"  # then the version, a blank, which no version has, and the update
UNDO_REBOOT = "undo_reboot"


_WORDS = {
    UNDO_REBOOT: "its reboot",
    LOCK: "its lock",
    DRAIN: "its drain",
    VERIFY: "its health check",
    GIVE_BACK: "its return",
}


def name_step(step: str) -> str:
    """A step as people call it: what a sentence about one unit says."""
    if step.startswith(RESET_PREFIX):
        return "its power cycle"
    if step.startswith(REBOOT_PREFIX):
        return "its reboot"
    if step.startswith(APPLY_PREFIX):
        return f"update {step.removeprefix(APPLY_PREFIX)}"
    if step.startswith(UNDO_PREFIX):
        return f"the roll-back of {undone_by(step)[1]}"
    return _WORDS.get(step, step)


def undone_by(step: str) -> tuple[str, str]:
    """The version that a roll-back writes, and the update that it takes back."""
    version, _, update = step.removeprefix(UNDO_PREFIX).partition(" ")
    return version, update


def as_apply(step: str) -> str:
    """Of a roll-back, the step that brings its update; any other as it is. Both take the same room."""
    return APPLY_PREFIX + undone_by(step)[1] if step.startswith(UNDO_PREFIX) else step


class BadScript(Exception):
    """The window cannot be conducted as planned; the message says why. Nothing of it may begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeScript:
    """One node: its own steps as indices into `WindowScript.steps`, in order; `due` masks `WindowScript.updates`.

    `devices`: those of the window's devices that it hangs on.
    """

    node: NodeId
    steps: tuple[int, ...]
    due: int
    devices: tuple[DeviceId, ...]
    rank: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceScript:
    """One device: the index of its step, its update, and the window's nodes behind it."""

    device: DeviceId
    step: int
    update: Update
    behind: tuple[NodeId, ...]


@dataclass(frozen=True, kw_only=True)
class WindowScript:
    """A whole window. `steps` are ordered by start; `updates` are the window's, and their order gives the bits.

    `ties`: pairs of steps (indices), one on devices and one on nodes, of which the second waits for the first.
    `follows_people`: it is of no plan, and everything in it is done once the people of a work order are through.
    """

    window: Window
    steps: tuple[Step, ...]
    updates: tuple[Update, ...]
    nodes: Mapping[NodeId, NodeScript]
    devices: Mapping[DeviceId, DeviceScript]
    ties: frozenset[tuple[int, int]] = frozenset()
    follows_people: bool = False

    @cached_property
    def bits(self) -> Mapping[UpdateId, int]:
        """The bit of each update in the masks."""
        return {update.id: 1 << i for i, update in enumerate(self.updates)}

    @cached_property
    def by_id(self) -> Mapping[UpdateId, Update]:
        """The window's updates by id."""
        return {update.id: update for update in self.updates}

    @cached_property
    def _targets(self) -> dict[int, tuple[Target, ...]]:
        return {}

    def targets(self, node: NodeId, undo: int = 0) -> tuple[Target, ...]:
        """What the window wants a node's own components to report when it goes back; `undo`: not these any more."""
        due = self.nodes[node].due & ~undo
        if due not in self._targets:
            self._targets[due] = tuple(
                Target(update=update.id, component=update.component, version=update.to_version)
                for update in self.updates
                if self.bits[update.id] & due
            )
        return self._targets[due]

    @cached_property
    def activates(self) -> tuple[int, ...]:
        """For each step, the mask of what it makes active; 0 when it is not a reboot."""
        return tuple(
            sum(self.bits[u] for u in step.activates) if isinstance(step, RebootStep) else 0 for step in self.steps
        )

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """For each step, its name in keys and journal; unique per unit."""
        return tuple(_label(i, step) for i, step in enumerate(self.steps))

    def waits_for(self, later: int, earlier: int) -> bool:
        """True when a device must be proven by the one step before a node behind it begins the other, or a node be
        through with the one before a device that it hangs on begins the other.
        """
        return (earlier, later) in self.ties

    def is_through(self, node: NodeId, position: int, step: int) -> bool:
        """True when a node that is at `position` has done all that the device step `step` waits for."""
        last = self._last_before.get((node, step))
        if last is None:
            before = (index for index in self.nodes[node].steps if self.waits_for(step, index))
            last = self._last_before[node, step] = max(before, default=-1)
        return last < position

    @cached_property
    def _last_before(self) -> dict[tuple[NodeId, int], int]:
        """By node and device step: the last of the node's own steps that the device step waits for."""
        return {}

    def next_step(self, own: NodeScript, applied: int, active: int) -> int:
        """The first own step, after the drain, that is not done: masks of what was written and what runs."""
        for index in own.steps:
            step = self.steps[index]
            match step:
                case NodeApplyStep():
                    if not self.bits[step.update] & (applied | active):
                        return index
                case RebootStep():
                    if self.activates[index] & applied & ~active:
                        return index
                case VerifyStep():
                    return index
                case DrainStep() | DeviceApplyStep():
                    continue
        raise BadScript(f"{own.node} has no verify step in {self.window.id}")

    def first_step(self, own: NodeScript) -> int:
        """The index of the step where the node begins, its drain in any plan that has one."""
        return own.steps[0]

    def planned(self, index: int) -> tuple[datetime, datetime]:
        """Planned start and end of a step."""
        return self.steps[index].start, self.steps[index].end


def _label(index: int, step: Step) -> str:
    match step:
        case DrainStep():
            return DRAIN
        case NodeApplyStep() | DeviceApplyStep():
            return APPLY_PREFIX + step.update
        case RebootStep():
            return f"{REBOOT_PREFIX}{index}"
        case VerifyStep():
            return VERIFY


def read_script(
    window: Window, fleet: Fleet, pending: FleetPending, catalogue: Catalogue, *, planned: bool = True
) -> WindowScript:
    """The script of a window, from the fleet that it was planned for. Raises BadScript, so that nothing begins.

    `planned` False: of a window that no plan has, whose nodes are due for nothing before their people are through
    (`repairs.amend` says for what then).
    """
    steps = tuple(sorted(window.steps, key=lambda step: (step.start, step.end, step.step)))
    missing = [u for u in window.updates if u not in catalogue.updates]
    unknown = [n for n in window.nodes if n not in fleet.nodes]
    if missing or unknown:
        raise BadScript(f"{window.id} names {(missing + unknown)[0]}, which is not on record")
    updates = tuple(catalogue.updates[u] for u in window.updates)
    members = [fleet.nodes[name] for name in window.nodes]
    meant = set(window.updates) if planned else set[UpdateId]()
    due = {node.name: frozenset(d.update.id for d in pending.of_node(node).due) & meant for node in members}
    devices = _read_devices(steps, window, fleet, catalogue)
    hangs_on: dict[NodeId, list[DeviceId]] = {name: [] for name in window.nodes}
    for device in devices.values():
        for name in device.behind:
            hangs_on[name].append(device.device)
    own = _own_steps(steps if planned else _without_work(steps), members, due)
    bits = {update.id: 1 << i for i, update in enumerate(updates)}
    nodes = {
        node.name: NodeScript(
            node=node.name,
            steps=tuple(own[node.name]),
            due=sum(bits[u] for u in due[node.name]),
            devices=tuple(hangs_on[node.name]),
            rank=rank,
        )
        for rank, node in enumerate(sorted(members, key=lambda node: (node.fault_domain, node.name)))
    }
    ties = _find_ties(steps, catalogue)
    script = WindowScript(
        window=window,
        steps=steps,
        updates=updates,
        nodes=nodes,
        devices=devices,
        ties=ties,
        follows_people=not planned,
    )
    _check(script)
    return script


def _without_work(steps: tuple[Step, ...]) -> tuple[Step | None, ...]:
    """Each in its place, None where something is written or made active."""
    return tuple(step if isinstance(step, DrainStep | VerifyStep) else None for step in steps)


def _find_ties(steps: tuple[Step, ...], catalogue: Catalogue) -> frozenset[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    devices = [(d, step) for d, step in enumerate(steps) if isinstance(step, DeviceApplyStep)]
    for d, device in devices:
        for i, step in enumerate(steps):
            if node_waits(step, device, catalogue):
                found.add((d, i))
            if device_waits(device, step, catalogue):
                found.add((i, d))
    return frozenset(found)


def _own_steps(
    steps: tuple[Step | None, ...], members: list[Node], due: Mapping[NodeId, frozenset[UpdateId]]
) -> dict[NodeId, list[int]]:
    """Which of `steps` each node goes through. Batches and reboots of the same updates are cut in the plan's order."""
    own: dict[NodeId, list[int]] = {node.name: [] for node in members}
    groups: dict[tuple[str, frozenset[UpdateId]], list[int]] = {}
    for index, step in enumerate(steps):
        if isinstance(step, DrainStep | VerifyStep):
            for taken in own.values():
                taken.append(index)
        elif step is not None and not isinstance(step, DeviceApplyStep):
            updates = frozenset({step.update}) if isinstance(step, NodeApplyStep) else frozenset(step.activates)
            groups.setdefault((step.step, updates), []).append(index)
    for (_, updates), indices in groups.items():
        _deal_out(steps, indices, [node for node in members if updates & due[node.name]], own)
    for taken in own.values():
        taken.sort()
    return own


def _deal_out(
    steps: tuple[Step | None, ...], indices: list[int], nodes: list[Node], own: dict[NodeId, list[int]]
) -> None:
    ordered = sorted(indices, key=lambda i: getattr(steps[i], "batch", i))
    sizes = [getattr(steps[i], "nodes", 0) for i in ordered]
    if sum(sizes) == len(nodes):
        for index, batch in zip(ordered, batch_members(nodes, sizes), strict=True):
            for node in batch:
                own[node.name].append(index)
    elif all(isinstance(steps[i], RebootStep) for i in ordered):
        for index in ordered:
            for node in nodes:
                own[node.name].append(index)
    else:
        raise BadScript(f"the batches hold {sum(sizes)} nodes, {len(nodes)} have the update due")


def _read_devices(
    steps: tuple[Step, ...], window: Window, fleet: Fleet, catalogue: Catalogue
) -> dict[DeviceId, DeviceScript]:
    places: dict[tuple[DeviceScope, str], list[NodeId]] = {}
    for name in window.nodes:
        node = fleet.nodes[name]
        places.setdefault((DeviceScope.RACK, node.rack), []).append(name)
        places.setdefault((DeviceScope.SCALABLE_UNIT, node.scalable_unit), []).append(name)
        places.setdefault((DeviceScope.CLUSTER, node.cluster), []).append(name)
    found: dict[DeviceId, DeviceScript] = {}
    for index, step in enumerate(steps):
        for device_name in step.devices if isinstance(step, DeviceApplyStep) else ():
            device = fleet.devices.get(device_name)
            if device is None or device.cluster != window.cluster or device_name in found:
                raise BadScript(f"{device_name} is not a device of {window.cluster}, or stands in two steps")
            assert isinstance(step, DeviceApplyStep)
            behind = tuple(places.get((device.scope, device.scope_id), ()))
            update = catalogue.updates[step.update]
            found[device_name] = DeviceScript(device=device_name, step=index, update=update, behind=behind)
    return found


def _check(script: WindowScript) -> None:
    """Every node ends with its verification, and every update on it becomes active before."""
    for own in script.nodes.values():
        kinds = [script.steps[i] for i in own.steps]
        if not kinds or not isinstance(kinds[-1], VerifyStep):
            raise BadScript(f"{own.node} does not end with its verification")
        written = activated = 0
        for index in own.steps:
            step = script.steps[index]
            if isinstance(step, NodeApplyStep):
                written |= script.bits[step.update]
                if not script.by_id[step.update].needs_reboot:
                    activated |= script.bits[step.update]
            activated |= script.activates[index] & written
        if written != own.due or activated != own.due:
            raise BadScript(f"{own.node} does not go through every update that is due on it")
