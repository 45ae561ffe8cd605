"""Which windows of a plan are its control phase. Planner, checker and conductor all read it here, from the windows
alone: those that were put before all others, with the bake behind them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise

from fermata.domain.fleet import Cluster, Fleet, Node
from fermata.domain.ids import RackId, UpdateId, WindowId
from fermata.domain.phases import ControlPhase
from fermata.domain.plans import Window
from fermata.domain.replanning import Standing

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
ALMOST = 1e-9  # 0.05 x 40 is a little more than 2 in floating point

Version = tuple[str, str, str]  # SKU, component, and what the node reports of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What may go first, by what it would tell: `key` is the caller's name for it."""

    key: str
    nodes: int
    sku: str
    updates: frozenset[UpdateId]
    versions: frozenset[Version]
    racks: frozenset[RackId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """The windows that go first, when the last of them ends, and from when on all others start."""

    windows: frozenset[WindowId]
    nodes: int
    ends: datetime
    opens: datetime


def control_room(nodes: int, max_fraction: float) -> int:
    """How many of so many planned nodes may go first."""
    return int(nodes * max_fraction + ALMOST)


def find_reserved(windows: Iterable[Window], phase: ControlPhase) -> Reserved | None:
    """The first windows by planned start, as many as the phase has room for, behind whose end all others leave the
    bake and the time of a decision. None: the plan reserves no control phase.
    """
    ordered = sorted(windows, key=lambda window: (window.start, window.id))
    room = control_room(sum(len(window.nodes) for window in ordered), phase.max_fraction)
    found: Reserved | None = None
    names: list[WindowId] = []
    nodes, ends = 0, LONG_AGO
    for window, following in pairwise(ordered):
        nodes += len(window.nodes)
        if nodes > room:
            break
        names.append(window.id)
        ends = max(window.end, ends)
        if following.start >= ends + phase.gap:
            found = Reserved(windows=frozenset(names), nodes=nodes, ends=ends, opens=ends + phase.gap)
    return found


def settle_control(
    windows: Iterable[Window], phase: ControlPhase, standing: Standing, now: datetime
) -> Reserved | None:
    """What a plan reserved, as a re-plan as of `now` has to take it. Who goes first stays; where they are late, or are
    still out, all others start when the late ones can have baked: earlier they would wait at the gate in vain. Where
    none of them ran or will, the first windows to come that are small enough take their place. Once others have begun,
    their gate let them, and nobody waits any more.
    """
    found = find_reserved(windows, phase)
    if found is None or any(window.id not in found.windows for window in standing.history):
        return found
    if not found.windows & (standing.ran | {window.id for window in standing.published}):
        return _choose_anew(standing.published, phase) or found
    ends = [found.ends]
    for name in found.windows & standing.ran:
        seen = standing.seen.get(name)
        if name in standing.running:
            ends.append(now)
        elif seen is not None and seen.ended_at is not None:
            ends.append(seen.ended_at)
    return replace(found, ends=max(ends), opens=max(ends) + phase.gap)


def _choose_anew(windows: Iterable[Window], phase: ControlPhase) -> Reserved | None:
    """The first windows by planned start, as many as give the evidence that is asked for and as there is room for."""
    ordered = sorted(windows, key=lambda window: (window.start, window.id))
    room = control_room(sum(len(window.nodes) for window in ordered), phase.max_fraction)
    nodes, ends, names = 0, LONG_AGO, set[WindowId]()
    for window in ordered:
        if nodes < phase.gate.at_least and nodes + len(window.nodes) <= room:
            names.add(window.id)
            nodes, ends = nodes + len(window.nodes), max(ends, window.end)
    return Reserved(windows=frozenset(names), nodes=nodes, ends=ends, opens=ends + phase.gap) if names else None


def choose_control(windows: Iterable[Window], phase: ControlPhase, fleet: Fleet) -> frozenset[WindowId]:
    """The windows that go first: those that the plan reserved; of one that reserves none, the pick of its windows by
    planned start. Empty: every window is too large.
    """
    ordered = sorted(windows, key=lambda window: (window.start, window.id))
    reserved = find_reserved(ordered, phase)
    if reserved is not None:
        return reserved.windows
    room = control_room(sum(len(window.nodes) for window in ordered), phase.max_fraction)
    candidates = (_candidate_of(window, fleet) for window in ordered if len(window.nodes) <= room)
    return frozenset(WindowId(each.key) for each in pick_control(tuple(candidates), room))


def pick_control(candidates: Sequence[Candidate], room: int, *, enough: int | None = None) -> tuple[Candidate, ...]:
    """Those of the candidates, in their order, that hold at most `room` nodes: first what brings another SKU, then
    another update, another version to come from, other racks, and then any. A candidate that is too large by itself is
    never one. `enough`: after SKUs, updates and versions it goes on only up to so many nodes; None: while there is
    room. The first pick tells most.
    """
    chosen: dict[str, Candidate] = {}
    skus: set[str] = set()
    updates: set[UpdateId] = set()
    versions: set[Version] = set()
    racks: set[RackId] = set()
    passes: tuple[tuple[Callable[[Candidate], bool], bool], ...] = (
        (lambda each: each.sku not in skus, True),
        (lambda each: not each.updates <= updates, True),
        (lambda each: not each.versions <= versions, True),
        (lambda each: not each.racks & racks, False),
        (lambda _: True, False),
    )
    taken = 0
    for tells_more, is_needed in passes:
        for each in candidates:
            is_wanted = is_needed or enough is None or taken < enough
            if each.key not in chosen and is_wanted and taken + each.nodes <= room and tells_more(each):
                chosen[each.key] = each
                taken += each.nodes
                skus.add(each.sku)
                updates |= each.updates
                versions |= each.versions
                racks |= each.racks
    return tuple(chosen.values())


def make_candidate(key: str, cluster: Cluster, nodes: Sequence[Node], updates: Iterable[UpdateId]) -> Candidate:
    """Nodes of one cluster, with the updates that their window brings."""
    versions = {(component, version) for node in nodes for component, version in node.versions.items()}
    return Candidate(
        key=key,
        nodes=len(nodes),
        sku=cluster.sku,
        updates=frozenset(updates),
        versions=frozenset((cluster.sku, *each) for each in versions),
        racks=frozenset(node.rack for node in nodes),
    )


def _candidate_of(window: Window, fleet: Fleet) -> Candidate:
    nodes = [fleet.nodes[name] for name in window.nodes if name in fleet.nodes]
    return make_candidate(window.id, fleet.clusters[window.cluster], nodes, window.updates)
