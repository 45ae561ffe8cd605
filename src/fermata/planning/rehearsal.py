"""Plays a window many times with seeded dice, the way it is conducted, to learn when its nodes are back: for the
length of windows in planning, for whole campaigns in `risk`.

Every node drains, writes, reboots and verifies for itself, each step as soon as it may: devices wait until every node
behind them is empty, nodes for those devices that a step builds on, isolated updates for their turn. What is left
out: teams that are busy in other windows, and, unless a strain is given, one bad update that fails everywhere.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from fermata.domain.campaign import Campaign
from fermata.domain.decide_begin import HANG_FACTOR
from fermata.domain.ids import UpdateId
from fermata.domain.plans import DeviceApplyStep, DrainStep, NodeApplyStep, RebootStep, Step, VerifyStep
from fermata.domain.step_order import device_waits, node_waits
from fermata.domain.updates import NODE_TARGET, Catalogue, Duration, IsolationBy, Update
from fermata.planning.cast import NOBODY, Cast, find_span
from fermata.planning.dice import STRIDE, Columns, Dice, Minutes, PooledDice, Pools
from fermata.planning.order_of_play import order_of_play, takes_turns
from fermata.planning.turns import NEVER, take_turns, wait_for_room

RUNS_MOST = 200  # the standard error of a confidence near 0.9 is then 0.02
RUNS_LEAST = 40
NODE_RUNS = 20_000  # runs times nodes: in large windows runs differ little, and a window takes ten milliseconds

# No catalogue carries failure rates. A site whose runs report others plans with its own by changing these.
SLOW_DRAIN_SHARE = 0.02  # of nodes have a job that saves its state before it leaves, and
SLOW_DRAIN_FACTOR = 6.0  # that takes so many times as long
REDO_SHARE = 0.02  # of steps fail or turn out void, and are done again after a power reset
HANG_SHARE = 0.003  # of writes never end: they are reset, and written again, when the conductor's patience is over


@dataclass(frozen=True, slots=True, kw_only=True)
class Strain:
    """What units of a run have in common, in standard deviations of the logarithm of a duration: a row per run and one
    column. What is common is taken off what is each unit's `own`, so that a duration keeps its catalogue's spread.

    `everywhere`: by update, or None for the steps that every window has; `here`: in this cluster.
    """

    everywhere: Mapping[UpdateId | None, Minutes]
    here: Minutes
    own: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Luck:
    """How often a window is played, with which dice; `fallout` is a share, one for all runs or a row for each."""

    dice: Dice
    runs: int
    fallout: float | Minutes
    strain: Strain | None = None


def count_needed(nodes: int, threshold: float) -> int:
    """How many of so many nodes have to be back for the return threshold."""
    return math.ceil(round(threshold * nodes, 6))


def rehearse(steps: Sequence[Step], cast: Cast, *, catalogue: Catalogue, campaign: Campaign, pools: Pools) -> Minutes:
    """When the nodes are back, in minutes from the start: a row per run, each ascending; inf: not in this window."""
    nodes = cast.nodes
    runs = min(RUNS_MOST, max(RUNS_LEAST, NODE_RUNS // max(1, nodes)))
    luck = Luck(dice=PooledDice(pools=pools, start=nodes * STRIDE), runs=runs, fallout=campaign.fallout.fraction)
    back = play_window(steps, cast, catalogue=catalogue, luck=luck)
    back.sort(axis=1)
    return back


def find_enough(back: Minutes, missing: int) -> Minutes:
    """Per run, ascending: when all but so many of the nodes are back, of what `rehearse` found."""
    last = back.shape[1] - missing - 1
    return np.sort(back[:, last]) if last >= 0 else np.zeros(len(back), dtype=np.float32)


def play_window(steps: Sequence[Step], cast: Cast, *, catalogue: Catalogue, luck: Luck) -> Minutes:
    """When each node is back, in minutes from the start: a row per run, a column per node; inf: it fell out."""
    return _Play(steps=steps, cast=cast, catalogue=catalogue, luck=luck).play()


@dataclass(kw_only=True)
class _Play:
    """All runs at once: a row per run, a column per node. `ready`: when a node is through with all it did so far."""

    steps: Sequence[Step]
    cast: Cast
    catalogue: Catalogue
    luck: Luck

    def __post_init__(self) -> None:
        self.ready: Minutes = np.zeros((self.luck.runs, self.cast.nodes), dtype=np.float32)
        self.proven: list[tuple[DeviceApplyStep, Minutes]] = []  # with when all of a node's devices are, per node
        self.through: list[tuple[Step, Minutes]] = []  # with when each node was, 0 where a node has no part
        self.rebooted = np.zeros(self.cast.nodes, dtype=np.bool_)
        self.devices = [step for step in self.steps if isinstance(step, DeviceApplyStep) and step.batch == 1]
        self.takes_part = [self._columns_of(step) for step in self.steps]
        self.spans = [find_span(columns) for columns in self.takes_part]

    def play(self) -> Minutes:
        """When each node is back, per run."""
        for batches in order_of_play(self.steps, self.takes_part, self.catalogue.updates):
            step = self.steps[batches[0]]
            self._wait_for_devices(batches)
            match step:
                case DrainStep():
                    self._drain()
                case DeviceApplyStep():
                    self._write_devices(step)
                case NodeApplyStep():
                    columns = np.concatenate([self.takes_part[i] for i in batches])
                    self._write_nodes(self.catalogue.updates[step.update], columns)
                case RebootStep():
                    self._reboot(self.takes_part[batches[0]])
                case VerifyStep():
                    self.ready += self._draw(self.catalogue.defaults.verify_minutes, self.ready.shape[1])
                case _:
                    assert_never(step)
            self._keep_for_devices(batches)
        return self.ready

    def _columns_of(self, step: Step) -> Columns:
        match step:
            case NodeApplyStep(update=update, batch=batch):
                own = [s for s in self.steps if isinstance(s, NodeApplyStep) and s.update == update]
                first = sum(s.nodes for s in own if s.batch < batch)
                return self.cast.due.get(update, NOBODY)[first : first + step.nodes]
            case RebootStep(activates=updates):
                has_any = np.zeros(self.cast.nodes, dtype=np.bool_)
                for update in updates:
                    has_any[self.cast.due.get(update, NOBODY)] = True
                columns = np.flatnonzero(has_any)
                alike = [s for s in self.steps if isinstance(s, RebootStep) and set(s.activates) == set(updates)]
                first = sum(s.nodes for s in alike[: alike.index(step)])
                return columns[first : first + step.nodes]
            case DrainStep() | VerifyStep() | DeviceApplyStep():
                return np.arange(self.cast.nodes)
            case _:
                assert_never(step)

    def _wait_for_devices(self, batches: Sequence[int]) -> None:
        """Nodes wait for devices that they hang on wherever the conductor makes them wait."""
        for index in batches:
            step, span = self.steps[index], self.spans[index]
            for device, done in self.proven if not isinstance(step, DeviceApplyStep) else ():
                if node_waits(step, device, self.catalogue):
                    self.ready[:, span] = np.maximum(self.ready[:, span], done[:, span])

    def _keep_for_devices(self, batches: Sequence[int]) -> None:
        """Remembers when nodes are through with a step that a device waits for."""
        for index in batches:
            if any(device_waits(device, self.steps[index], self.catalogue) for device in self.devices):
                when = np.zeros_like(self.ready)
                when[:, self.spans[index]] = self.ready[:, self.spans[index]]
                self.through.append((self.steps[index], when))

    def _drain(self) -> None:
        takes = self._last(self.catalogue.defaults.drain_minutes, self.ready.shape[1])
        takes.flat[self.luck.dice.pick(SLOW_DRAIN_SHARE, takes.shape)] *= SLOW_DRAIN_FACTOR
        self.ready += takes

    def _write_devices(self, step: DeviceApplyStep) -> None:
        """All devices of the update at its first batch: the conductor begins each as soon as its nodes let it."""
        if step.batch != 1:
            return
        update = self.catalogue.updates[step.update]
        behind = self.cast.behind[step.update]
        begin = np.zeros((self.luck.runs, behind.idle + int(behind.counts.sum())), dtype=np.float32)
        if update.needs_drain and len(behind.counts):
            let = np.zeros_like(self.ready)  # when each node lets a device behind which it stands begin
            for earlier, when in self.through:
                if device_waits(step, earlier, self.catalogue):
                    np.maximum(let, when, out=let)
            drained = np.maximum.reduceat(let[:, behind.columns], behind.firsts, axis=1)
            begin[:, behind.idle :] = np.repeat(drained, behind.counts, axis=1)
        takes = self._draw(update.duration_minutes, begin.shape[1], update.id)
        end = wait_for_room(begin, takes, self._room(update, begin.shape[1])) + takes
        done = np.zeros_like(self.ready)
        if len(behind.counts):
            firsts = behind.idle + np.cumsum(behind.counts) - behind.counts
            slowest = np.repeat(np.maximum.reduceat(end, firsts, axis=1), behind.sizes, axis=1)
            order = np.argsort(behind.columns, kind="stable")  # a node may hang on devices of several groups
            ascending = behind.columns[order]
            starts = np.flatnonzero(np.diff(ascending, prepend=-1))
            done[:, find_span(ascending[starts])] = np.maximum.reduceat(slowest[:, order], starts, axis=1)
        self.proven.append((step, done))

    def _room(self, update: Update, units: int) -> int:
        """How many units the update is written on at once; isolated devices go one at a time."""
        limit = self.catalogue.team_limits.get(update.owner_team, units)
        if update.target != NODE_TARGET:
            return limit if update.isolation.by is IsolationBy.NONE else 1
        if update.isolation.by is not IsolationBy.PERCENT:
            return limit
        return min(limit, max(1, self.cast.nodes * update.isolation.at_once // 100))

    def _write_nodes(self, update: Update, columns: Columns) -> None:
        if not len(columns):
            return  # of those that are taken, all run it already
        span = find_span(columns)
        arrive = self.ready[:, span]
        takes = self._last(update.duration_minutes, len(columns), update.id)
        hangs = self.luck.dice.pick(HANG_SHARE, takes.shape)
        redone = self.luck.dice.pick(REDO_SHARE, takes.shape)
        again = np.concatenate([hangs, redone])  # one that is in both is done again once: what is added is the same
        extra = takes.flat[again] + self._reset_minutes
        takes.flat[hangs] = update.duration_minutes.p90 * HANG_FACTOR
        hold = takes
        if takes_turns(update):
            domains = np.unique(self.cast.domains[columns], return_inverse=True)[1]
            begin = take_turns(arrive, hold, domains, at_once=max(1, update.isolation.at_once))
        else:
            begin = wait_for_room(arrive, hold, self._room(update, len(columns)))
        begin = begin + hold
        begin.flat[again] += extra
        self.ready[:, span] = begin

    def _reboot(self, columns: Columns) -> None:
        """At its first reboot in the window a node falls out, or it does not."""
        takes = self._draw(self.catalogue.defaults.reboot_minutes, len(columns))
        if not self.rebooted[columns].all():
            lost = self.luck.dice.pick(self.luck.fallout, takes.shape)
            takes.flat[lost[~self.rebooted[columns[lost % len(columns)]]]] = NEVER
        self.rebooted[columns] = True
        self.ready[:, find_span(columns)] += takes

    def _draw(self, duration: Duration, units: int, update: UpdateId | None = None) -> Minutes:
        """Lengths of a step, which some have to do twice."""
        takes = self._last(duration, units, update)
        again = self.luck.dice.pick(REDO_SHARE, takes.shape)
        takes.flat[again] = 2 * takes.flat[again] + self._reset_minutes
        return takes

    @property
    def _reset_minutes(self) -> np.float32:
        return np.float32(self.catalogue.defaults.reboot_minutes.p50)

    def _last(self, duration: Duration, units: int, update: UpdateId | None = None) -> Minutes:
        strain = self.luck.strain
        if strain is None:
            return self.luck.dice.last(duration, (self.luck.runs, units))
        takes = self.luck.dice.last(duration.narrowed(strain.own), (self.luck.runs, units))
        common: Minutes = np.exp(np.float32(duration.sigma) * (strain.everywhere[update] + strain.here))
        takes *= common
        return takes
