"""The work of a window as its layout sees it: what runs on which run of nodes, how long, and what cannot overlap.
Windows of one shape are laid out once.
"""

from dataclasses import dataclass
from functools import lru_cache

from fermata.domain.ids import UpdateId
from fermata.domain.updates import IsolationBy, StepDefaults, Update
from fermata.planning.activation import find_layers, find_predecessors
from fermata.planning.batches import share_of_window
from fermata.planning.likely import in_steps, slowest_drain, slowest_write
from fermata.planning.work import BatchSizes, WindowWork, is_on_nodes

ORDERS_KEPT = 512  # in memory: clusters have few kinds of work


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Minutes of a step: `told`, as planned, and `likely`, as it holds up whoever waits for it."""

    told: int
    likely: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One batch of an update, on the nodes of cell `cell` or, when that is None, on devices; `batch` counts from 0
    within the cell. `from_likely`: before that minute its units are not likely to be empty.
    """

    update: UpdateId
    cell: int | None
    batch: int
    minutes: Lengths
    from_likely: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """At any instant the running ones of `uses`, pairs of a task (its index) and its units, add up to `most`."""

    most: int
    uses: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What there is to lay out. `layers`: the updates in an order that works, between one reboot and the next;
    `before`: pairs of which the first must be active before the second starts; `apart`: pairs that conflict;
    `rebootful`: those that a reboot activates; `reboots`: the fewest that it takes.
    """

    cells: int
    tasks: tuple[Task, ...]
    layers: tuple[tuple[UpdateId, ...], ...]
    before: tuple[tuple[UpdateId, UpdateId], ...]
    apart: tuple[tuple[UpdateId, UpdateId], ...]
    rebootful: tuple[UpdateId, ...]
    reboots: int
    shares: tuple[Share, ...]
    drain: int
    reboot: int
    verify: int


def find_shape(work: WindowWork, cells: int, sizes: BatchSizes) -> Shape:
    """The shape of the window in so many cells. Raises CircularOrder if its updates wait for each other."""
    order = _find_order(tuple(update for _, update in sorted(work.updates.items())))
    tasks, units = _find_tasks(work, sizes)
    defaults = work.catalogue.defaults
    return Shape(
        cells=cells,
        tasks=tasks,
        layers=order.layers,
        before=order.before,
        apart=_find_apart(work),
        rebootful=tuple(sorted(name for name, update in work.updates.items() if update.needs_reboot)),
        reboots=order.reboots,
        shares=(*_team_shares(work, tasks, units), *_isolation_shares(work, tasks, units)),
        drain=told_minutes(defaults.drain_minutes.p50) if work.needs_drain else 0,
        reboot=told_minutes(defaults.reboot_minutes.p50),
        verify=told_minutes(defaults.verify_minutes.p50),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """Which updates wait for which: as in Shape."""

    layers: tuple[tuple[UpdateId, ...], ...]
    before: tuple[tuple[UpdateId, UpdateId], ...]
    reboots: int


@lru_cache(maxsize=ORDERS_KEPT)
def _find_order(updates: tuple[Update, ...]) -> _Order:
    layers = find_layers(updates)
    predecessors = find_predecessors(updates)
    return _Order(
        layers=tuple(tuple(update.id for wave in layer.waves for update in wave) for layer in layers),
        before=tuple((first, update.id) for update in updates for first in sorted(predecessors[update.id])),
        reboots=sum(bool(layer.activates) for layer in layers),
    )


def told_minutes(median: float) -> int:
    """The length that a step is planned with: the median of one unit in whole minutes, at least one.

    Nodes late in one step catch up in a later one and, in the end, while others verify: the time for that is pooled
    there, where it protects the end that was promised best.
    """
    return max(1, -int(-median // 1))


def _find_tasks(work: WindowWork, sizes: BatchSizes) -> tuple[tuple[Task, ...], tuple[int, ...]]:
    """Tasks and how many units each takes, devices first."""
    tasks: list[Task] = []
    units: list[int] = []
    for name in sorted(work.devices_of):
        update = work.updates[name]
        minutes, empty = _device_minutes(work, update)
        for number, batch in enumerate(work.batches_of_devices[name]):
            tasks.append(Task(update=name, cell=None, batch=number, minutes=minutes, from_likely=empty))
            units.append(len(batch))
    for name in sorted(work.nodes_of):
        update = work.updates[name]
        minutes = _node_minutes(update)
        for number, batches in enumerate(sizes[name]):
            for batch_number, size in enumerate(batches):
                tasks.append(Task(update=name, cell=number, batch=batch_number, minutes=minutes))
                units.append(size)
    return tuple(tasks), tuple(units)


def _node_minutes(update: Update) -> Lengths:
    """A turn lasts until nearly the last of many nodes is through, so it is likely to hold others up for longer."""
    takes_turns = update.isolation.by is not IsolationBy.NONE
    longest = update.duration_minutes.p90 if takes_turns else update.duration_minutes.p50
    return Lengths(told=told_minutes(update.duration_minutes.p50), likely=told_minutes(longest))


def _device_minutes(work: WindowWork, update: Update) -> tuple[Lengths, int]:
    """How long the update's devices hold up the nodes behind them, and when those are likely to be empty."""
    defaults: StepDefaults = work.catalogue.defaults
    devices = work.devices_of[update.id]
    behind = [work.count_behind(device) for device in devices]
    hung_on = max(1, round(sum(behind) / max(1, len(work.nodes))))
    told = told_minutes(update.duration_minutes.p50)
    likely = slowest_write(update.duration_minutes, in_steps(hung_on), defaults.reboot_minutes.p50)
    empty = slowest_drain(defaults.drain_minutes, in_steps(max(behind, default=1))) if update.needs_drain else 0
    return Lengths(told=told, likely=max(told, likely)), empty


def _find_apart(work: WindowWork) -> tuple[tuple[UpdateId, UpdateId], ...]:
    pairs = (tuple(sorted(pair)) for pair in work.catalogue.conflicts if len(pair) == 2)
    return tuple(sorted((a, b) for a, b in pairs if a in work.updates and b in work.updates))


def _team_shares(work: WindowWork, tasks: tuple[Task, ...], units: tuple[int, ...]) -> list[Share]:
    """For each team that could have to do with more units at once than it can."""
    found: list[Share] = []
    for team, most in sorted(work.catalogue.team_limits.items()):
        own = [i for i, task in enumerate(tasks) if work.updates[task.update].owner_team == team]
        widest: dict[object, int] = {}  # tasks of one cell, or of one device update, never run at the same time
        for i in own:
            place = tasks[i].update if tasks[i].cell is None else tasks[i].cell
            widest[place] = max(widest.get(place, 0), units[i])
        if sum(widest.values()) > most:
            found.append(Share(most=most, uses=tuple((i, units[i]) for i in own)))
    return found


def _isolation_shares(work: WindowWork, tasks: tuple[Task, ...], units: tuple[int, ...]) -> list[Share]:
    """For each isolated update on nodes that several cells could run at once; as many batches as surely fit."""
    found: list[Share] = []
    for name, nodes in sorted(work.nodes_of.items()):
        update = work.updates[name]
        own = [i for i, task in enumerate(tasks) if task.update == name]
        if not is_on_nodes(update) or len({tasks[i].cell for i in own}) < 2:
            continue
        most = 1
        if update.isolation.by is IsolationBy.PERCENT:
            room = share_of_window(update, len(work.nodes))
            most = max(1, room // max(units[i] for i in own)) if len(nodes) > room else len(own)
        if update.isolation.by is not IsolationBy.NONE and most < len(own):
            found.append(Share(most=most, uses=tuple((i, 1) for i in own)))
    return found
