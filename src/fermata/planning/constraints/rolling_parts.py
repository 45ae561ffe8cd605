"""The parts of a rolled cluster are numbered 1..parts in the order of their days, one part a day.

Protects the customer's promise that most of the cluster serves on every day.
"""

from collections.abc import Iterator
from itertools import pairwise

from fermata.domain.plans import Mode
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
        parts = [window.part for window in rolled]
        if parts != list(range(1, len(rolled) + 1)) or {window.parts for window in rolled} != {len(rolled)}:
            told = ", ".join(f"{window.part}/{window.parts}" for window in rolled)
            sentence = f"{cluster} has {len(rolled)} parts that call themselves {told}: number them 1..{len(rolled)}."
            yield Violation(rule=CODE, sentence=sentence, window=rolled[0].id)
        for earlier, later in pairwise(rolled):
            if case.day_of(earlier.start) >= case.day_of(later.start):
                sentence = (
                    f"{cluster}: part {later.part} ({later.id}) is not on a later day than part {earlier.part}"
                    f" ({earlier.id})."
                )
                yield Violation(rule=CODE, sentence=sentence, window=later.id)
