"""Splits a cluster into the parts that it is rolled in. A part is made of whole units: racks, and whatever a shared
device with work ties together.
"""

from collections.abc import Callable, Iterator, Sequence

from fermata.domain.fleet import Device, Fleet, Node
from fermata.domain.ids import NodeId
from fermata.domain.pending import FleetPending
from fermata.domain.updates import Catalogue, Update

EXACT_UNITS_MOST = 4  # up to here every split is listed; 5 units already have hundreds
EXTRA_PARTS_MOST = 6  # how many parts more than the fewest are tried when a limit is too low for full parts

Unit = tuple[Node, ...]  # nodes that go together, by name
Split = tuple[tuple[Unit, ...], ...]  # the parts; the last one goes last and may be small


def find_units(
    nodes: Sequence[Node],
    devices: Sequence[Device],
    *,
    fleet: Fleet,
    pending: FleetPending,
    catalogue: Catalogue,
    ties_nodes: Callable[[Update], bool],
) -> tuple[Unit, ...]:
    """The nodes in whole racks, joined where work on a device ties them or carries what another update waits for."""
    ties = _Ties(nodes)
    racks: dict[str, list[Node]] = {}
    for node in nodes:
        racks.setdefault(node.rack, []).append(node)
    for rack in racks.values():
        ties.join(rack)
    due = {item.update.id: item.update for device in devices for item in pending.of_device(device).due}
    tying = {name for name, update in due.items() if ties_nodes(update) or _is_entangled(update, catalogue)}
    joined = {
        (device.cluster, device.scope, device.scope_id): device  # many devices at one place tie the same nodes
        for device in devices
        if any(item.update.id in tying for item in pending.of_device(device).due)
    }
    for device in joined.values():
        ties.join(fleet.nodes_behind(device))
    return ties.groups(nodes)


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
        for other in catalogue.production_ready
    )


def find_splits(
    units: Sequence[Unit], least: int, most: int, *, fits: Callable[[Sequence[Unit]], bool]
) -> tuple[Split, ...]:
    """Ways to split the units into at least two parts, fewest parts first; `fits` says whether limits bear a part.

    Few units: every split there is. Many: full parts with a small rest, the fewest parts that fit.
    """
    if any(len(unit) > most for unit in units) or len(units) < 2:
        return ()
    if len(units) <= EXACT_UNITS_MOST:
        every = {split for blocks in _partitions(list(units)) for split in _choices_of_last(blocks)}
        valid = (s for s in every if len(s) > 1 and _is_valid(s, least, most) and all(fits(part) for part in s))
        return tuple(sorted(valid, key=lambda s: (len(s), [[unit[0].name for unit in part] for part in s])))
    fewest = len(_fill(units, most))
    for parts in range(fewest, min(fewest + EXTRA_PARTS_MOST, len(units)) + 1):
        room = most if parts == fewest else -(-sum(map(len, units)) // parts) + max(map(len, units)) // 2
        split = _fill(units, min(room, most))
        if len(split) > 1 and _is_valid(split, least, most) and all(fits(part) for part in split):
            return (split,)
    return ()


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
