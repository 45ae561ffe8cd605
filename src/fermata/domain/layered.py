"""Large mappings that change a little: what changed lies on top of what was, which is not copied. A copy of a million
entries, and its end, take longer than all else that follows from one node.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")

LAYERED_FROM = 100_000  # entries: below it a copy takes a millisecond
CHANGES_MAX = 2_000  # on top; with more, all of it is copied once


class Layered(Mapping[K, V]):
    """`under` with the entries of `over`, and without those that are `gone`. None of them is ever changed."""

    __slots__ = ("_gone", "_over", "_size", "_under")

    def __init__(self, under: Mapping[K, V], over: Mapping[K, V], gone: frozenset[K]) -> None:
        self._under = under
        self._over = over
        self._gone = gone
        self._size = len(under) - len(gone) + sum(key not in under for key in over)

    def __getitem__(self, key: K) -> V:
        if key in self._over:
            return self._over[key]
        if key in self._gone:
            raise KeyError(key)
        return self._under[key]

    def get(self, key: K, default: Any = None) -> Any:  # a mapping's own raises and catches where nothing is
        """As of any mapping."""
        if key in self._over:
            return self._over[key]
        return default if key in self._gone else self._under.get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._over or (key in self._under and key not in self._gone)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[K]:
        yield from (key for key in self._under if key not in self._gone)
        yield from (key for key in self._over if key not in self._under)

    def put(self, fresh: Mapping[K, V], gone: Iterable[K]) -> Mapping[K, V]:
        """With further changes."""
        over, left = dict(self._over), set(self._gone)
        for key in gone:
            over.pop(key, None)
            if key in self._under:
                left.add(key)
        over.update(fresh)
        left -= over.keys()
        if len(over) + len(left) <= CHANGES_MAX:
            return Layered(self._under, over, frozenset(left))
        return _copy(self._under, over, left)


def put(known: Mapping[K, V], fresh: Mapping[K, V], gone: Iterable[K]) -> Mapping[K, V]:
    """What was known with the entries of `fresh`, and without those that are `gone`: their keys are not in `fresh`."""
    if isinstance(known, Layered):
        return known.put(fresh, gone)
    if len(known) >= LAYERED_FROM:
        return Layered(known, {}, frozenset()).put(fresh, gone)
    return _copy(known, fresh, gone)


def _copy(known: Mapping[K, V], fresh: Mapping[K, V], gone: Iterable[K]) -> dict[K, V]:
    found = dict(known)
    for key in gone:
        found.pop(key, None)
    found.update(fresh)
    return found
