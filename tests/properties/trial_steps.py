"""Trial of rules that tell what steps must keep: layouts of a small window thrown with seeded dice, right and wrong."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import numpy as np
from tests.properties.hearing import MINUTE, hear, local, make_judge, make_window
from tests.unit.planning import bench as b

from fermata.domain import updates as u
from fermata.domain.fleet import Node
from fermata.domain.ids import DeviceId, NodeId, UpdateId
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
from fermata.domain.updates import Impact, IsolationBy, Requirement
from fermata.planning.encoders import Encoder
from fermata.planning.encoding import DRAIN, REBOOT, VERIFY, Steps
from fermata.planning.inputs import PlanningInput

LAYOUTS = 200
START = local(date(2026, 1, 5), 12)
CLUSTER = b.make_cluster("alpha")
NODES = [
    replace(node, versions={"nic_fw": b.OLD, "os": b.NEW if number == 3 else b.OLD})
    for number, node in enumerate(b.make_nodes(CLUSTER, [2, 2]))
]
FLEET = b.make_fleet([CLUSTER], NODES, [b.make_device("alpha", "tor", f"alpha-r{rack}") for rack in range(2)])


def make_catalogue(
    nic: Mapping[str, object] | None = None, os: Mapping[str, object] | None = None, tor: object = None
) -> u.Catalogue:
    """A rebootful update of all nodes, an impactless one of all but the last, one of the switches that drains."""
    more = tor if isinstance(tor, dict) else {}
    return b.make_catalogue(
        replace(b.make_update("nic", "nic_fw", 2.5, Impact.REBOOTFUL), **(nic or {})),  # type: ignore[arg-type]
        replace(b.make_update("os", "os", 2, Impact.IMPACTLESS), **(os or {})),  # type: ignore[arg-type]
        b.make_update("tor", "tor_fw", 3, Impact.IMPACTFUL, target="tor", **more),
    )


def isolate(by: IsolationBy, at_once: int) -> dict[str, object]:
    return {"isolation": u.Isolation(by=by, at_once=at_once)}


NIC, OS, TOR = UpdateId("nic"), UpdateId("os"), UpdateId("tor")
CATALOGUES = (
    make_catalogue(),
    make_catalogue(os={"after": (NIC,)}, nic={"after": (TOR,)}),
    make_catalogue(tor={"after": (OS,)}),
    make_catalogue(nic={"requires": (Requirement(component="tor_fw", min_version="1.5"),)}),
    make_catalogue(tor={"requires": (Requirement(component="nic_fw", min_version="2.0"),)}),
    make_catalogue(nic={"conflicts_with": (OS, TOR)}),
    make_catalogue(nic=isolate(IsolationBy.FAULT_DOMAIN, 1), os=isolate(IsolationBy.PERCENT, 50)),
    make_catalogue(tor=isolate(IsolationBy.FAULT_DOMAIN, 1), os={"impact": Impact.REBOOTFUL}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One step as the nodes feel it."""

    name: str
    start: datetime
    end: datetime
    nodes: frozenset[NodeId]
    step: Step


def find_disagreements(encoder: Encoder) -> Iterator[str]:
    """Layouts, by catalogue and number, that the rule's check and what it tells judge differently."""
    for setting, catalogue in enumerate(CATALOGUES):
        inputs = b.make_inputs(FLEET, catalogue, b.make_campaign())
        told = hear(encoder, inputs)
        assert isinstance(told, Steps)
        dice = np.random.default_rng(setting)
        windows = [throw_window(dice, catalogue, f"{setting}-{number}") for number in range(LAYOUTS)]
        judge = make_judge(encoder.code, inputs)
        faults = [judge([window]) for window in windows]
        kept = [keeps(inputs, told, list(read(window))) for window in windows]
        yield from (w.id for w, faulted, keep in zip(windows, faults, kept, strict=True) if keep == bool(faulted))


def throw_window(dice: np.random.Generator, catalogue: u.Catalogue, name: str) -> Window:
    """Drain, updates in one or two batches and reboots in any order, verify; then some of it shifted or shortened."""
    steps: list[Step] = [DrainStep(start=START, end=START + 5 * MINUTE)]
    waiting: list[UpdateId] = []
    for place in dice.permutation(len(catalogue.updates)):
        update = sorted(catalogue.updates)[int(place)]
        steps.extend(throw_applies(dice, catalogue.updates[update], steps[-1].end))
        waiting.extend([update] if catalogue.updates[update].needs_reboot and dice.random() < 0.95 else [])
        if waiting and (dice.random() < 0.6 or update == max(catalogue.updates)):
            steps.append(make_reboot(tuple(sorted(waiting)), steps[-1].end))
            waiting = []
    if waiting and dice.random() < 0.9:
        steps.append(make_reboot(tuple(sorted(waiting)), steps[-1].end))
    steps.append(VerifyStep(start=steps[-1].end, end=steps[-1].end + 5 * MINUTE))
    if dice.random() < 0.7:
        place = int(dice.integers(1, len(steps)))
        steps[place] = disturb(dice, steps[place])
    return make_window(name, NODES, START, 120, steps=steps)


def throw_applies(dice: np.random.Generator, update: u.Update, at: datetime) -> Iterator[Step]:
    """The steps of one update: all at once or in two batches, one after the other or side by side."""
    length = -int(-update.duration_minutes.p50 // 1) * MINUTE
    cut = bool(dice.integers(2))
    gap = length if dice.integers(2) else 0 * MINUTE
    starts = [at, at + gap] if cut else [at]
    count = len(NODES) - (update.id == OS)
    sizes = [2, count - 2] if cut else [count]
    switches = [DeviceId("alpha-r0-tor"), DeviceId("alpha-r1-tor")]
    for number, start in enumerate(starts):
        batch, batches, end = number + 1, len(starts), start + length
        if update.target == u.NODE_TARGET:
            nodes = sizes[number]
            yield NodeApplyStep(update=update.id, batch=batch, batches=batches, nodes=nodes, start=start, end=end)
        else:
            taken = tuple(switches[number : number + 1] if cut else switches)
            yield DeviceApplyStep(update=update.id, batch=batch, batches=batches, devices=taken, start=start, end=end)


def make_reboot(activates: tuple[UpdateId, ...], at: datetime) -> RebootStep:
    count = len(NODES) if activates != (OS,) else len(NODES) - 1
    return RebootStep(nodes=count, activates=activates, start=at, end=at + 5 * MINUTE)


def disturb(dice: np.random.Generator, step: Step) -> Step:
    """The step a minute shorter, or moved by some minutes, but not to before the drain begins."""
    if dice.random() < 0.3:
        return replace(step, end=step.end - MINUTE)
    by = int(dice.integers(-12, 9)) * MINUTE
    start = max(START, step.start + by)
    return replace(step, start=start, end=start + (step.end - step.start))


def read(window: Window) -> Iterator[Work]:
    """What each step means for the nodes, by start."""
    for step in sorted(window.steps, key=lambda step: (step.start, step.end)):
        match step:
            case NodeApplyStep():
                batches = [s for s in window.steps if isinstance(s, NodeApplyStep) and s.update == step.update]
                cuts = batch_members(due_nodes(step.update), [s.nodes for s in sorted(batches, key=lambda s: s.batch)])
                nodes: Sequence[Node] = cuts[step.batch - 1]
            case DeviceApplyStep():
                nodes = [n for name in step.devices for n in FLEET.nodes_behind(FLEET.devices[name])]
            case RebootStep():
                nodes = NODES if step.activates != (OS,) else due_nodes(OS)
            case _:
                nodes = NODES
        name = step.update if isinstance(step, NodeApplyStep | DeviceApplyStep) else step.step
        yield Work(name=name, start=step.start, end=step.end, nodes=frozenset(n.name for n in nodes), step=step)


def due_nodes(update: UpdateId) -> Sequence[Node]:
    return NODES[:3] if update == OS else NODES


def keeps(inputs: PlanningInput, told: Steps, works: Sequence[Work]) -> bool:
    """True when the layout keeps everything that the rule tells."""
    drained_at = next(work.end for work in works if work.name == DRAIN)
    return (
        all((w.end - w.start) >= told.minutes.get(w.name, 0) * MINUTE for w in works)
        and all(w.start >= drained_at for w in works if w.name in told.drained)
        and all(waits(inputs, work, first, works) for work in works for first in told.before.get(work.name, ()))
        and not any(meet(a, z) for a, z in pairs(works) if a.name in told.alone and z.name in told.alone)
        and not any(
            meet(a, z) for a, z in pairs(works) if frozenset({UpdateId(a.name), UpdateId(z.name)}) in told.apart
        )
        and all(is_within(how, name, works) for name, how in told.isolated.items())
        and all(is_rebooted(told, node.name, works) for node in NODES if told.rebooted)
    )


def pairs(works: Sequence[Work]) -> Iterator[tuple[Work, Work]]:
    return ((a, z) for number, a in enumerate(works) for z in works[number + 1 :])


def meet(one: Work, other: Work) -> bool:
    return one.start < other.end and other.start < one.end and not one.nodes.isdisjoint(other.nodes)


def waits(inputs: PlanningInput, work: Work, first: str, works: Sequence[Work]) -> bool:
    """True when `first` is over, and rebooted into where it must be, on every node that the work is felt on."""
    for node in work.nodes:
        for done in (w for w in works if w.name == first and node in w.nodes):
            end = done.end
            is_update = first not in (DRAIN, REBOOT, VERIFY)
            if is_update and work.name != VERIFY and inputs.catalogue.updates[UpdateId(first)].needs_reboot:
                ends = [w.end for w in works if reboots_into(w, first) and node in w.nodes and w.start >= end]
                end = min(ends, default=datetime.max.replace(tzinfo=START.tzinfo))
            if end > work.start:
                return False
    return True


def reboots_into(work: Work, update: str) -> bool:
    return isinstance(work.step, RebootStep) and update in work.step.activates


def is_within(how: u.Isolation, name: str, works: Sequence[Work]) -> bool:
    """True when at no instant the update runs on more domains, or on a larger share, than it may."""
    own = [work for work in works if work.name == name]
    for at in (work.start for work in own):
        running = {node for work in own if work.start <= at < work.end for node in work.nodes}
        if how.by is IsolationBy.FAULT_DOMAIN and len({FLEET.nodes[n].fault_domain for n in running}) > how.at_once:
            return False
        if how.by is IsolationBy.PERCENT and len(running) > max(1, len(NODES) * how.at_once // 100):
            return False
    return True


def is_rebooted(told: Steps, node: NodeId, works: Sequence[Work]) -> bool:
    """True when each reboot of the node names exactly what waits for one, and nothing is left waiting."""
    waiting: set[str] = set()
    due = {NIC, OS} if node != NODES[3].name else {NIC}
    for work in works:
        if node in work.nodes and work.name in told.rebooted:
            waiting.add(work.name)
        if isinstance(work.step, RebootStep) and node in work.nodes:
            if set(work.step.activates) & due != waiting:
                return False
            waiting = set()
    return not waiting
