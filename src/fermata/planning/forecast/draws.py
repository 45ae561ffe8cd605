"""Draws of a window's rest: lengths of steps that begin, lengths of steps under way given how long they took, and whom
something befalls. What is not known exactly (medians, spreads, shares) is drawn once per run.
"""

from collections.abc import Sequence

import numpy as np

from fermata.domain.scripts import DRAIN
from fermata.domain.updates import Catalogue
from fermata.planning.dice import Columns
from fermata.planning.forecast.evidence import REBOOT, Kind
from fermata.planning.forecast.learning import Belief, Slow, claims_of, patience_minutes
from fermata.planning.forecast.normal import Floats, draw_beyond, survival
from fermata.planning.forecast.odds import Odds
from fermata.planning.forecast.standing import Truth

LOOK_MINUTES = 60.0  # a repaired node is looked at once an hour


class Draws:
    """The dice of one forecast; equal seeds give equal draws, in the order of asking."""

    def __init__(
        self, belief: Belief, slow: Slow, odds: Odds, *, catalogue: Catalogue, runs: int, seed: Sequence[int]
    ) -> None:
        self.random = np.random.Generator(np.random.SFC64(seed))
        self.runs = runs
        self.kinds = {kind: number for number, kind in enumerate(belief.kinds)}
        normal = self.random.standard_normal((runs, len(belief.kinds)))
        root = np.linalg.cholesky(belief.covariance + 1e-12 * np.eye(len(belief.kinds)))
        self._mu: Floats = belief.mean + normal @ root.T
        chi2 = self.random.chisquare(belief.known, size=(runs, len(belief.kinds)))
        self._spread: Floats = belief.spread * np.sqrt(belief.known / chi2)
        self._median = np.exp(belief.mean)
        self._patience = patience_minutes(claims_of(catalogue), belief.kinds)
        self._redo = {kind: share.draw(self.random, runs) for kind, share in odds.redo.items()}
        self._hang = {kind: share.draw(self.random, runs) for kind, share in odds.hang.items()}
        self._fallout = odds.fallout.draw(self.random, runs)
        self._repair = odds.draw_repair(self.random, runs)
        self._slow = slow
        self._slow_share = self.random.beta(slow.slow, slow.quick, size=(runs, 1))

    def median(self, kind: Kind) -> float:
        """Minutes that the kind of step takes, one unit in two."""
        return float(self._median[self.kinds[kind]])

    def patience(self, kind: Kind) -> float:
        """Minutes after which the conductor gives a step up as hung."""
        return float(self._patience[self.kinds[kind]])

    def last(self, kind: Kind, units: int, elapsed: Floats) -> Floats:
        """What is left of a step, a row per run; `elapsed`: how long each unit is at it, below 0 when it begins."""
        mu, s = self._of(kind)
        return self._left(mu, s, units, elapsed)

    def drain(self, units: int, elapsed: Floats) -> Floats:
        """What is left of drains, of which some are slow ones."""
        mu, s = self._of(DRAIN)
        share = self._slow_share
        log = np.log(np.maximum(elapsed, 1e-3))
        quick = (1 - share) * survival((log - mu) / s)
        long = share * survival((log - mu - self._slow.log_factor) / s)
        chance = np.where(elapsed < 0, share, long / np.maximum(1e-300, quick + long))
        is_slow = self.random.random((self.runs, units)) < chance
        return self._left(mu + self._slow.log_factor * is_slow, s, units, elapsed)

    def step(self, kind: Kind, units: int, elapsed: Floats, before: Sequence[Kind] = ()) -> tuple[Floats, Floats]:
        """What is left of a step on each unit, and what is added because it is done again after a reset, or because
        one of the steps `before` it turns out void and is done again with it.
        """
        mu, s = self._of(kind)
        takes = self._left(mu, s, units, elapsed)
        patience = self._patience[self.kinds[kind]] - np.maximum(elapsed, 0.0)
        again = self.random.random(takes.shape) < self._redo[kind]
        if kind in self._hang:
            hangs = self.random.random(takes.shape) < self._hang_given(kind, mu, s, elapsed)
            takes = np.where(hangs, np.maximum(patience, 0.0), takes)
            again |= hangs
        late = takes > patience
        takes = np.where(late, np.maximum(patience, 0.0), takes)
        again |= late
        extra = np.zeros_like(takes)
        runs, columns = np.nonzero(again)
        if len(runs):
            extra[runs, columns] = self._fresh(kind, runs) + self._fresh(before[0] if before else REBOOT, runs)
        return takes, extra

    def falls_out(self, units: int, elapsed: Floats) -> Truth:
        """Which units do not come back from a reboot; the longer one lasts, the likelier."""
        mu, s = self._of(REBOOT)
        alive = np.where(elapsed < 0, 1.0, survival((np.log(np.maximum(elapsed, 1e-3)) - mu) / s))
        chance = self._fallout / (self._fallout + (1 - self._fallout) * alive)
        found: Truth = self.random.random((self.runs, units)) < chance
        return found

    def repairs(self, shape: tuple[int, ...]) -> Floats:
        """Minutes until units in repair are repaired and seen to be."""
        return self.random.exponential(1.0, shape) * self._repair + self.random.random(shape) * LOOK_MINUTES

    def _of(self, kind: Kind) -> tuple[Floats, Floats]:
        number = self.kinds[kind]
        return self._mu[:, number : number + 1], self._spread[:, number : number + 1]

    def _fresh(self, kind: Kind, runs: Columns) -> Floats:
        mu, s = self._of(kind)
        found: Floats = np.exp(mu[runs, 0] + s[runs, 0] * self.random.standard_normal(len(runs)))
        return found

    def _left(self, mu: Floats, s: Floats, units: int, elapsed: Floats) -> Floats:
        z = self.random.standard_normal((self.runs, units))
        running = np.flatnonzero(elapsed > 0)
        if len(running):
            here = mu if mu.shape[1] == 1 else mu[:, running]
            z[:, running] = draw_beyond(self.random, (np.log(elapsed[running]) - here) / s)
        takes: Floats = np.exp(mu + s * z) - np.maximum(elapsed, 0.0)
        return np.maximum(takes, 0.0)

    def _hang_given(self, kind: Kind, mu: Floats, s: Floats, elapsed: Floats) -> Floats:
        share = self._hang[kind]
        alive = np.where(elapsed < 0, 1.0, survival((np.log(np.maximum(elapsed, 1e-3)) - mu) / s))
        found: Floats = share / (share + (1 - share) * alive)
        return found
