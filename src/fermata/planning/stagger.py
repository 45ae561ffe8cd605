"""Fills the wait of fault domains that take turns: while the first group of domains goes through an isolated update,
the others do what else is due on them, and the first group does that afterwards.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fermata.domain.fleet import Node
from fermata.domain.ids import UpdateId
from fermata.domain.updates import NODE_TARGET, IsolationBy, Update
from fermata.planning.activation import Layer, find_predecessors
from fermata.planning.batches import cut_evenly

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
    held = {first for update, firsts in before.items() if place[update] <= target for first in firsts}
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


def order_of_group(number: int, turns: Turns, others: Sequence[Update]) -> tuple[Update, ...]:
    """What group `number` (from 0) does in which order: others until its turn should come, its turn, the rest."""
    wait = number * turns.update.duration_minutes.p50
    first = 0
    filled = 0.0
    while first < len(others) and filled < wait:
        filled += others[first].duration_minutes.p50
        first += 1
    return (*others[:first], turns.update, *others[first:])
