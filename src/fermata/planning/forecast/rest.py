"""Plays the rest of a window many times: from where every unit stands now until it is back, a row per run.

Waiting is as in a rehearsal, with those first who are in already. A unit that turns out to need a repair comes back
after it and never holds up others. Left out: teams that are busy in other windows, a second failure of one step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from fermata.domain.plans import DeviceApplyStep, DrainStep, NodeApplyStep, RebootStep, VerifyStep
from fermata.domain.updates import NODE_TARGET, Catalogue, IsolationBy, Update
from fermata.planning.dice import Columns, Minutes
from fermata.planning.forecast.draws import Again, Draws
from fermata.planning.forecast.evidence import REBOOT
from fermata.planning.forecast.normal import Floats
from fermata.planning.forecast.standing import DeviceGroup, Layout, Standing, Truth, kinds_of_steps
from fermata.planning.order_of_play import takes_turns
from fermata.planning.turns import take_turns, wait_for_room

INSIDE = np.float32(
    1.0
)  # minute before now at which those who are in already are said to have come: first in any queue


@dataclass(frozen=True, kw_only=True)
class Relief:
    """What is changed about the rest, to see whether it helps: nothing, unless told. `room`: more units for a team at
    each of its updates. `dropped`: steps (indices) that are not done any more where they have not begun.
    """

    room: int = 0
    team: str = ""
    dropped: frozenset[int] = frozenset()


NO_RELIEF = Relief()


def play_rest(layout: Layout, standing: Standing, draws: Draws, catalogue: Catalogue, relief: Relief) -> Minutes:
    """Minutes from now until each node is back: a row per run, a column per node; 0 where it is."""
    return _Rest(layout, standing, draws, catalogue, relief).play()


class _Rest:
    """All runs at once. `ready`: when a node is through with all it did so far, inf from when it is lost on."""

    def __init__(self, layout: Layout, standing: Standing, draws: Draws, catalogue: Catalogue, relief: Relief) -> None:
        self.layout, self.standing, self.draws, self.catalogue = layout, standing, draws, catalogue
        self.relief = relief
        self.kinds = kinds_of_steps(layout.script)
        self.todo = standing.todo.copy()
        for index in relief.dropped:
            self.todo[index] &= standing.at == index
        shape = (draws.runs, layout.nodes)
        self.ready: Minutes = np.zeros(shape, dtype=np.float32)
        self.gone: Minutes = np.full(shape, np.inf, dtype=np.float32)  # when a node was found to need a repair
        self.left: Minutes = np.zeros(shape, dtype=np.float32)  # what it has to do after it
        self.rebooted = standing.wrote.copy()
        self.through: dict[int, Minutes] = {}
        self.proven: list[tuple[int, Minutes]] = []
        self.waited_for = {earlier for earlier, later in layout.script.ties if later in layout.groups}
        self._begin()

    def play(self) -> Minutes:
        """Minutes until each node is back."""
        for group in self.layout.order:
            step = self.layout.script.steps[group[0]]
            if isinstance(step, DeviceApplyStep):
                for index in group:
                    self._write_devices(index)
            else:
                self._do(group)
        lost = np.nonzero(np.isinf(self.ready))
        if len(lost[0]):
            self.ready[lost] = self.gone[lost] + self.draws.repairs(lost[0]) + self.left[lost]
        self.ready[:, self.standing.back] = 0.0
        return self.ready

    def _begin(self) -> None:
        """Nodes in a reset, which then do their step anew, and nodes in a repair."""
        standing = self.standing
        columns = np.flatnonzero(standing.resets)
        if len(columns):
            self.ready[:, columns] = self.draws.last(REBOOT, len(columns), standing.elapsed[columns])
        failed = np.flatnonzero(standing.failed)
        if len(failed):
            runs, places = np.indices((self.draws.runs, len(failed))).reshape(2, -1)
            self._lose(runs, failed[places], np.zeros(len(runs), dtype=np.float32), 0)

    def _lose(self, runs: Columns, columns: Columns, at: Minutes, step: int) -> None:
        """These nodes, each in its run, need a repair from `at` on, and then do what is left from `step` on, without
        waiting.
        """
        rest = np.zeros(self.layout.nodes)
        for index in range(step, len(self.kinds)):
            rest += np.where(self.todo[index], self.draws.median(self.kinds[index]), 0.0)
        self.gone[runs, columns], self.left[runs, columns] = at, rest[columns]
        self.ready[runs, columns] = np.inf

    def _do(self, group: tuple[int, ...]) -> None:
        """One step of all nodes that have to do it, batches together."""
        columns = np.sort(np.concatenate([np.flatnonzero(self._has_to(i)) for i in group]))
        if len(columns):
            self._wait_for_devices(group, columns)
            running = self._is_at(columns, group) & ~self.standing.resets[columns]
            self._take(group[0], columns, np.where(running, self.standing.elapsed[columns], -1.0))
        for i in group:
            if i in self.waited_for:
                self.through[i] = self._through(self._has_to(i))

    def _take(self, index: int, columns: Columns, elapsed: Floats) -> None:
        """Adds what a step takes; `elapsed`: for how long each node is at it, below 0 when it has not begun."""
        step = self.layout.script.steps[index]
        match step:
            case DrainStep():
                takes = self.draws.drain(len(columns), elapsed)
                takes[:, self.standing.idle[columns]] = 1.0
                self.ready[:, self._named(columns)] += takes
            case NodeApplyStep():
                self._write(self.catalogue.updates[step.update], columns, elapsed)
            case RebootStep():
                self._reboot(index, step, columns, elapsed)
            case VerifyStep():
                takes, again = self.draws.step(self.kinds[index], len(columns), elapsed)
                self._pass(columns, takes, again)
            case DeviceApplyStep():
                raise AssertionError("devices are played by themselves")
            case _:
                assert_never(step)

    def _named(self, columns: Columns) -> Columns | slice:
        """For arrays with a column per node: all of them are no copy."""
        return columns if len(columns) < self.layout.nodes else slice(None)

    def _pass(self, columns: Columns, takes: Minutes, again: Again) -> None:
        """Time passes, for those who do the step again a second time."""
        self.ready[:, self._named(columns)] += takes
        self.ready[again.runs, columns[again.units]] += again.minutes

    def _is_at(self, columns: Columns, group: Sequence[int]) -> Truth:
        """Which of the nodes are at one of these steps."""
        at = self.standing.at[columns]
        found: Truth = at == group[0]
        for index in group[1:]:
            found |= at == index
        return found

    def _has_to(self, index: int) -> Truth:
        found: Truth = self.todo[index] & self.layout.parts[index]
        return found

    def _through(self, had: Truth) -> Minutes:
        """When each node was through with what it just did; 0 where it had nothing to do. One that is lost does not
        hold up a device.
        """
        when = np.where(np.isinf(self.ready), np.where(np.isinf(self.gone), 0.0, self.gone), self.ready)
        when[:, ~had] = 0.0
        return when

    def _wait_for_devices(self, group: Sequence[int], columns: Columns) -> None:
        if not self.proven:
            return
        waiting = columns[~self._is_at(columns, group)]
        for device_step, done in self.proven:
            if any(self.layout.script.waits_for(index, device_step) for index in group):
                self.ready[:, waiting] = np.maximum(self.ready[:, waiting], done[:, waiting])

    def _write(self, update: Update, columns: Columns, elapsed: Floats) -> None:
        takes, again = self.draws.step(update.id, len(columns), elapsed)
        inside = elapsed >= 0
        arrive = np.where(inside, np.float32(0.0), self.ready[:, self._named(columns)] + INSIDE)
        hold = takes + INSIDE * inside.astype(np.float32)
        if takes_turns(update):
            domains = np.unique(self.layout.domains[columns], return_inverse=True)[1]
            at_once = max(1, update.isolation.at_once)
            begin = take_turns(arrive, hold, domains, at_once=at_once)
        else:
            begin = wait_for_room(arrive, hold, self._room(update, len(columns)))
        self.ready[:, self._named(columns)] = begin - INSIDE
        self._pass(columns, hold, again)

    def _room(self, update: Update, units: int) -> int:
        limit = self.catalogue.team_limits.get(update.owner_team, units)
        if update.owner_team == self.relief.team:
            limit += self.relief.room
        if update.target != NODE_TARGET:
            return limit if update.isolation.by is IsolationBy.NONE else 1
        if update.isolation.by is not IsolationBy.PERCENT:
            return limit
        return min(limit, max(1, self.layout.nodes * update.isolation.at_once // 100))

    def _reboot(self, index: int, step: RebootStep, columns: Columns, elapsed: Floats) -> None:
        """At its first reboot in the window a node falls out, or it does not. What turns out void is written again."""
        takes, again = self.draws.step(REBOOT, len(columns), elapsed, before=step.activates)
        runs, places = self.draws.falls_out(elapsed)
        falls = ~self.rebooted[columns[places]] & np.isfinite(self.ready[runs, columns[places]])
        runs, lost = runs[falls], columns[places[falls]]
        begun = self.ready[runs, lost]
        self._pass(columns, takes, again)
        if len(runs):
            self._lose(runs, lost, begun + np.float32(self.draws.patience(REBOOT)), index + 1)
        self.rebooted[columns] = True

    def _write_devices(self, index: int) -> None:
        step = self.layout.script.steps[index]
        assert isinstance(step, DeviceApplyStep)
        update = self.catalogue.updates[step.update]
        todo = self.standing.device_todo
        groups = [group for group in self.layout.groups.get(index, ()) if todo[group.rows].any()]
        if not groups:
            return  # and nobody waits for it
        runs = self.draws.runs
        rows = np.concatenate([group.rows for group in groups])
        begin = np.concatenate([self._let(index, update, group) for group in groups], axis=1)
        elapsed = self.standing.device_elapsed[rows]
        todo = todo[rows]
        if index in self.relief.dropped:
            todo = todo & (elapsed >= 0)
        end: Minutes = np.zeros((runs, len(rows)), dtype=np.float32)
        if todo.any():
            at = np.flatnonzero(todo)
            takes, again = self.draws.step(update.id, len(at), elapsed[at])
            inside = elapsed[at] >= 0
            arrive = np.where(inside, np.float32(0.0), begin[:, at] + INSIDE)
            hold = takes + INSIDE * inside.astype(np.float32)
            failed = np.flatnonzero(self.standing.device_failed[rows[at]])
            if len(failed):
                arrive[:, failed] += self.draws.repairs(np.repeat(np.arange(runs)[:, None], len(failed), axis=1))
            end[:, at] = wait_for_room(arrive, hold, self._room(update, len(at))) - INSIDE + hold
            end[again.runs, at[again.units]] += again.minutes
        done: Minutes = np.zeros((runs, self.layout.nodes), dtype=np.float32)
        first = 0
        for group in groups:
            last = first + len(group.rows)
            slowest = end[:, first:last].max(axis=1)
            done[:, group.columns] = np.maximum(done[:, group.columns], slowest[:, None])
            first = last
        self.proven.append((index, done))

    def _let(self, index: int, update: Update, group: DeviceGroup) -> Minutes:
        """When the nodes behind a group of devices let them begin."""
        columns, count = group.columns, len(group.rows)
        let = np.zeros((self.draws.runs, 1), dtype=np.float32)
        if update.needs_drain and len(columns):
            for earlier, when in self.through.items():
                if self.layout.script.waits_for(index, earlier):
                    let = np.maximum(let, when[:, columns].max(axis=1, keepdims=True))
        return np.repeat(let, count, axis=1)
