"""A plan read against the facts: which node goes through which steps when, and when each update becomes active."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from fermata.domain.fleet import Device, Node
from fermata.domain.ids import ClusterId, DeviceId, NodeId, UpdateId, WindowId
from fermata.domain.plans import (
    ConsentBasis,
    DeviceApplyStep,
    DrainStep,
    NodeApplyStep,
    Plan,
    RebootStep,
    Step,
    VerifyStep,
    Window,
    batch_members,
)
from fermata.domain.reasons import Reason
from fermata.domain.updates import Requirement
from fermata.domain.versions import is_at_least
from fermata.planning.case import CheckCase

ALWAYS = datetime.min.replace(tzinfo=UTC)
NodeStep = DrainStep | NodeApplyStep | RebootStep | VerifyStep


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeClass:
    """Nodes of one window that go through exactly the same steps, ordered by start.

    `active_at`: when each own due update runs: the end of its step, or of the reboot that activates it; absent
    when it never does.
    """

    nodes: tuple[Node, ...]
    due: tuple[UpdateId, ...]
    steps: tuple[NodeStep, ...]
    active_at: Mapping[UpdateId, datetime]

    @property
    def names(self) -> tuple[NodeId, ...]:
        """The nodes' names."""
        return tuple(node.name for node in self.nodes)

    def applied(self, update: UpdateId) -> NodeApplyStep | None:
        """The step that applies `update` here."""
        return next((s for s in self.steps if isinstance(s, NodeApplyStep) and s.update == update), None)


@dataclass(frozen=True, kw_only=True)
class WindowReading:
    """One window with its node and device work spelled out. Nodes the fleet does not know are left out."""

    window: Window
    case: CheckCase

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The window's nodes, each once."""
        known = self.case.fleet.nodes
        return tuple(known[name] for name in dict.fromkeys(self.window.nodes) if name in known)

    @cached_property
    def node_names(self) -> frozenset[NodeId]:
        """Names of `nodes`."""
        return frozenset(node.name for node in self.nodes)

    @cached_property
    def due_nodes(self) -> Mapping[UpdateId, tuple[Node, ...]]:
        """The window's nodes by the update that is due on them."""
        found: dict[UpdateId, list[Node]] = {}
        for node in self.nodes:
            for update in self.case.due.get(node.name, ()):
                found.setdefault(update, []).append(node)
        return {update: tuple(nodes) for update, nodes in found.items()}

    @cached_property
    def devices(self) -> tuple[DeviceId, ...]:
        """Devices with a due update that at least one of the window's nodes hangs on, by name."""
        places = {(node.cluster, node.rack, node.scalable_unit): node for node in self.nodes}
        found = {d.name for node in places.values() for d in self.case.devices_of(node)}
        return tuple(sorted(found & self.case.device_due.keys()))

    @cached_property
    def node_batches(self) -> Mapping[UpdateId, tuple[NodeApplyStep, ...]]:
        """Steps of each node update, in the order of their batch numbers."""
        found: dict[UpdateId, list[NodeApplyStep]] = {}
        for step in self.window.steps:
            if isinstance(step, NodeApplyStep):
                found.setdefault(step.update, []).append(step)
        return {update: tuple(sorted(steps, key=lambda s: s.batch)) for update, steps in found.items()}

    @cached_property
    def device_steps(self) -> tuple[DeviceApplyStep, ...]:
        """Steps on shared devices."""
        return tuple(step for step in self.window.steps if isinstance(step, DeviceApplyStep))

    @cached_property
    def reboots(self) -> tuple[RebootStep, ...]:
        """Reboot steps by start."""
        found = (step for step in self.window.steps if isinstance(step, RebootStep))
        return tuple(sorted(found, key=lambda step: step.start))

    @cached_property
    def unreadable(self) -> frozenset[UpdateId]:
        """Node updates whose batches do not add up, so that nobody can tell which node is in which: the rule
        on batches faults them, the other rules leave them alone.
        """
        names = self.due_nodes.keys() | self.node_batches.keys()
        return frozenset(n for n in names if not fits(self.due_nodes.get(n, ()), self.node_batches.get(n, ())))

    @cached_property
    def members(self) -> tuple[tuple[NodeStep, tuple[Node, ...]], ...]:
        """Which nodes each node step takes."""
        found: list[tuple[NodeStep, tuple[Node, ...]]] = []
        for update, steps in self.node_batches.items():
            if update not in self.unreadable:
                cuts = batch_members(self.due_nodes[update], [step.nodes for step in steps])
                found.extend(zip(steps, cuts, strict=True))
        for reboots, nodes in self.reboot_groups:
            sizes = [step.nodes for step in reboots]
            cuts = batch_members(nodes, sizes) if fits(nodes, reboots) else (nodes,) * len(reboots)
            found.extend(zip(reboots, cuts, strict=True))
        whole = (step for step in self.window.steps if isinstance(step, DrainStep | VerifyStep))
        return (*found, *((step, self.nodes) for step in whole))

    @cached_property
    def reboot_groups(self) -> tuple[tuple[tuple[RebootStep, ...], tuple[Node, ...]], ...]:
        """Reboots that activate the same updates, by start, with the nodes on which one of those is due: together
        they reboot each of these once, cut like the batches of an update.
        """
        groups: dict[frozenset[UpdateId], list[RebootStep]] = {}
        for step in self.reboots:
            groups.setdefault(frozenset(step.activates), []).append(step)
        due = self.case.due
        return tuple(
            (tuple(steps), tuple(n for n in self.nodes if not activates.isdisjoint(due.get(n.name, ()))))
            for activates, steps in groups.items()
        )

    @cached_property
    def classes(self) -> tuple[NodeClass, ...]:
        """The window's nodes, grouped by what they go through."""
        taken: dict[NodeId, list[int]] = {node.name: [] for node in self.nodes}
        ordered = sorted(self.members, key=lambda item: (item[0].start, item[0].end))
        for index, (_, nodes) in enumerate(ordered):
            for node in nodes:
                taken[node.name].append(index)
        groups: dict[tuple[tuple[UpdateId, ...], tuple[int, ...]], list[Node]] = {}
        for node in self.nodes:
            groups.setdefault((self.case.due.get(node.name, ()), tuple(taken[node.name])), []).append(node)
        return tuple(
            self._class(nodes, due, [ordered[index][0] for index in indices])
            for (due, indices), nodes in groups.items()
        )

    @cached_property
    def class_of(self) -> Mapping[NodeId, NodeClass]:
        """The class of each of the window's nodes."""
        return {node.name: found for found in self.classes for node in found.nodes}

    def _class(self, nodes: list[Node], due: tuple[UpdateId, ...], steps: Sequence[NodeStep]) -> NodeClass:
        active: dict[UpdateId, datetime] = {}
        for step in steps:
            if isinstance(step, NodeApplyStep):
                update = self.case.update(step.update)
                if update is not None and update.needs_reboot:
                    ends = [r.end for r in steps if _activates(r, step)]
                    if ends:
                        active[step.update] = min(ends)
                else:
                    active[step.update] = step.end
        return NodeClass(nodes=tuple(nodes), due=due, steps=tuple(steps), active_at=active)


def _activates(step: Step, applied: NodeApplyStep) -> bool:
    return isinstance(step, RebootStep) and applied.update in step.activates and applied.end <= step.start


def fits(nodes: Sequence[Node], steps: Iterable[NodeApplyStep | RebootStep]) -> bool:
    """True when the steps' node counts are positive and add up to `nodes`."""
    sizes = [step.nodes for step in steps]
    return all(size > 0 for size in sizes) and sum(sizes) == len(nodes)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A plan under judgement. `only` None means all of it; otherwise the windows whose faults are asked for."""

    case: CheckCase
    plan: Plan
    only: frozenset[WindowId] | None = None

    @cached_property
    def past(self) -> frozenset[WindowId]:
        """Windows that ran, as they stood in the parent: nobody can mend them, so their faults are not asked for."""
        ran = {window.id: window for window in self.case.standing.history}
        return frozenset(w.id for w in self.plan.windows if ran.get(w.id) == w)

    @cached_property
    def carried(self) -> frozenset[WindowId]:
        """Windows that stand as the parent had them: past ones and published ones."""
        published = {window.id: window for window in self.case.standing.published}
        return self.past | {w.id for w in self.plan.windows if published.get(w.id) == w}

    @cached_property
    def settled(self) -> frozenset[WindowId]:
        """Windows of a time that cannot change any more: past ones, and those at a time told within the notice."""
        promised = self.case.promised
        near = {w.id for w in self.plan.windows if all(promised.get(name) == w.start for name in w.nodes)}
        return self.past | near

    @cached_property
    def selected(self) -> tuple[Window, ...]:
        """The windows whose faults are asked for."""
        asked = (w for w in self.plan.windows if self.only is None or w.id in self.only)
        return tuple(w for w in asked if w.id not in self.past)

    @property
    def asked(self) -> frozenset[WindowId] | None:
        """The ids of `selected`; None when these are all windows."""
        return None if self.only is None and not self.past else frozenset(window.id for window in self.selected)

    @cached_property
    def windows(self) -> tuple[WindowReading, ...]:
        """The selected windows, spelled out."""
        return tuple(WindowReading(window=window, case=self.case) for window in self.selected)

    @cached_property
    def by_cluster(self) -> Mapping[ClusterId, tuple[Window, ...]]:
        """All windows of a cluster that has a selected one, by part, then start."""
        asked = {window.cluster for window in self.selected}
        found: dict[ClusterId, list[Window]] = {}
        for window in self.plan.windows:
            if window.cluster in asked:
                found.setdefault(window.cluster, []).append(window)
        return {name: tuple(sorted(ws, key=lambda w: (w.part, w.start))) for name, ws in sorted(found.items())}

    @cached_property
    def device_steps(self) -> Mapping[DeviceId, tuple[tuple[Window, DeviceApplyStep], ...]]:
        """Every step to come of the whole plan that works on a device."""
        found: dict[DeviceId, list[tuple[Window, DeviceApplyStep]]] = {}
        for window in self.plan.windows:
            for step in window.steps if window.id not in self.past else ():
                if isinstance(step, DeviceApplyStep):
                    for device in step.devices:
                        found.setdefault(device, []).append((window, step))
        return {name: tuple(steps) for name, steps in found.items()}

    def applied_on(self, device: DeviceId, update: UpdateId) -> datetime | None:
        """When `update` has been applied on `device`, in whichever window; None when no step does it."""
        ends = [step.end for _, step in self.device_steps.get(device, ()) if step.update == update]
        return min(ends, default=None)

    @cached_property
    def _ready(self) -> dict[tuple[str, str, str, Requirement], datetime | None]:
        return {}

    def ready_from(self, node: Node, need: Requirement) -> datetime | None:
        """From when on every device with the component that `node` hangs on meets `need`: ALWAYS when it does as
        reported, None when one never does or there is none.
        """
        key = (node.cluster, node.rack, node.scalable_unit, need)
        if key not in self._ready:
            carriers = [device for device in self.case.devices_of(node) if device.component == need.component]
            ready = [self._remembered_ready(device, need) for device in carriers]
            self._ready[key] = max((x for x in ready if x), default=None) if all(ready) else None
        return self._ready[key]

    @cached_property
    def _device_ready(self) -> dict[tuple[DeviceId, str, str], datetime | None]:
        return {}

    def _remembered_ready(self, device: Device, need: Requirement) -> datetime | None:
        """As `device_ready_from`; racks share the devices of their scalable unit and cluster."""
        key = (device.name, need.component, need.min_version)
        if key not in self._device_ready:
            self._device_ready[key] = self.device_ready_from(device, need)
        return self._device_ready[key]

    def device_ready_from(self, device: Device, need: Requirement) -> datetime | None:
        """As `ready_from`, of one device with the component. Work that is due and forgotten counts as done: the rule
        on devices faults it.
        """
        if is_at_least(device.version, need.min_version):
            return ALWAYS
        due = self.case.device_due.get(device.name)
        if due is None or not is_at_least(due.to_version, need.min_version):
            return None
        done = self.applied_on(device.name, due.id)
        return done if done or self.is_blocked(device.name) else ALWAYS

    @property
    def gaps(self) -> Mapping[NodeId, Reason]:
        """Nodes whose consent is missing; none for a draft, which assumes consent."""
        return self.case.gaps if self.plan.consent is ConsentBasis.RECORDED else {}

    def is_blocked(self, device: DeviceId) -> bool:
        """True when the impactless update due on `device` is without consent. A draining device is judged by the
        nodes behind it, which then may not be in a window at all.
        """
        recorded = self.plan.consent is ConsentBasis.RECORDED
        return recorded and device not in self.case.draining and device in self.case.device_gaps
