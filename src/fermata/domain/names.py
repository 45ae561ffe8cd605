"""The nearest known name to a mistyped one, quickly among tens of thousands."""

import difflib
from bisect import bisect_left
from collections.abc import Iterable
from functools import cached_property

COMPARED_ALL_MAX = 200  # above it, only the neighbours in both orders are compared
NEIGHBOURS = 60  # on each side, in each order
CUTOFF = 0.6  # difflib's own default: below it a suggestion confuses more than it helps
WRONG_LENGTH_MAX = 200


class Names:
    """A set of known names. A typo leaves a common beginning or a common end, so the neighbours in alphabetical
    order, and in the alphabetical order of the reversed names, hold the nearest name without comparing all.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._known = frozenset(names)

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def __len__(self) -> int:
        return len(self._known)

    def nearest(self, wrong: str) -> str | None:
        """The known name most like `wrong`, upper and lower case alike; None when none is near."""
        if len(wrong) > WRONG_LENGTH_MAX or wrong in self._known:
            return None
        folded = wrong.casefold().strip()
        if folded in self._by_folded:
            return self._by_folded[folded]
        found = difflib.get_close_matches(folded, self._candidates(folded), n=1, cutoff=CUTOFF)
        return self._by_folded[found[0]] if found else None

    @cached_property
    def _by_folded(self) -> dict[str, str]:
        return {name.casefold(): name for name in sorted(self._known, reverse=True)}

    @cached_property
    def _forwards(self) -> list[str]:
        return sorted(self._by_folded)

    @cached_property
    def _backwards(self) -> list[str]:
        return sorted(name[::-1] for name in self._by_folded)

    def _candidates(self, folded: str) -> list[str]:
        if len(self._forwards) <= COMPARED_ALL_MAX:
            return self._forwards
        ends = (name[::-1] for name in _around(self._backwards, folded[::-1]))
        return sorted({*_around(self._forwards, folded), *ends})


def _around(ordered: list[str], name: str) -> list[str]:
    at = bisect_left(ordered, name)
    return ordered[max(0, at - NEIGHBOURS) : at + NEIGHBOURS]
