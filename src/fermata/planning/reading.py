"""A plan read against the facts: which node goes through which steps when, and when each update becomes active."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import compress

import numpy as np

from fermata.domain.ids import ClusterId, DeviceId, NodeId, UpdateId, WindowId
from fermata.domain.plans import (
    ConsentBasis,
    DeviceApplyStep,
    DrainStep,
    NodeApplyStep,
    Plan,
    RebootStep,
    VerifyStep,
    Window,
)
from fermata.domain.reasons import Reason
from fermata.domain.updates import Requirement
from fermata.domain.versions import is_at_least
from fermata.planning.case import CheckCase
from fermata.planning.columns import NO_NUMBERS, NOBODY, Flags, Numbers
from fermata.planning.runs import NodeClass, Run, cut_runs, find_classes, fits

ALWAYS = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeviceWork:
    """One step on devices with their numbers, NOBODY for devices that the fleet does not know."""

    step: DeviceApplyStep
    devices: Numbers


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowReading:
    """One window with its node and device work spelled out.

    `found`: the numbers of its nodes as they are listed, NOBODY for what the fleet does not know. `numbers`: its known
    nodes, each once.
    """

    window: Window
    case: CheckCase
    found: Numbers
    numbers: Numbers

    def listed(self, which: Flags) -> tuple[NodeId, ...]:
        """The names in the window's list that `which` marks."""
        return tuple(compress(self.window.nodes, which.tolist())) if which.any() else ()

    @property
    def strangers(self) -> tuple[NodeId, ...]:
        """The names in the window's list that the fleet does not know."""
        return self.listed(self.found == NOBODY)

    @cached_property
    def _kinds(self) -> Numbers:
        return self.case.dues.kind[self.numbers]

    @cached_property
    def due_counts(self) -> Mapping[UpdateId, int]:
        """On how many of the window's nodes each update is due; those due on none are absent."""
        found: dict[UpdateId, int] = {}
        for kind, nodes in enumerate(np.bincount(self._kinds).tolist()):
            for update in self.case.dues.kinds[kind] if nodes else ():
                found[update] = found.get(update, 0) + nodes
        return found

    def names_due(self, update: UpdateId) -> tuple[NodeId, ...]:
        """The window's nodes on which `update` is due."""
        is_due = self.case.dues.carrying([update])[self._kinds]
        return self.case.columns.nodes.named(self.numbers[is_due])

    @cached_property
    def _places(self) -> tuple[Numbers, Numbers]:
        return np.unique(self.case.columns.nodes.places[:, self.numbers], return_counts=True)

    @property
    def places(self) -> Numbers:
        """Every place at which one of the window's nodes stands."""
        return self._places[0]

    @cached_property
    def torn_places(self) -> Numbers:
        """Those of `places` at which other nodes stand too."""
        places, nodes = self._places
        return places[nodes < self.case.columns.nodes_at.sizes[places]]

    def due_devices(self, places: Numbers) -> Numbers:
        """The devices at `places` with a due update, in the order of their names."""
        found = self.case.columns.devices_at.several(places)
        return np.sort(found[self.case.dues.update[found] != NOBODY])

    @cached_property
    def devices(self) -> Numbers:
        """Devices with a due update that at least one of the window's nodes hangs on, in the order of their names."""
        return self.due_devices(self.places)

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
    def device_work(self) -> tuple[DeviceWork, ...]:
        """Steps on shared devices, with the numbers of those."""
        find = self.case.columns.devices.find
        return tuple(DeviceWork(step=step, devices=find(step.devices)) for step in self.device_steps)

    @cached_property
    def times_worked_on(self) -> Numbers:
        """How often the window's own steps name each of its `devices`."""
        named = np.sort(np.concatenate([NO_NUMBERS, *(work.devices for work in self.device_work)]))
        return np.searchsorted(named, self.devices, "right") - np.searchsorted(named, self.devices, "left")

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
        names = self.due_counts.keys() | self.node_batches.keys()
        return frozenset(n for n in names if not fits(self.due_counts.get(n, 0), self.node_batches.get(n, ())))

    @cached_property
    def _order(self) -> Numbers:
        """Puts the window's nodes in the order in which `domain.plans.batch_members` cuts: by domain, then name."""
        return np.lexsort((self.numbers, self.case.columns.nodes.fault_domain[self.numbers]))

    @cached_property
    def ordered(self) -> Numbers:
        """The window's nodes in the order in which batches are cut."""
        return self.numbers[self._order]

    @cached_property
    def runs(self) -> Sequence[Run]:
        """Which nodes each node step takes, as places in `ordered`."""
        kinds = self.case.dues.kind[self.ordered]
        found: list[Run] = []
        for update, steps in self.node_batches.items():
            if update not in self.unreadable:
                carried = self.case.dues.carrying([update])
                found.extend(cut_runs(steps, carried, np.flatnonzero(carried[kinds])))
        for reboots, carried in self._reboot_groups:
            places = np.flatnonzero(carried[kinds])
            if fits(len(places), reboots):
                found.extend(cut_runs(reboots, carried, places))
            else:
                found.extend(Run(step=step, carried=carried, places=places) for step in reboots)
        everybody, places = np.ones(len(self.case.dues.kinds), np.bool_), np.arange(len(kinds))
        whole = (step for step in self.window.steps if isinstance(step, DrainStep | VerifyStep))
        return (*found, *(Run(step=step, carried=everybody, places=places) for step in whole))

    @cached_property
    def _reboot_groups(self) -> Sequence[tuple[tuple[RebootStep, ...], Flags]]:
        """Reboots that activate the same updates, by start, with the kinds of work that have one of those: together
        they reboot each node with such work once, cut like the batches of an update.
        """
        groups: dict[frozenset[UpdateId], list[RebootStep]] = {}
        for step in self.reboots:
            groups.setdefault(frozenset(step.activates), []).append(step)
        return tuple((tuple(steps), self.case.dues.carrying(activates)) for activates, steps in groups.items())

    @cached_property
    def reboot_counts(self) -> Sequence[tuple[tuple[RebootStep, ...], int]]:
        """Reboots that activate the same updates, by start, with on how many nodes one of those is due."""
        return tuple((steps, int(carried[self._kinds].sum())) for steps, carried in self._reboot_groups)

    @cached_property
    def classes(self) -> tuple[NodeClass, ...]:
        """The window's nodes, grouped by what they go through."""
        return tuple(find_classes(self.case, self.numbers, self._order, self.runs))

    @cached_property
    def class_of(self) -> Mapping[NodeId, NodeClass]:
        """The class of each of the window's nodes."""
        return {name: found for found in self.classes for name in found.names}


def _each_once(found: Numbers) -> Numbers:
    if np.all(found[1:] > found[:-1]) and NOBODY not in found[:1]:
        return found
    return np.array([number for number in dict.fromkeys(found.tolist()) if number != NOBODY], np.int64)


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
    def found(self) -> tuple[Numbers, ...]:
        """By window of the plan, the numbers of its nodes as listed, NOBODY for what the fleet does not know."""
        return tuple(self.case.columns.nodes.find(window.nodes) for window in self.plan.windows)

    @cached_property
    def taken(self) -> tuple[Numbers, ...]:
        """By window of the plan, its nodes that the fleet knows, each once."""
        return tuple(map(_each_once, self.found))

    @cached_property
    def times_taken(self) -> Numbers:
        """By number of node, how many windows of the plan take it."""
        return self.case.columns.nodes.count(self.taken)

    @cached_property
    def _back(self) -> Numbers:
        """By number of node, the place in the plan of the first window to end that takes it."""
        first = np.full(len(self.case.columns.nodes.nodes), NOBODY)
        windows = enumerate(self.plan.windows)
        for place, _ in sorted(windows, key=lambda item: item[1].end, reverse=True):  # the first writes last
            first[self.taken[place]] = place
        return first

    def back_from(self, node: int) -> datetime | None:
        """When the first window that takes the node of that number ends; None when none does."""
        place = self._back[node]
        return self.plan.windows[place].end if place != NOBODY else None

    @cached_property
    def windows(self) -> tuple[WindowReading, ...]:
        """The selected windows, spelled out."""
        asked = {window.id for window in self.selected}
        return tuple(view for view in self.every_window if view.window.id in asked)

    @cached_property
    def every_window(self) -> tuple[WindowReading, ...]:
        """All windows of the plan."""
        return tuple(
            WindowReading(window=window, case=self.case, found=found, numbers=numbers)
            for window, found, numbers in zip(self.plan.windows, self.found, self.taken, strict=True)
        )

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
    def device_work(self) -> tuple[DeviceWork, ...]:
        """Every step to come of the whole plan that works on devices."""
        return tuple(work for view in self.every_window if view.window.id not in self.past for work in view.device_work)

    @cached_property
    def times_worked_on(self) -> Numbers:
        """By number of device, how often the steps to come of the whole plan name it."""
        return self.case.columns.devices.count(work.devices for work in self.device_work)

    @cached_property
    def _first_applied(self) -> Numbers:
        """By number of device, the place in `device_work` of the first step to end that applies what is due there."""
        first = np.full(len(self.case.columns.devices.devices), NOBODY)
        works = enumerate(self.device_work)
        for place, work in sorted(works, key=lambda item: item[1].step.end, reverse=True):  # the first writes last
            known = work.devices[work.devices != NOBODY]
            first[known[self.case.dues.is_due(work.step.update, known)]] = place
        return first

    def applied_on(self, device: int) -> datetime | None:
        """When what is due on the device of that number has been applied, in whichever window; None: by no step."""
        place = self._first_applied[device]
        return self.device_work[place].step.end if place != NOBODY else None

    @cached_property
    def _ready(self) -> dict[Requirement, dict[int, datetime | None]]:
        return {}

    def ready_at(self, need: Requirement, places: Iterable[int]) -> Iterator[datetime | None]:
        """For each place with carriers of the component, from when on they all meet `need`: ALWAYS when they do as
        reported, None when one never does.
        """
        known = self._ready.setdefault(need, {})
        carriers = self.case.carriers_at(need.component)
        for place in places:
            if place not in known:
                ready = [self.device_ready_from(device, need) for device in carriers[place]]
                known[place] = max((instant for instant in ready if instant), default=None) if all(ready) else None
            yield known[place]

    def device_ready_from(self, device: int, need: Requirement) -> datetime | None:
        """As `ready_at`, of the device of that number. Work that is due and forgotten counts as done: the rule on
        devices faults it.
        """
        carrier = self.case.columns.devices.devices[device]
        if is_at_least(carrier.version, need.min_version):
            return ALWAYS
        due = self.case.dues.of_device(device)
        if due is None or not is_at_least(due.to_version, need.min_version):
            return None
        done = self.applied_on(device)
        return done if done or self.is_blocked(carrier.name) else ALWAYS

    @property
    def gaps(self) -> Mapping[NodeId, Reason]:
        """Nodes whose consent is missing; none for a draft, which assumes consent."""
        return self.case.gaps if self.plan.consent is ConsentBasis.RECORDED else {}

    def is_blocked(self, device: DeviceId) -> bool:
        """True when the impactless update due on `device` is without consent. A draining device is judged by the
        nodes behind it, which then may not be in a window at all.
        """
        recorded = self.plan.consent is ConsentBasis.RECORDED
        return recorded and device in self.case.device_gaps and not self.case.is_draining(device)
