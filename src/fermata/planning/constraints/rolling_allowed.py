"""A cluster is taken in parts only where its customer allows rolling.

Protects customers whose jobs need the whole cluster or none of it.
"""

from collections.abc import Iterator

from fermata.domain.fleet import Cluster
from fermata.domain.plans import Mode
from fermata.planning.encoding import Facts, Parts
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "ROLLING_ALLOWED"


def check(reading: Reading) -> Iterator[Violation]:
    """Rolling windows of clusters whose column `rolling_allowed` is false."""
    for window in reading.selected:
        cluster = reading.case.fleet.clusters.get(window.cluster)
        if window.mode is Mode.ROLLING and cluster is not None and not cluster.rolling_allowed:
            sentence = f"Window {window.id} takes a part of {window.cluster}, which may not be rolled: take it whole."
            yield Violation(rule=CODE, sentence=sentence, window=window.id)


def encode(_facts: Facts) -> Parts:
    """Parts only where the column `rolling_allowed` says so."""
    return Parts(may_roll=_may_roll)


def _may_roll(cluster: Cluster) -> bool:
    return cluster.rolling_allowed
