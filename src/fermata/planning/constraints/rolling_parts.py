"""The parts of a rolled cluster are numbered 1..parts in the order of their days, one part a day.

In a re-plan the parts that are carried over keep their numbers, and others take what numbers are left, in any order.
Protects the customer's promise that most of the cluster serves on every day.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from fermata.domain.plans import Mode, Window
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "ROLLING_PARTS"
WRITTEN = "The model puts each part of a way on a day of its own, the last one last; numbers follow the days."


def check(reading: Reading) -> Iterator[Violation]:
    """Missing or repeated part numbers, two parts on one day, a later part before an earlier one."""
    case = reading.case
    for cluster, windows in reading.by_cluster.items():
        rolled = [window for window in windows if window.mode is Mode.ROLLING]
        if not rolled:
            continue
        is_rest = any(window.id in reading.carried for window in rolled)
        if not _are_numbered(rolled, is_rest=is_rest):
            told = ", ".join(f"{window.part}/{window.parts}" for window in rolled)
            sentence = f"{cluster} has {len(rolled)} parts that call themselves {told}: number them 1..{len(rolled)}."
            yield Violation(rule=CODE, sentence=sentence, window=rolled[0].id)
        for earlier, later in pairwise(sorted(rolled, key=lambda window: window.start) if is_rest else rolled):
            if case.day_of(earlier.start) >= case.day_of(later.start):
                sentence = (
                    f"{cluster}: part {later.part} ({later.id}) is not on a later day than part {earlier.part}"
                    f" ({earlier.id})."
                )
                yield Violation(rule=CODE, sentence=sentence, window=later.id)


def _are_numbered(rolled: Sequence[Window], *, is_rest: bool) -> bool:
    parts = [window.part for window in rolled]
    if is_rest:
        return len(set(parts)) == len(parts) and all(1 <= window.part <= window.parts for window in rolled)
    return parts == list(range(1, len(rolled) + 1)) and {window.parts for window in rolled} == {len(rolled)}
