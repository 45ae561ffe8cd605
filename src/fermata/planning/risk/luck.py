"""What the runs of a simulated campaign have in common: a bad update is bad everywhere, a bad day in one cluster."""

import math
from dataclasses import dataclass

import numpy as np

from fermata.domain.ids import ClusterId, UpdateId
from fermata.domain.updates import Catalogue
from fermata.planning.dice import FreshDice, Minutes
from fermata.planning.rehearsal import Luck, Strain

# Share of a duration's spread that all units of an update have in common, half of it over the campaign and half within
# a cluster. No catalogue carries it; at 0.2, one campaign in twenty has an update that takes 1.2 to 1.3 times as long
# everywhere. A site that has run campaigns sets its own with `--correlation`.
CORRELATION = 0.2
FALLOUT_SPREAD = 1.0  # of the logarithm of the share that falls out, were all of it common: one unit is a factor of e


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What one block of runs has in common over the campaign: per update, standard deviations of a row per run."""

    random: np.random.Generator
    runs: int
    everywhere: dict[UpdateId | None, Minutes]
    fallout: Minutes
    correlation: float

    @classmethod
    def draw(cls, catalogue: Catalogue, *, runs: int, seed: tuple[int, ...], correlation: float) -> "Fate":
        """The fate of so many campaigns; equal arguments give equal fates."""
        random = np.random.Generator(np.random.SFC64(seed))  # the fastest that numpy has
        share = math.sqrt(correlation / 2)
        names: tuple[UpdateId | None, ...] = (None, *sorted(catalogue.updates))
        everywhere = {name: _normal(random, runs) * np.float32(share) for name in names}
        fallout = _normal(random, runs) * np.float32(share)
        return cls(random=random, runs=runs, everywhere=everywhere, fallout=fallout, correlation=correlation)

    def draw_cluster(self) -> "ClusterFate":
        """What the windows of one cluster have in common beside that."""
        share = np.float32(math.sqrt(self.correlation / 2))
        return ClusterFate(
            here=_normal(self.random, self.runs) * share, fallout=_normal(self.random, self.runs) * share
        )

    def make_luck(self, cluster: "ClusterFate", fallout: float) -> Luck:
        """The luck with which a window of the cluster is played; `fallout`: the mean share of nodes that fall out."""
        spread = np.float32(FALLOUT_SPREAD) * (self.fallout + cluster.fallout)
        mean = np.float32(FALLOUT_SPREAD**2 * self.correlation / 2)  # of the logarithm, above its median
        strain = Strain(everywhere=self.everywhere, here=cluster.here, own=math.sqrt(1 - self.correlation))
        return Luck(
            dice=FreshDice(random=self.random),
            runs=self.runs,
            fallout=np.minimum(np.float32(fallout) * np.exp(spread - mean), np.float32(1)),
            strain=strain,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFate:
    """What the windows of one cluster have in common."""

    here: Minutes
    fallout: Minutes


def draw_repairs(random: np.random.Generator, back: Minutes, mean_minutes: float) -> None:
    """Gives every node that fell out (inf) a time of return instead: the repair is exponential and never ends early.

    It counts from when the others were through on average, which is when a node that does not come back is missed.
    """
    lost = np.isinf(back)
    told = np.where(lost, np.float32(0), back)
    found = told.sum(axis=1) / np.maximum(1, (~lost).sum(axis=1))
    rows = np.nonzero(lost)[0]
    back[lost] = found[rows] + random.exponential(mean_minutes, len(rows)).astype(np.float32)


def _normal(random: np.random.Generator, runs: int) -> Minutes:
    return random.standard_normal((runs, 1), dtype=np.float32)


def cluster_fates(fate: Fate, clusters: tuple[ClusterId, ...]) -> dict[ClusterId, ClusterFate]:
    """The fate of each cluster, in the order given."""
    return {name: fate.draw_cluster() for name in clusters}
