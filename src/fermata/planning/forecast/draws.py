"""Draws of a window's rest: lengths of steps that begin, lengths of steps under way given how long they took, and whom
something befalls. What is not known exactly (medians, spreads, shares) is drawn once per run.

Minutes are of single precision, and what befalls few is drawn as gaps between them: half of the time of a forecast.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fermata.domain.scripts import DRAIN
from fermata.domain.updates import Catalogue
from fermata.planning.dice import Columns, FreshDice, Minutes
from fermata.planning.forecast.evidence import REBOOT, Kind
from fermata.planning.forecast.learning import Belief, Slow, claims_of, patience_minutes
from fermata.planning.forecast.normal import Floats, draw_beyond, survival
from fermata.planning.forecast.odds import Odds, Share

LOOK_MINUTES = 60.0  # a repaired node is looked at once an hour
HAIR = 1e-9  # of variance: rounding may leave one a little below 0, and no median is known to a part in 30,000


@dataclass(frozen=True, slots=True)
class Again:
    """What is added for those who do a step again: so many minutes to a unit (its place among those asked) in a run."""

    runs: Columns
    units: Columns
    minutes: Minutes


class Draws:
    """The dice of one forecast; equal seeds give equal draws, in the order of asking."""

    def __init__(
        self, belief: Belief, slow: Slow, odds: Odds, *, catalogue: Catalogue, runs: int, seed: Sequence[int]
    ) -> None:
        self.random = np.random.Generator(np.random.SFC64(seed))
        self.runs = runs
        self.kinds = {kind: number for number, kind in enumerate(belief.kinds)}
        self._dice = FreshDice(random=self.random)
        normal = self.random.standard_normal((runs, len(belief.kinds)))
        self._mu: Floats = belief.mean + normal @ _root(belief.covariance).T
        chi2 = self.random.chisquare(belief.known, size=(runs, len(belief.kinds)))
        self._spread: Floats = belief.spread * np.sqrt(belief.known / chi2)
        self._median = np.exp(belief.mean)
        self._patience = patience_minutes(claims_of(catalogue), belief.kinds)
        self._odds = odds
        self._drawn: dict[tuple[str, Kind], Floats] = {}
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

    def last(self, kind: Kind, units: int, elapsed: Floats) -> Minutes:
        """What is left of a step, a row per run; `elapsed`: how long each unit is at it, below 0 when it begins."""
        mu, s = self._of(kind)
        return self._left(mu, s, units, elapsed)

    def drain(self, units: int, elapsed: Floats) -> Minutes:
        """What is left of drains, of which some are slow ones."""
        mu, s = self._of(DRAIN)
        share, far = self._slow_share, self._slow.log_factor
        chance = np.repeat(share, units, axis=1)
        running = np.flatnonzero(elapsed >= 0)
        if len(running):
            log = _log(elapsed[running])
            quick = (1 - share) * survival((log - mu) / s)
            long = share * survival((log - mu - far) / s)
            chance[:, running] = long / np.maximum(1e-300, quick + long)
        is_slow = self.random.random((self.runs, units), dtype=np.float32) < chance
        return self._left(mu + far * is_slow, s, units, elapsed)

    def step(self, kind: Kind, units: int, elapsed: Floats, before: Sequence[Kind] = ()) -> tuple[Minutes, Again]:
        """What is left of a step on each unit, and what is added because it is done again after a reset, or because
        one of the steps `before` it turns out void and is done again with it.
        """
        mu, s = self._of(kind)
        takes = self._left(mu, s, units, elapsed)
        patience = (self._patience[self.kinds[kind]] - np.maximum(elapsed, 0.0)).astype(np.float32)
        at_most = np.maximum(patience, np.float32(0.0))
        again = [self._fails(kind, takes, elapsed)]
        if kind in self._odds.hang:
            hangs = self._never_end(self._drawn_once("hang", self._odds.hang, kind), mu, s, elapsed)
            takes.reshape(-1)[hangs] = at_most[hangs % units]
            again.append(hangs)
        again.append(np.flatnonzero(takes > patience))
        np.minimum(takes, at_most, out=takes)
        runs, places = np.divmod(np.unique(np.concatenate(again)), units)
        minutes = self._fresh(kind, runs) + self._fresh(before[0] if before else REBOOT, runs)
        return takes, Again(runs, places, minutes)

    def falls_out(self, elapsed: Floats) -> tuple[Columns, Columns]:
        """Which units, in which runs, do not come back from a reboot; the longer one lasts, the likelier."""
        mu, s = self._of(REBOOT)
        return np.divmod(self._never_end(self._fallout, mu, s, elapsed), len(elapsed))

    def repairs(self, runs: Columns) -> Minutes:
        """Minutes until units in repair are repaired and seen to be, for one unit in each of these runs."""
        takes = self.random.exponential(1.0, runs.shape) * self._repair[runs, 0]
        found: Minutes = (takes + self.random.random(runs.shape) * LOOK_MINUTES).astype(np.float32)
        return found

    def _of(self, kind: Kind) -> tuple[Floats, Floats]:
        number = self.kinds[kind]
        return self._mu[:, number : number + 1], self._spread[:, number : number + 1]

    def _drawn_once(self, what: str, shares: Mapping[Kind, Share], kind: Kind) -> Floats:
        """A share of a kind of step, a row per run: drawn when it is first asked for, since few kinds are."""
        if (what, kind) not in self._drawn:
            self._drawn[what, kind] = shares[kind].draw(self.random, self.runs)
        return self._drawn[what, kind]

    def _happens(self, share: Floats, units: int) -> Columns:
        """To whom something happens that is as likely as its run's `share`: flat places, a row per run."""
        most = float(share.max())
        places = self._dice.pick(most, (self.runs, units))
        found: Columns = places[self.random.random(len(places)) * most < share[places // units, 0]]
        return found

    def _fails(self, kind: Kind, takes: Minutes, elapsed: Floats) -> Columns:
        """Who has to do the step again. One that fails does so anywhere in it, so that the further it is, the less
        likely it still will.
        """
        places = self._happens(self._drawn_once("redo", self._odds.redo, kind), len(elapsed))
        left, gone = takes.reshape(-1)[places], np.maximum(elapsed, 0.0)[places % len(elapsed)]
        found: Columns = places[self.random.random(len(places)) < left / np.maximum(1e-9, gone + left)]
        return found

    def _never_end(self, share: Floats, mu: Floats, s: Floats, elapsed: Floats) -> Columns:
        """Whose step is one of the `share` that never end: the longer it runs, the likelier."""
        units = len(elapsed)
        places = self._happens(share, units)
        running = np.flatnonzero(elapsed >= 0)
        if not len(running):
            return places
        alive = survival((_log(elapsed[running]) - mu) / s)
        chance = share / (share + (1 - share) * alive)
        runs, columns = np.nonzero(self.random.random(alive.shape, dtype=np.float32) < chance)
        return np.concatenate([places[elapsed[places % units] < 0], runs * units + running[columns]])

    def _fresh(self, kind: Kind, runs: Columns) -> Minutes:
        mu, s = self._of(kind)
        logs = mu[runs, 0] + s[runs, 0] * self.random.standard_normal(len(runs), dtype=np.float32)
        found: Minutes = np.exp(logs.astype(np.float32))
        return found

    def _left(self, mu: Floats, s: Floats, units: int, elapsed: Floats) -> Minutes:
        takes: Minutes = self.random.standard_normal((self.runs, units), dtype=np.float32)
        running = np.flatnonzero(elapsed > 0)
        if len(running):
            here = mu if mu.shape[1] == 1 else mu[:, running]
            takes[:, running] = draw_beyond(self.random, (_log(elapsed[running]) - here) / s)
        takes *= s.astype(np.float32)
        takes += mu.astype(np.float32)
        np.exp(takes, out=takes)
        if len(running):
            takes[:, running] = np.maximum(takes[:, running] - elapsed[running], 0.0)
        return takes


def _log(elapsed: Floats) -> Floats:
    found: Floats = np.log(np.maximum(elapsed, 1e-3))
    return found


def _root(covariance: Floats) -> Floats:
    """What standard normals are multiplied with to vary so."""
    found: Floats = np.asarray(np.linalg.cholesky(covariance + HAIR * np.eye(len(covariance))), dtype=np.float64)
    return found
