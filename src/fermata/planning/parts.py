"""Splits a cluster into the parts that it is rolled in. A part is made of whole units: single nodes, and whatever a
shared device with work ties together. Racks stay whole where that is as good.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from fermata.domain.fleet import Device, Fleet, Node
from fermata.domain.ids import NodeId
from fermata.domain.pending import FleetPending
from fermata.domain.updates import Catalogue, Update

EXACT_UNITS_MOST = 4  # up to here every split is listed; 5 units already have hundreds
EXTRA_PARTS_MOST = 6  # how many parts more than the fewest are tried when a limit is too low for full parts
SIZES_MOST = 40  # ways to cut a cluster by size alone; a dozen nodes have about as many, and a way costs a millisecond

Unit = tuple[Node, ...]  # nodes that go together, by name
Split = tuple[tuple[Unit, ...], ...]  # the parts; the last one goes last and may be small


@dataclass(frozen=True, slots=True, kw_only=True)
class Ties:
    """What keeps nodes together: those `updates` where they are due on a device, and `companions` of a node."""

    updates: Callable[[Update], bool]
    companions: Mapping[NodeId, frozenset[NodeId]]


def find_units(
    nodes: Sequence[Node],
    devices: Sequence[Device],
    *,
    fleet: Fleet,
    pending: FleetPending,
    catalogue: Catalogue,
    told: Ties,
) -> tuple[Unit, ...]:
    """The nodes, joined where one goes only with others, and where work on a device ties them or carries what another
    update waits for.
    """
    ties = _Ties(nodes)
    due = {item.update.id: item.update for device in devices for item in pending.of_device(device).due}
    tying = {name for name, update in due.items() if told.updates(update) or _is_entangled(update, catalogue)}
    joined = {
        (device.cluster, device.scope, device.scope_id): device  # many devices at one place tie the same nodes
        for device in devices
        if any(item.update.id in tying for item in pending.of_device(device).due)
    }
    for device in joined.values():
        ties.join(fleet.nodes_behind(device))
    for node in nodes if told.companions else ():
        ties.join([node, *(fleet.nodes[name] for name in told.companions.get(node.name, ()))])
    return ties.groups(nodes)


def _join_racks(units: Sequence[Unit]) -> tuple[Unit, ...]:
    """The units joined to whole racks."""
    ties = _Ties([node for unit in units for node in unit])
    racks: dict[str, list[Node]] = {}
    for unit in units:
        ties.join(unit)
        for node in unit:
            racks.setdefault(node.rack, []).append(node)
    for rack in racks.values():
        ties.join(rack)
    return ties.groups([node for unit in units for node in unit])


class _Ties:
    """Which nodes go together: a forest in which each node leads to the first, by name, of its group."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._leader: dict[NodeId, NodeId] = {node.name: node.name for node in nodes}

    def _find(self, name: NodeId) -> NodeId:
        while self._leader[name] != name:
            self._leader[name] = self._leader[self._leader[name]]
            name = self._leader[name]
        return name

    def join(self, members: Sequence[Node]) -> None:
        """Ties those of `members` together that are known."""
        present = [node.name for node in members if node.name in self._leader]
        for name in present[1:]:
            low, high = sorted((self._find(present[0]), self._find(name)))
            self._leader[high] = low

    def groups(self, nodes: Sequence[Node]) -> tuple[Unit, ...]:
        """The groups, by the name of their first node."""
        found: dict[NodeId, list[Node]] = {}
        for node in sorted(nodes, key=lambda node: node.name):
            found.setdefault(self._find(node.name), []).append(node)
        return tuple(tuple(members) for _, members in sorted(found.items()))


def _is_entangled(update: Update, catalogue: Catalogue) -> bool:
    """True when another update waits for this one or this one for another: both must then be in one window."""
    return bool(update.after or update.requires) or any(
        update.id in other.after or any(needed.component == update.component for needed in other.requires)
        for other in catalogue.rolled_out
    )


def find_splits(
    units: Sequence[Unit], least: int, most: int, *, fits: Callable[[Sequence[Unit]], bool]
) -> tuple[Split, ...]:
    """Ways to split the units into at least two parts, fewest parts first; `fits` says whether limits bear a part.

    Few units: every split there is. Many racks: full parts with a small rest, the fewest parts that fit. Racks that
    nothing ties are torn into sizes that whole racks do not give: all of them if these are few, else full parts.
    """

    def is_valid(split: Split) -> bool:
        return len(split) > 1 and _is_valid(split, least, most) and all(fits(part) for part in split)

    if len(units) <= EXACT_UNITS_MOST:
        every = {split for blocks in _partitions(list(units)) for split in _choices_of_last(blocks)}
        return tuple(sorted((split for split in every if is_valid(split)), key=_rank))
    racks = _join_racks(units)
    found = list(_split_racks(racks, most, is_valid))
    if len(racks) < len(units):
        known = {_sizes(split) for split in found}
        fewest = min(map(len, found), default=len(units) + 1)
        torn = _tear(units, (max(1, least), most), is_valid, fewest=fewest)
        found.extend(split for split in torn if _sizes(split) not in known)
    return tuple(sorted(found, key=_rank))


def _rank(split: Split) -> tuple[int, int, list[list[str]]]:
    """Few parts first, then few racks in several of them."""
    racks = [{node.rack for unit in part for node in unit} for part in split]
    torn = sum(map(len, racks)) - len(set().union(*racks))
    return len(split), torn, [[unit[0].name for unit in part] for part in split]


def _split_racks(racks: Sequence[Unit], most: int, is_valid: Callable[[Split], bool]) -> Iterable[Split]:
    if any(len(rack) > most for rack in racks) or len(racks) < 2:
        return ()
    if len(racks) <= EXACT_UNITS_MOST:
        every = {split for blocks in _partitions(list(racks)) for split in _choices_of_last(blocks)}
        return tuple(split for split in every if is_valid(split))
    fewest = len(_fill(racks, most))
    for parts in range(fewest, min(fewest + EXTRA_PARTS_MOST, len(racks)) + 1):
        room = most if parts == fewest else -(-sum(map(len, racks)) // parts) + max(map(len, racks)) // 2
        split = _fill(racks, min(room, most))
        if is_valid(split):
            return (split,)
    return ()


def _tear(
    units: Sequence[Unit], bounds: tuple[int, int], is_valid: Callable[[Split], bool], *, fewest: int
) -> Iterator[Split]:
    """The units cut one after the other, in the order of their racks, into parts of every size there is. If these are
    many, into full or even parts, and only if that takes fewer than the `fewest` of whole racks.
    """
    total = sum(map(len, units))
    sizes = list(islice(_cut_sizes(total, *bounds), SIZES_MOST + 1))
    are_many = len(sizes) > SIZES_MOST
    if are_many:
        full = -(-total // bounds[1])
        parts = range(full, min(full + EXTRA_PARTS_MOST + 1, fewest))
        sizes = [size for number in parts for size in (_full(total, number, bounds[1]), _even(total, number)) if size]
    splits = (split for size in sizes if (split := _cut(units, size)) is not None and is_valid(split))
    yield from islice(splits, 1 if are_many else None)


def _cut_sizes(total: int, least: int, most: int) -> Iterator[tuple[int, ...]]:
    """Sizes of parts that add up: the last goes last and may be small, the others come largest first."""
    for last in range(min(total - 1, most), 0, -1):
        yield from ((*others, last) for others in _add_up(total - last, least, most))


def _add_up(total: int, least: int, most: int) -> Iterator[tuple[int, ...]]:
    """Sizes of parts, largest first, that add up to so many."""
    if total == 0:
        yield ()
    if -(-total // most) * least > total:
        return
    for first in range(min(most, total), least - 1, -1):
        yield from ((first, *others) for others in _add_up(total - first, least, first))


def _full(total: int, parts: int, most: int) -> tuple[int, ...]:
    """Full parts and a rest; empty if that takes another number of parts."""
    rest = total - (parts - 1) * most
    return (*(most,) * (parts - 1), rest) if 0 < rest <= most else ()


def _even(total: int, parts: int) -> tuple[int, ...]:
    return tuple(total // parts + (number < total % parts) for number in range(parts))


def _cut(units: Sequence[Unit], sizes: Sequence[int]) -> Split | None:
    """The units in parts of exactly these sizes, large ones first; None when they do not come out even."""
    parts: list[list[Unit]] = [[] for _ in sizes]
    room = list(sizes)
    for unit in sorted(units, key=lambda unit: (-len(unit), unit[0].rack, unit[0].name)):
        place = next((number for number, left in enumerate(room) if len(unit) <= left), None)
        if place is None:
            return None
        parts[place].append(unit)
        room[place] -= len(unit)
    return tuple(tuple(sorted(part, key=lambda unit: unit[0].name)) for part in parts)


def _sizes(split: Split) -> tuple[tuple[int, ...], int]:
    *others, last = (part_size(part) for part in split)
    return tuple(sorted(others)), last


def _partitions(units: list[Unit]) -> Iterator[list[list[Unit]]]:
    if not units:
        yield []
        return
    first, rest = units[0], units[1:]
    for blocks in _partitions(rest):
        yield [[first], *blocks]
        for i in range(len(blocks)):
            yield [*blocks[:i], [first, *blocks[i]], *blocks[i + 1 :]]


def _choices_of_last(blocks: list[list[Unit]]) -> Iterator[Split]:
    for last in blocks:
        others = sorted((tuple(block) for block in blocks if block is not last), key=lambda part: part[0][0].name)
        yield (*others, tuple(last))


def _is_valid(split: Split, least: int, most: int) -> bool:
    sizes = [part_size(part) for part in split]
    return max(sizes) <= most and all(size >= least for size in sizes[:-1])


def part_size(part: Sequence[Unit]) -> int:
    """Nodes in a part."""
    return sum(len(unit) for unit in part)


def _fill(units: Sequence[Unit], most: int) -> Split:
    """First fit, largest units first: all parts but the smallest, which goes last, are more than half full."""
    parts: list[list[Unit]] = []
    sizes: list[int] = []
    for unit in sorted(units, key=lambda unit: (-len(unit), unit[0].name)):
        place = next((i for i, size in enumerate(sizes) if size + len(unit) <= most), None)
        if place is None:
            parts.append([unit])
            sizes.append(len(unit))
        else:
            parts[place].append(unit)
            sizes[place] += len(unit)
    order = sorted(range(len(parts)), key=lambda i: (-sizes[i], i))
    return tuple(tuple(sorted(parts[i], key=lambda unit: unit[0].name)) for i in order)
