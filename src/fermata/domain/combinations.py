"""Which updates ran together before, and which pending sets never did: a risk that is told before it is taken."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from fermata.domain.fleet import Fleet, Place, place_of, places_of
from fermata.domain.ids import ClusterId, NodeId, UpdateId
from fermata.domain.pending import FleetPending
from fermata.domain.reasons import Code, Reason, reason

Pair = tuple[UpdateId, UpdateId]  # in the order of their names
NONE: frozenset[UpdateId] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """`updates`, exactly these, were brought to nodes in one outage at `place` (a cluster or a ring): on `nodes` nodes
    it went well, on `failed` it did not. `source` says who knows: a run or a signal.
    """

    updates: frozenset[UpdateId]
    place: str
    source: str
    nodes: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """A set of updates that is pending on the same nodes, with what is known of exactly this set.

    `untested` are its pairs that never ran together well, alone or with others. Names are sorted.
    """

    updates: tuple[UpdateId, ...]
    nodes: int
    clusters: tuple[ClusterId, ...]
    ran_nodes: int
    failed_nodes: int
    places: tuple[str, ...]
    untested: tuple[Pair, ...]

    @property
    def is_new(self) -> bool:
        """True when exactly this set never ran well together."""
        return self.ran_nodes == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PairStanding:
    """What is known of two updates in one outage, whatever else was with them: on `ran` nodes it went well, on `failed`
    it did not. `pending`: on how many nodes both are due now.
    """

    pending: int = 0
    ran: int = 0
    failed: int = 0


def find_pairs(sets: Iterable[frozenset[UpdateId]], known: Iterable[Together]) -> Mapping[Pair, PairStanding]:
    """Every pair that is pending together somewhere, or ran together. `sets`: of each node, by `pending_sets`."""
    pending, ran, failed = Counter[Pair](), Counter[Pair](), Counter[Pair]()
    for updates, nodes in Counter(sets).items():
        pending.update(dict.fromkeys(pairs_of(updates), nodes))
    for one in known:
        pairs = pairs_of(one.updates)
        ran.update(dict.fromkeys(pairs, one.nodes))
        failed.update(dict.fromkeys(pairs, one.failed))
    found = sorted(pending.keys() | ran.keys() | failed.keys())
    return {pair: PairStanding(pending=pending[pair], ran=ran[pair], failed=failed[pair]) for pair in found}


def pending_sets(fleet: Fleet, pending: FleetPending) -> Mapping[NodeId, frozenset[UpdateId]]:
    """For every node with due work, its own updates and those of the devices that it hangs on: one set for all nodes of
    which it is the same.
    """
    units = {id(unit): unit for unit in (*pending.nodes.values(), *pending.devices.values())}
    due = {key: frozenset(item.update.id for item in unit.due) for key, unit in units.items()}
    at: dict[Place, frozenset[UpdateId]] = {}
    for name, unit in pending.devices.items():
        place = place_of(fleet.devices[name])
        at[place] = at.get(place, NONE) | due[id(unit)]
    known: dict[tuple[frozenset[UpdateId], ...], frozenset[UpdateId]] = {}
    found: dict[NodeId, frozenset[UpdateId]] = {}
    for node in fleet.nodes.values():
        key = (due.get(id(pending.nodes.get(node.name)), NONE), *(at.get(place, NONE) for place in places_of(node)))
        updates = known.get(key)
        if updates is None:
            updates = known[key] = NONE.union(*key)
        if updates:
            found[node.name] = updates
    return {name: found[name] for name in sorted(found)}


def find_combinations(
    fleet: Fleet, sets: Mapping[NodeId, frozenset[UpdateId]], known: Iterable[Together]
) -> tuple[Combination, ...]:
    """Sets of two updates and more that are pending together: new ones first, then by how many nodes they are on."""
    nodes: dict[frozenset[UpdateId], list[NodeId]] = defaultdict(list)
    for name, updates in sets.items():
        if len(updates) > 1:
            nodes[updates].append(name)
    evidence = tuple(known)
    tested = tested_pairs(evidence)
    found = [_combination(fleet, updates, names, evidence, tested) for updates, names in nodes.items()]
    return tuple(sorted(found, key=lambda c: (not c.is_new, -c.nodes, c.updates)))


def say_new(found: Iterable[Combination]) -> tuple[Reason, ...]:
    """The risk of each set that never ran well together, in the order given."""
    return tuple(
        reason(Code.NEVER_TOGETHER, updates=", ".join(one.updates), nodes=one.nodes, pairs=_say_pairs(one.untested))
        for one in found
        if one.is_new
    )


def tested_pairs(known: Iterable[Together]) -> frozenset[Pair]:
    """Pairs that ran together well, whatever else was with them."""
    return frozenset(pair for one in known if one.nodes for pair in pairs_of(one.updates))


def pairs_of(updates: Iterable[UpdateId]) -> tuple[Pair, ...]:
    """All pairs, sorted."""
    return tuple(combinations(sorted(updates), 2))


def _say_pairs(pairs: tuple[Pair, ...]) -> str:
    return f", {len(pairs)} of their pairs never at all" if pairs else ""


def _combination(
    fleet: Fleet,
    updates: frozenset[UpdateId],
    names: list[NodeId],
    evidence: tuple[Together, ...],
    tested: frozenset[Pair],
) -> Combination:
    same = [one for one in evidence if one.updates == updates]
    return Combination(
        updates=tuple(sorted(updates)),
        nodes=len(names),
        clusters=tuple(sorted({fleet.nodes[name].cluster for name in names})),
        ran_nodes=sum(one.nodes for one in same),
        failed_nodes=sum(one.failed for one in same),
        places=tuple(sorted({one.place for one in same})),
        untested=tuple(pair for pair in pairs_of(updates) if pair not in tested),
    )
