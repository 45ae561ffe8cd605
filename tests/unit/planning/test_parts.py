"""How a cluster is split into the parts it is rolled in."""

from collections.abc import Sequence
from functools import partial
from itertools import product
from operator import attrgetter

import pytest
from tests.unit.planning import bench as b

from fermata.domain.campaign import Rolling
from fermata.domain.fleet import DeviceScope
from fermata.domain.pending import find_pending
from fermata.domain.updates import Impact
from fermata.planning.constraints import rolling_part_size
from fermata.planning.encoding import Facts
from fermata.planning.parts import Ties, Unit, find_splits, find_units, part_size

is_felt = attrgetter("needs_drain")
CLUSTER = b.make_cluster("alpha", rolling=True)


def units_of(sizes: Sequence[int]) -> tuple[Unit, ...]:
    nodes = b.make_nodes(CLUSTER, sizes)
    racks = sorted({node.rack for node in nodes}, key=lambda rack: int(rack.rpartition("r")[2]))
    return tuple(tuple(node for node in nodes if node.rack == rack) for rack in racks)


@pytest.mark.parametrize(
    ("nodes", "low", "high", "bounds"),
    [(2956, 0.05, 0.10, (148, 295)), (100, 0.07, 0.29, (7, 29)), (100, 0.05, 0.10, (5, 10)), (7, 0.2, 0.7, (2, 4))],
)
def test_bounds_of_a_part_are_whole_nodes(nodes: int, low: float, high: float, bounds: tuple[int, int]) -> None:
    campaign = b.make_campaign(rolling=Rolling(min_fraction_per_day=low, max_fraction_per_day=high))
    fleet, catalogue = b.make_fleet([], []), b.make_catalogue()
    facts = Facts(inputs=b.make_inputs(fleet, catalogue, campaign), pending=find_pending(fleet, catalogue))
    assert rolling_part_size.encode(facts).sizes(nodes) == bounds


@pytest.mark.parametrize(
    ("sizes", "least", "most", "expected"),
    [
        ([32] * 92 + [12], 148, 295, [288] * 10 + [76]),
        ([72] * 30, 108, 216, [216] * 10),
        ([4] * 6, 4, 8, [8, 8, 8]),
        ([9] * 6, 4, 8, None),  # a unit larger than a part
        ([5, 5, 5, 5, 5, 1], 4, 5, [5, 5, 5, 5, 5, 1]),
    ],
)
def test_many_units_fill_the_fewest_parts_and_leave_a_small_rest(
    sizes: list[int], least: int, most: int, expected: list[int] | None
) -> None:
    splits = find_splits(units_of(sizes), least, most, fits=lambda _: True)
    assert [[part_size(part) for part in split] for split in splits] == ([expected] if expected else [])


def test_parts_get_smaller_where_a_limit_does_not_bear_full_ones() -> None:
    (split,) = find_splits(units_of([4] * 8), 4, 16, fits=lambda part: part_size(part) <= 8)
    assert [part_size(part) for part in split] == [8, 8, 8, 8]


def test_few_units_are_split_in_every_way() -> None:
    splits = find_splits(units_of([2, 2, 3]), 2, 5, fits=lambda _: True)
    shapes = [[part_size(part) for part in split] for split in splits]
    assert sorted(shapes) == [[2, 2, 3], [2, 3, 2], [2, 3, 2], [2, 5], [2, 5], [3, 4], [4, 3], [5, 2], [5, 2]]


def test_racks_behind_one_draining_device_stay_together() -> None:
    nodes = b.make_nodes(CLUSTER, [2, 2, 2])
    catalogue = b.make_catalogue(b.LONG_NIC, b.make_update("leaf", "leaf_fw", 5, Impact.IMPACTFUL, target="leaf"))
    leaf = b.make_device("alpha", "leaf", "alpha-su0", scope=DeviceScope.SCALABLE_UNIT)
    fleet = b.make_fleet([CLUSTER], nodes, [leaf])
    pending = find_pending(fleet, catalogue)
    find = partial(
        find_units, nodes, fleet=fleet, pending=pending, catalogue=catalogue, told=Ties(updates=is_felt, companions={})
    )
    tied = find([leaf])
    free = find([])
    assert [len(unit) for unit in tied] == [6]
    assert [len(unit) for unit in free] == [1] * 6


def loose_nodes(racks: Sequence[int]) -> tuple[Unit, ...]:
    return tuple((node,) for unit in units_of(racks) for node in unit)


def sizes_of(racks: Sequence[int], least: int, most: int) -> list[tuple[int, ...]]:
    splits = find_splits(loose_nodes(racks), least, most, fits=lambda _: True)
    return [tuple(map(part_size, split)) for split in splits]


@pytest.mark.parametrize(("racks", "least", "most"), [((5,), 1, 3), ((3, 3), 2, 4), ((4, 3, 1), 2, 5), ((6, 2), 3, 3)])
def test_loose_nodes_are_cut_into_every_size_there_is(racks: tuple[int, ...], least: int, most: int) -> None:
    total = sum(racks)
    every = {
        (tuple(sorted(others)), last)
        for parts in range(2, total + 1)
        for *others, last in product(range(1, most + 1), repeat=parts)
        if sum(others) + last == total and min(others) >= least
    }
    assert {(tuple(sorted(others)), last) for *others, last in sizes_of(racks, least, most)} == every


def test_a_rack_is_torn_only_into_sizes_that_whole_racks_do_not_give() -> None:
    splits = find_splits(loose_nodes([2, 2, 2]), 2, 4, fits=lambda _: True)
    torn = [
        tuple(map(part_size, split))
        for split in splits
        if any(
            len({n.rack for unit in part for n in unit} & {n.rack for unit in other for n in unit})
            for part in split
            for other in split
            if part is not other
        )
    ]
    assert sorted(torn) == [(3, 2, 1), (3, 3)]


def test_large_racks_are_torn_only_where_that_takes_fewer_parts() -> None:
    assert sizes_of([40] * 5, 30, 80) == [(80, 80, 40)]
    assert sizes_of([60] * 5, 30, 100) == [(100, 100, 100), (60, 60, 60, 60, 60)]
    assert sizes_of([200], 10, 60) == [(60, 60, 60, 20)]


def test_large_racks_are_torn_into_even_parts_where_a_limit_does_not_bear_full_ones() -> None:
    (split,) = find_splits(loose_nodes([200]), 10, 60, fits=lambda part: part_size(part) <= 55)
    assert [part_size(part) for part in split] == [50, 50, 50, 50]
