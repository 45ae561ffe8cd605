"""Scale-in in chunks: whatever the placement group refuses, everybody else goes back, and nobody twice."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermata.domain.scale_in import CALLS_MAX, CHUNK_MAX, carve


class Group:
    """Refuses every chunk with a bad node in it, or larger than it takes."""

    def __init__(self, bad: frozenset[int] = frozenset(), largest: int = CHUNK_MAX) -> None:
        self.bad = bad
        self.largest = largest
        self.sizes: list[int] = []
        self.back: Counter[int] = Counter()

    def __call__(self, chunk: Sequence[int]) -> bool:
        self.sizes.append(len(chunk))
        if len(chunk) > self.largest or self.bad.intersection(chunk):
            return False
        self.back.update(chunk)
        return True


@given(
    nodes=st.integers(0, 1500),
    bad=st.frozensets(st.integers(0, 1499), max_size=40),
    size=st.integers(1, CHUNK_MAX),
    largest=st.integers(1, CHUNK_MAX),
)
def test_all_but_the_bad_go_back_once_and_nothing_is_lost(
    nodes: int, bad: frozenset[int], size: int, largest: int
) -> None:
    group = Group(bad, largest)
    items = range(nodes)
    carved = carve(items, size, group, calls_max=10_000)
    assert set(group.back.values()) <= {1}
    assert carved.left == ()
    assert set(carved.refused) == bad & set(items)
    assert group.back.keys() == set(items) - bad
    assert max(group.sizes, default=1) <= CHUNK_MAX
    assert 1 <= carved.size <= CHUNK_MAX


@given(nodes=st.integers(0, 1500), bad=st.frozensets(st.integers(0, 1499)), calls=st.integers(0, 30))
def test_calls_are_bounded_and_what_was_not_asked_is_left(nodes: int, bad: frozenset[int], calls: int) -> None:
    group = Group(bad)
    carved = carve(range(nodes), CHUNK_MAX, group, calls_max=calls)
    assert len(group.sizes) <= calls
    done = [*group.back, *carved.refused, *carved.left]
    assert sorted(done) == list(range(nodes))


def test_one_bad_node_of_a_full_chunk_costs_two_calls_a_halving() -> None:
    group = Group(bad=frozenset({77}))
    carve(range(CHUNK_MAX), CHUNK_MAX, group)
    assert len(group.sizes) == 1 + 2 * 8 <= CALLS_MAX
    assert len(group.back) == CHUNK_MAX - 1


@pytest.mark.parametrize(
    ("nodes", "largest", "before", "after"),
    [
        (5000, CHUNK_MAX, 8, CHUNK_MAX),  # all goes well: soon as many as may be
        (100, CHUNK_MAX, 100, 200),
        (64, 64, CHUNK_MAX, CHUNK_MAX),  # a chunk is never larger than what there is
        (256, 64, CHUNK_MAX, 128),  # half of what failed, then twice what went through
        (1, 1, 16, 16),
    ],
)
def test_the_size_follows_what_goes_through(nodes: int, largest: int, before: int, after: int) -> None:
    assert carve(range(nodes), before, Group(largest=largest), calls_max=1000).size == after
