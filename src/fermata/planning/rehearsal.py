"""Rehearses a window RUNS times with seeded dice, the way it is conducted, to learn when its nodes are back.

Every node drains, writes, reboots and verifies for itself, each step as soon as it may: devices wait until every node
behind them is empty, nodes until their devices are done, isolated updates for their turn. What is left out: teams that
are busy in other windows, and one bad update that fails everywhere.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from fermata.domain.campaign import Campaign
from fermata.domain.decide_begin import HANG_FACTOR
from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import UpdateId
from fermata.domain.pending import FleetPending
from fermata.domain.plans import DeviceApplyStep, DrainStep, NodeApplyStep, RebootStep, Step, VerifyStep
from fermata.domain.updates import NODE_TARGET, Catalogue, Duration, IsolationBy, Update
from fermata.planning.turns import NEVER, take_turns, wait_for_room

RUNS = 200  # the standard error of a confidence near 0.9 is then 0.02
SEED = 20260103  # any fixed number: equal windows get equal lengths in every plan

# No catalogue carries failure rates. A site whose runs report others plans with its own by changing these.
SLOW_DRAIN_SHARE = 0.02  # of nodes have a job that saves its state before it leaves, and
SLOW_DRAIN_FACTOR = 6.0  # that takes so many times as long
REDO_SHARE = 0.02  # of steps fail or turn out void, and are done again after a power reset
HANG_SHARE = 0.003  # of writes never end: they are reset, and written again, when the conductor's patience is over

Minutes = NDArray[np.float32]
Columns = NDArray[np.intp]
NOBODY: Columns = np.empty(0, dtype=np.intp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Who takes part. `nodes` are ordered as batches are cut; `due`: for each update, the columns of its nodes.

    `behind`: for each device update, groups of devices with the same nodes behind them: how many, and which columns.
    """

    nodes: tuple[Node, ...]
    due: dict[UpdateId, Columns]
    behind: dict[UpdateId, tuple[tuple[int, Columns], ...]]


def find_cast(nodes: Sequence[Node], steps: Sequence[Step], *, fleet: Fleet, pending: FleetPending) -> Cast:
    """The cast of a window with these nodes and steps."""
    ordered = tuple(sorted(nodes, key=lambda node: (node.fault_domain, node.name)))
    column_of = {node.name: column for column, node in enumerate(ordered)}
    due: dict[UpdateId, list[int]] = {}
    for column, node in enumerate(ordered):
        for item in pending.of_node(node).due:
            due.setdefault(item.update.id, []).append(column)
    groups: dict[UpdateId, dict[tuple[int, ...], int]] = {}
    for step in steps:
        if isinstance(step, DeviceApplyStep):
            counts = groups.setdefault(step.update, {})
            for name in step.devices:
                behind = fleet.nodes_behind(fleet.devices[name])
                found = tuple(column_of[node.name] for node in behind if node.name in column_of)
                counts[found] = counts.get(found, 0) + 1
    return Cast(
        nodes=ordered,
        due={update: np.array(found, dtype=np.intp) for update, found in due.items()},
        behind={
            update: tuple((count, np.array(found, dtype=np.intp)) for found, count in counts.items())
            for update, counts in groups.items()
        },
    )


def rehearse(steps: Sequence[Step], cast: Cast, *, catalogue: Catalogue, campaign: Campaign) -> Minutes:
    """For RUNS runs, ascending: minutes from the start until the return threshold of the nodes is back; inf: never."""
    needed = math.ceil(round(campaign.return_threshold * len(cast.nodes), 6))
    if needed == 0:
        return np.zeros(RUNS, dtype=np.float32)
    back = _Rehearsal(steps=steps, cast=cast, catalogue=catalogue, fallout=campaign.fallout.fraction).play()
    return np.sort(np.partition(back, needed - 1, axis=1)[:, needed - 1])


@dataclass(kw_only=True)
class _Rehearsal:
    """All runs at once: a row per run, a column per node. `ready`: when a node is through with all it did so far."""

    steps: Sequence[Step]
    cast: Cast
    catalogue: Catalogue
    fallout: float
    dice: np.random.Generator = field(default_factory=lambda: np.random.default_rng(SEED))

    def __post_init__(self) -> None:
        self.ready: Minutes = np.zeros((RUNS, len(self.cast.nodes)), dtype=np.float32)
        self.waits: list[tuple[Step, Minutes]] = []
        self.rebooted = np.zeros(len(self.cast.nodes), dtype=np.bool_)
        self.takes_part = [self._columns_of(step) for step in self.steps]

    def play(self) -> Minutes:
        """When each node is back, per run."""
        for batches in self._in_order():
            step = self.steps[batches[0]]
            self._wait_for_devices(step)
            match step:
                case DrainStep():
                    self._drain()
                case DeviceApplyStep():
                    self._write_devices(step)
                case NodeApplyStep():
                    columns = np.concatenate([self.takes_part[i] for i in batches])
                    self._write_nodes(self.catalogue.updates[step.update], columns)
                case RebootStep():
                    self._reboot(step)
                case VerifyStep():
                    self.ready += self._draw(self.catalogue.defaults.verify_minutes, self.ready.shape[1])
                case _:
                    assert_never(step)
        return self.ready

    def _columns_of(self, step: Step) -> Columns:
        match step:
            case NodeApplyStep(update=update, batch=batch):
                own = [s for s in self.steps if isinstance(s, NodeApplyStep) and s.update == update]
                first = sum(s.nodes for s in own if s.batch < batch)
                return self.cast.due.get(update, NOBODY)[first : first + step.nodes]
            case RebootStep(activates=updates):
                return np.unique(np.concatenate([self.cast.due.get(update, NOBODY) for update in updates]))
            case DrainStep() | VerifyStep() | DeviceApplyStep():
                return np.arange(len(self.cast.nodes))
            case _:
                assert_never(step)

    def _in_order(self) -> Iterator[tuple[int, ...]]:
        """Steps by start, as indices; the batches of an update together as soon as their nodes have done what comes
        before: of one that takes turns by fault domain all, of others those whose nodes have.
        """
        waiting = list(range(len(self.steps)))
        while waiting:
            blocked = np.zeros(len(self.cast.nodes), dtype=np.bool_)
            open_: list[int] = []
            for index in waiting:
                if not blocked[self.takes_part[index]].any():
                    open_.append(index)
                blocked[self.takes_part[index]] = True
            chosen = next((found for i in open_ if (found := self._together(i, open_))), (open_[0],))
            waiting = [index for index in waiting if index not in chosen]
            yield chosen

    def _together(self, index: int, open_: Sequence[int]) -> tuple[int, ...]:
        """The batches among `open_` that are played with this step, itself included; none: it waits for the rest."""
        step = self.steps[index]
        if not isinstance(step, NodeApplyStep):
            return (index,)
        own = [(s.batch, i) for i in open_ if isinstance(s := self.steps[i], NodeApplyStep) and s.update == step.update]
        if len(own) < step.batches and self._takes_turns(self.catalogue.updates[step.update]):
            return ()
        return tuple(i for _, i in sorted(own))

    def _takes_turns(self, update: Update) -> bool:
        return update.isolation.by is IsolationBy.FAULT_DOMAIN

    def _wait_for_devices(self, step: Step) -> None:
        if isinstance(step, DeviceApplyStep):
            return
        for earlier, done in self.waits:
            if earlier.end <= step.start:
                np.maximum(self.ready, done, out=self.ready)
        self.waits = [(earlier, done) for earlier, done in self.waits if earlier.end > step.start]

    def _drain(self) -> None:
        takes = self._lognormal(self.catalogue.defaults.drain_minutes, self.ready.shape[1])
        takes[self._happens(takes, SLOW_DRAIN_SHARE)] *= SLOW_DRAIN_FACTOR
        self.ready += takes

    def _write_devices(self, step: DeviceApplyStep) -> None:
        """All devices of the update at its first batch: the conductor begins each as soon as its nodes let it."""
        if step.batch != 1:
            return
        update = self.catalogue.updates[step.update]
        groups = self.cast.behind[step.update]
        begin = np.zeros((RUNS, sum(count for count, _ in groups)), dtype=np.float32)
        at = 0
        for count, columns in groups:
            if update.needs_drain and len(columns):
                begin[:, at : at + count] = self.ready[:, columns].max(axis=1)[:, None]
            at += count
        takes = self._draw(update.duration_minutes, begin.shape[1])
        end = wait_for_room(begin, takes, self._room(update, begin.shape[1])) + takes
        done = np.zeros_like(self.ready)
        at = 0
        for count, columns in groups:
            done[:, columns] = np.maximum(done[:, columns], end[:, at : at + count].max(axis=1)[:, None])
            at += count
        self.waits.append((step, done))

    def _room(self, update: Update, units: int) -> int:
        """How many units the update is written on at once; isolated devices go one at a time."""
        limit = self.catalogue.team_limits.get(update.owner_team, units)
        if update.target != NODE_TARGET:
            return limit if update.isolation.by is IsolationBy.NONE else 1
        if update.isolation.by is not IsolationBy.PERCENT:
            return limit
        return min(limit, max(1, len(self.cast.nodes) * update.isolation.at_once // 100))

    def _write_nodes(self, update: Update, columns: Columns) -> None:
        arrive = self.ready[:, columns]
        takes = self._lognormal(update.duration_minutes, len(columns))
        hangs = self._happens(takes, HANG_SHARE)
        hold = np.where(hangs, np.float32(update.duration_minutes.p90 * HANG_FACTOR), takes)
        if self._takes_turns(update):
            places = [self.cast.nodes[column].fault_domain for column in columns]
            domains = np.unique(places, return_inverse=True)[1]
            begin = take_turns(arrive, hold, domains, at_once=max(1, update.isolation.at_once))
        else:
            begin = wait_for_room(arrive, hold, self._room(update, len(columns)))
        again = hangs | self._happens(takes, REDO_SHARE)
        self.ready[:, columns] = begin + hold + np.where(again, takes + self._reset_minutes, np.float32(0))

    def _reboot(self, step: RebootStep) -> None:
        """At its first reboot in the window a node falls out, or it does not."""
        columns = self._columns_of(step)
        takes = self._draw(self.catalogue.defaults.reboot_minutes, len(columns))
        takes[self._happens(takes, self.fallout) & ~self.rebooted[columns]] = NEVER
        self.rebooted[columns] = True
        self.ready[:, columns] += takes

    def _draw(self, duration: Duration, units: int) -> Minutes:
        """Lengths of a step, which some have to do twice."""
        takes = self._lognormal(duration, units)
        again = self._happens(takes, REDO_SHARE)
        return np.where(again, 2 * takes + self._reset_minutes, takes)

    @property
    def _reset_minutes(self) -> np.float32:
        return np.float32(self.catalogue.defaults.reboot_minutes.p50)

    def _happens(self, like: Minutes, share: float) -> NDArray[np.bool_]:
        return self.dice.random(like.shape, dtype=np.float32) < share

    def _lognormal(self, duration: Duration, units: int) -> Minutes:
        z = self.dice.standard_normal((RUNS, units), dtype=np.float32)
        takes: Minutes = np.exp(np.float32(duration.mu) + np.float32(duration.sigma) * z)
        return takes
