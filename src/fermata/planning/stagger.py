"""Fills the wait of fault domains that take turns: while the first group of domains goes through an isolated update,
the others do what else is due on them, and the first group does that afterwards.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from fermata.domain.fleet import Node
from fermata.domain.ids import UpdateId
from fermata.domain.updates import NODE_TARGET, Catalogue, IsolationBy, Update
from fermata.planning.activation import Layer, find_predecessors, next_place
from fermata.planning.batches import cut_evenly, node_batches, share_of_window

GROUPS_MOST = 6  # of domains: with more, nothing fills their waits any more, and a window has too many steps to read


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """`update` goes through `groups` of fault domains, one group after the other; at least two."""

    update: Update
    groups: tuple[frozenset[str], ...]


def find_turns(updates: Sequence[Update], nodes: Mapping[UpdateId, Sequence[Node]]) -> Turns | None:
    """The longest of `updates` that takes turns over `nodes`, those it is due on; None when none has to."""
    found: list[Turns] = []
    for update in updates:
        if update.target == NODE_TARGET and update.isolation.by is IsolationBy.FAULT_DOMAIN:
            domains = sorted({node.fault_domain for node in nodes[update.id]})
            cuts = [0, *itertools.accumulate(cut_evenly(len(domains), max(1, update.isolation.at_once)))]
            groups = tuple(frozenset(domains[a:b]) for a, b in itertools.pairwise(cuts))
            if 1 < len(groups) <= GROUPS_MOST:
                found.append(Turns(update=update, groups=groups))
    return max(found, key=lambda turns: (turns.update.duration_minutes.p50, turns.update.id), default=None)


def gather(layers: Sequence[Layer], turning: UpdateId) -> tuple[Layer, ...]:
    """The layers with every node update that may as well run beside `turning` moved into its wave."""
    updates = {u.id: u for layer in layers for wave in layer.waves for u in wave}
    place = {u.id: (i, j) for i, layer in enumerate(layers) for j, wave in enumerate(layer.waves) for u in wave}
    target = place[turning]
    before = find_predecessors(updates.values())
    held = {f for u, firsts in before.items() for f in firsts if place[u] < next_place(updates[f], target)}
    moved = [u for u in updates.values() if u.target == NODE_TARGET and place[u.id] < target and u.id not in held]
    gone = {update.id for update in moved}
    result: list[Layer] = []
    for i, layer in enumerate(layers):
        waves = []
        for j, wave in enumerate(layer.waves):
            kept = [u for u in wave if u.id not in gone]
            waves.append(tuple(sorted([*kept, *moved] if (i, j) == target else kept, key=lambda u: u.id)))
        result.append(Layer(waves=tuple(wave for wave in waves if wave)))
    return tuple(layer for layer in result if layer.waves)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """`nodes` nodes on which `update` runs over `[start, end)`, in minutes."""

    update: Update
    nodes: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What isolation and teams leave in a window of `window` nodes."""

    catalogue: Catalogue
    window: int

    def cut(self, update: Update, members: Sequence[Node]) -> tuple[int, ...]:
        """Sizes of the batches in which the nodes of one group take the update."""
        limit = self.catalogue.team_limits.get(update.owner_team)
        return node_batches(update, members, limit=limit, window=self.window) if members else ()

    def find_start(self, update: Update, nodes: int, earliest: int, placed: Sequence[Batch]) -> int:
        """From `earliest` on, the first start at which the update may run on so many nodes beside what is placed."""
        for start in sorted({earliest, *(batch.end for batch in placed if batch.end > earliest)}):
            end = start + _minutes(update)
            beside = [batch for batch in placed if batch.start < end and start < batch.end]
            if all(self._bears(update, nodes, at, beside) for at in {start, *(batch.start for batch in beside)}):
                return start
        raise AssertionError("after everything that is placed there is room")

    def _bears(self, update: Update, nodes: int, at: int, beside: Sequence[Batch]) -> bool:
        running = [batch for batch in beside if batch.start <= at < batch.end]
        same = sum(batch.nodes for batch in running if batch.update is update)
        team = sum(batch.nodes for batch in running if batch.update.owner_team == update.owner_team)
        limit = self.catalogue.team_limits.get(update.owner_team)
        if limit is not None and team + nodes > limit:
            return False
        match update.isolation.by:
            case IsolationBy.NONE:
                return True
            case IsolationBy.PERCENT:
                return same + nodes <= share_of_window(update, self.window)
            case IsolationBy.FAULT_DOMAIN:
                return same == 0
            case _:
                assert_never(update.isolation.by)


def lay_out_turns(
    turns: Turns, others: Sequence[Update], nodes: Mapping[UpdateId, Sequence[Node]], *, start: int, room: Room
) -> tuple[Batch, ...]:
    """Batches of the turning update and of `others`, per update in the order in which batches are cut."""
    waiting: dict[int, list[tuple[Update, int]]] = {}
    for number in range(len(turns.groups)):
        waiting[number] = [
            (update, size)
            for update in _order_of_group(number, turns, others)
            for size in room.cut(update, [n for n in nodes[update.id] if _group_of(n.fault_domain, turns) == number])
        ]
    placed: dict[int, list[Batch]] = {number: [] for number in waiting}
    free = dict.fromkeys(waiting, start)
    while any(waiting.values()):
        beside = [batch for batches in placed.values() for batch in batches]
        starts = {n: room.find_start(*queue[0], free[n], beside) for n, queue in waiting.items() if queue}
        number = min(starts, key=lambda n: (starts[n], n))
        update, size = waiting[number].pop(0)
        free[number] = starts[number] + _minutes(update)
        placed[number].append(Batch(update=update, nodes=size, start=starts[number], end=free[number]))
    return tuple(batch for _, batches in sorted(placed.items()) for batch in batches)


def _minutes(update: Update) -> int:
    return max(1, math.ceil(update.duration_minutes.p50))


def _group_of(domain: str, turns: Turns) -> int:
    """Groups are runs of domains by name; a domain on which nothing turns goes with the run that it lies in."""
    last = len(turns.groups) - 1
    return next((i for i, group in enumerate(turns.groups) if domain <= max(group)), last)


def _order_of_group(number: int, turns: Turns, others: Sequence[Update]) -> tuple[Update, ...]:
    """Others until the group's turn should come, its turn, the rest."""
    wait = number * turns.update.duration_minutes.p50
    first = 0
    filled = 0.0
    while first < len(others) and filled < wait:
        filled += others[first].duration_minutes.p50
        first += 1
    return (*others[:first], turns.update, *others[first:])
