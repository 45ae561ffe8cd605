"""What piled up while a freeze held: work that waited, for how long, and what of it was never tried together."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fermata.domain.combinations import Pair, Together, pairs_of, pending_sets, tested_pairs
from fermata.domain.fleet import Fleet
from fermata.domain.ids import UpdateId
from fermata.domain.pending import FleetPending
from fermata.domain.policy import Freeze
from fermata.domain.updates import Update


@dataclass(frozen=True, slots=True, kw_only=True)
class PileLine:
    """One update that waits in the frozen scope. `age` runs from its release to `as_of` of the pile.

    `released_during`: it came while the freeze held; others waited before it.
    """

    update: UpdateId
    title: str
    nodes: int
    devices: int
    released_at: datetime
    age: timedelta
    released_during: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pile:
    """What waits in the scope of a freeze, oldest first. `nodes` have at least one of the updates, counted once.

    `untested` are pairs of updates that are pending on the same node there and never ran together well.
    `as_of` is UTC: now, or the end of a freeze that is over.
    """

    freeze: Freeze
    as_of: datetime
    nodes: int
    lines: tuple[PileLine, ...]
    untested: tuple[Pair, ...]


def find_pile(fleet: Fleet, pending: FleetPending, freeze: Freeze, known: Iterable[Together], now: datetime) -> Pile:
    """The pile of `freeze`, of what is pending now and was released before it ended."""
    as_of = min(now, freeze.end)
    inside = {
        node.name
        for cluster, nodes in fleet.nodes_by_cluster.items()
        for node in nodes
        if freeze.scope.covers(node, fleet.clusters[cluster])
    }
    on_nodes = Counter(i.update.id for name in inside & pending.nodes.keys() for i in pending.nodes[name].due)
    on_devices: Counter[UpdateId] = Counter()
    waiting: dict[UpdateId, Update] = {i.update.id: i.update for u in pending.nodes.values() for i in u.due}
    for name, unit in pending.devices.items():
        if unit.due and any(node.name in inside for node in fleet.nodes_behind(fleet.devices[name])):
            on_devices.update(item.update.id for item in unit.due)
            waiting |= {item.update.id: item.update for item in unit.due}
    taken = {name: u for name, u in waiting.items() if u.released_at < as_of and (on_nodes[name] or on_devices[name])}
    lines = [
        PileLine(
            update=name,
            title=update.title,
            nodes=on_nodes[name],
            devices=on_devices[name],
            released_at=update.released_at,
            age=as_of - update.released_at,
            released_during=update.released_at >= freeze.start,
        )
        for name, update in taken.items()
    ]
    sets = [
        frozenset(updates & taken.keys()) for name, updates in pending_sets(fleet, pending).items() if name in inside
    ]
    tested = tested_pairs(known)
    return Pile(
        freeze=freeze,
        as_of=as_of,
        nodes=sum(1 for updates in sets if updates),
        lines=tuple(sorted(lines, key=lambda line: (line.released_at, line.update))),
        untested=tuple(sorted({pair for updates in set(sets) for pair in pairs_of(updates)} - tested)),
    )
