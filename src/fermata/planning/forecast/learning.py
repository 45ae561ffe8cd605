"""How long steps take, learned: the catalogue's claims as priors, corrected by what ended and by what still runs.

Model: the logarithm of a duration is `median + own`, where `own` is normal with the spread that units have, and the
median is the claim's plus an effect of the update everywhere, of the SKU, and of the cluster, each normal. A step that
still runs has taken *at least* this long: it counts by its survival probability (right-censored). The medians are the
maximum a posteriori of that likelihood, found by Newton steps (Lawless, Statistical Models and Methods for Lifetime
Data, ch. 5: for a lognormal observation censored at `a` standard deviations the score is h(a) and the information
h(a)(h(a) - a), with the normal hazard h); spreads by EM (Dempster, Laird and Rubin 1977: beyond `a` the mean square is
1 + a h(a)). Their uncertainty is kept, so that few observations make wide forecasts.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fermata.domain.decide_begin import HANG_FACTOR
from fermata.domain.ids import ClusterId
from fermata.domain.scripts import DRAIN, VERIFY
from fermata.domain.updates import Catalogue, Duration
from fermata.planning.dice import Columns
from fermata.planning.forecast.evidence import REBOOT, Evidence, Kind
from fermata.planning.forecast.normal import FURTHEST, Floats, hazard, survival
from fermata.planning.rehearsal import SLOW_DRAIN_FACTOR, SLOW_DRAIN_SHARE
from fermata.planning.risk.luck import CORRELATION

SPREAD_WEIGHT = 20.0  # observations that a claimed spread counts for
COMMON_WEIGHT = 8.0  # medians of a step in a cluster that the assumed correlation counts for
COMMON_LEAST = 0.002  # of the spread that clusters have in common: clusters are never all the same
TOGETHER = 0.9  # of what sets a cluster apart is common to all its steps: the rest belongs to each step
SKU_SHARE = 0.5  # of how much clusters differ, how much more those of another SKU do
SLOW_WEIGHT = 50.0  # drains that the assumed share of slow ones counts for
SLOW_SPREAD = 0.3  # of the logarithm of how many times as long slow drains take, before any was seen
ROUNDS = 4  # of Newton and EM: the medians move by less than a thousandth after three
LEAST_OF_A_GROUP = 5.0  # observations from which a cluster's own median tells something of how clusters differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Under:
    """A step under way: it has taken so many minutes, and has not ended."""

    kind: Kind
    cluster: ClusterId
    minutes: float


@dataclass(frozen=True, kw_only=True)
class Belief:
    """What is believed of one cluster's steps; arrays follow `kinds`. `mean`, `covariance`: of the logarithms of the
    medians; `spread`: the standard deviation of a unit's own, known as from `known` observations.
    """

    kinds: tuple[Kind, ...]
    mean: Floats
    covariance: Floats
    spread: Floats
    known: Floats


@dataclass(frozen=True, kw_only=True)
class Slow:
    """Drains that take many times as long, because a job saves its state first: their share, as a Beta of `slow` and
    `quick` drains, and the logarithm of how many times.
    """

    slow: float
    quick: float
    log_factor: float

    @property
    def share(self) -> float:
        """Of drains, on average."""
        return self.slow / (self.slow + self.quick)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """One kind. `x`, `count`, `row`: logarithms of minutes, how often, and in which cluster; `after`, `after_row`: of
    steps under way.
    """

    x: Floats
    count: Floats
    row: Columns
    after: Floats
    after_row: Columns

    @property
    def is_nothing(self) -> bool:
        """True when no step of the kind was ever seen: there is nothing to be learned again in a second round."""
        return not len(self.x) and not len(self.after)


@dataclass(frozen=True, kw_only=True)
class _Under:
    """What steps under way add to a round: counts and sums by cluster, squares, and how many they count for."""

    total: Floats
    summed: Floats
    squares: float
    weight: float


class Lessons:
    """Everything learned so far. `belief` says it of one cluster."""

    def __init__(
        self,
        evidence: Evidence,
        under: Iterable[Under],
        *,
        catalogue: Catalogue,
        skus: Mapping[ClusterId, str],
        hang_share: Mapping[Kind, float],
    ) -> None:
        claims = claims_of(catalogue)
        self.kinds = tuple(claims)
        self._claimed = np.array([claim.mu for claim in claims.values()])
        self._sigma = np.array([max(claim.sigma, 1e-3) for claim in claims.values()])
        self._hangs = np.array([hang_share.get(kind, 0.0) for kind in self.kinds])
        self._clusters = tuple(skus)
        self._row = {cluster: i for i, cluster in enumerate(self._clusters)}
        self._sku = np.unique(list(skus.values()), return_inverse=True)[1]
        self.spread = self._sigma * math.sqrt(1 - CORRELATION)
        self.known = np.full(len(self.kinds), SPREAD_WEIGHT)
        self.common = CORRELATION / 2
        self.slow = Slow(
            slow=SLOW_WEIGHT * SLOW_DRAIN_SHARE,
            quick=SLOW_WEIGHT * (1 - SLOW_DRAIN_SHARE),
            log_factor=math.log(SLOW_DRAIN_FACTOR),
        )
        shape = (len(self._clusters), len(self.kinds))
        self._count: Floats = np.zeros(shape)
        self._middle: Floats = np.zeros(shape)
        self._median: Floats = np.tile(self._claimed, (shape[0], 1))
        self._beliefs: dict[ClusterId, Belief] = {}
        steps: dict[Kind, list[Under]] = {}
        for step in under:
            steps.setdefault(step.kind, []).append(step)
        self._learn([self._gather(kind, evidence, steps.get(kind, ())) for kind in self.kinds])

    def belief(self, cluster: ClusterId) -> Belief:
        """What is believed of the steps of a cluster of the fleet."""
        if cluster not in self._beliefs:
            mean, covariance = self._posteriors(np.array([self._row[cluster]]))
            self._beliefs[cluster] = Belief(
                kinds=self.kinds, mean=mean[0], covariance=covariance[0], spread=self.spread, known=self.known
            )
        return self._beliefs[cluster]

    def _gather(self, kind: Kind, evidence: Evidence, under: Sequence[Under]) -> _Seen:
        clusters = [cluster for cluster in sorted(evidence.minutes.get(kind, {})) if cluster in self._row]
        ended = [evidence.logs(kind, cluster) for cluster in clusters]
        rows = np.array([self._row[cluster] for cluster in clusters], dtype=np.intp)
        return _Seen(
            x=np.concatenate([np.empty(0), *(logs for logs, _ in ended)]),
            count=np.concatenate([np.empty(0), *(times for _, times in ended)]),
            row=np.repeat(rows, [len(logs) for logs, _ in ended]),
            after=np.array([math.log(max(step.minutes, 1e-3)) for step in under], dtype=float),
            after_row=np.array([self._row[step.cluster] for step in under], dtype=np.intp),
        )

    def _learn(self, seen: Sequence[_Seen]) -> None:
        """Rounds of Newton for the medians, and of EM for the spreads and the slow drains."""
        touched = np.unique(np.concatenate([rows for kind in seen for rows in (kind.row, kind.after_row)]))
        for turn in range(ROUNDS if len(touched) else 0):
            drains = _Drains(self.slow)
            for number, kind in enumerate(seen):
                if turn == 0 or not kind.is_nothing:
                    self._weigh(number, kind, drains)
            self.slow = drains.learned()
            self.common = self._learn_common()
            self._median[touched] = self._posteriors(touched)[0]

    def _weigh(self, number: int, seen: _Seen, drains: "_Drains") -> None:
        """One Newton step's worth of a kind: every observation as a value with a weight, censored ones included."""
        s, rows, mu = self.spread[number], len(self._clusters), self._median[seen.row, number]
        count = seen.count
        if self.kinds[number] == DRAIN:
            count = count * (1 - drains.weigh(seen.x, count, mu, s))
        total = _sums(seen.row, count, rows)
        summed = _sums(seen.row, count * seen.x, rows)
        squares = SPREAD_WEIGHT * self._sigma[number] ** 2 * (1 - CORRELATION) + (count * (seen.x - mu) ** 2).sum()
        weight = SPREAD_WEIGHT + count.sum()
        self.known[number] = weight
        if len(seen.after):
            under = self._weigh_under(number, seen, drains)
            total, summed = total + under.total, summed + under.summed
            squares, weight = squares + under.squares, weight + under.weight
        self._count[:, number] = total
        self._middle[:, number] = summed / np.maximum(total, 1e-300)
        self.spread[number] = math.sqrt(squares / weight)

    def _weigh_under(self, number: int, seen: _Seen, drains: "_Drains") -> "_Under":
        """The part of the steps under way."""
        s, share, rows = self.spread[number], self._hangs[number], len(self._clusters)
        mu = self._median[seen.after_row, number]
        a = np.minimum((seen.after - mu) / s, FURTHEST)  # so that the weights stay above zero
        alive = survival(a)
        runs = (1 - share) * alive / np.maximum(1e-300, share + (1 - share) * alive)  # it runs, and does not hang
        if self.kinds[number] == DRAIN:
            runs = runs * (1 - drains.weigh_under(seen.after, mu, s))
        h = hazard(a)
        worth = runs * h * (h - a)
        values = mu + s / np.maximum(h - a, 1e-6)
        total = _sums(seen.after_row, worth, rows)
        summed = _sums(seen.after_row, worth * values, rows)
        return _Under(total=total, summed=summed, squares=(runs * s * s * (1 + a * h)).sum(), weight=runs.sum())

    def _learn_common(self) -> float:
        """The share of the spread that is common to a cluster, from how far the medians of clusters lie apart."""
        wanted, weights = COMMON_WEIGHT * CORRELATION / 2, COMMON_WEIGHT
        for number in range(len(self.kinds)):
            sigma2, s2 = self._sigma[number] ** 2, self.spread[number] ** 2
            count, middle = self._count[:, number], self._middle[:, number]
            rows = np.flatnonzero(count >= LEAST_OF_A_GROUP)
            if len(rows) < 2:
                continue
            noise = s2 / count[rows]
            precision = 1 / (noise + self.common * sigma2)
            total, summed = precision.sum(), (precision * middle[rows]).sum()
            others = (summed - precision * middle[rows]) / (total - precision)
            excess = (middle[rows] - others) ** 2 - noise - 1 / (total - precision)
            weight = (self.common * sigma2 * precision) ** 2
            wanted += float((weight * excess / sigma2).sum())
            weights += float(weight.sum())
        return max(COMMON_LEAST, wanted / weights)

    def _posteriors(self, rows: Columns) -> tuple[Floats, Floats]:
        """Mean and covariance of the medians' logarithms in each of these clusters: the claim, corrected by clusters of
        other SKUs, then by others of the same, then by its own steps, all of them together.
        """
        variance = self._sigma**2
        here, sku = self.common * variance, SKU_SHARE * self.common * variance
        mean: Floats = np.empty((len(rows), len(self.kinds)))
        left: Floats = np.empty_like(mean)
        for name in np.unique(self._sku[rows]):
            places = np.flatnonzero(self._sku[rows] == name)
            alike = np.flatnonzero(self._sku == name)
            others = np.flatnonzero(self._sku != name)[None, :]
            once = self._corrected(self._claimed, CORRELATION / 2 * variance, others, True, here + sku)
            is_other = alike[None, :] != rows[places][:, None]
            mean[places], left[places] = self._corrected(once[0], once[1] + sku, alike[None, :], is_other, here)
        apart = np.sqrt(here)
        covariance = TOGETHER * np.outer(apart, apart) + (left + (1 - TOGETHER) * here)[:, :, None] * np.eye(len(here))
        seen = self._count[rows] > 1e-9
        for pattern in np.unique(seen, axis=0):
            if pattern.any():
                self._take_in(np.flatnonzero((seen == pattern).all(axis=1)), pattern, rows, mean, covariance)
        return mean, covariance

    def _take_in(self, places: Columns, seen: Floats, rows: Columns, mean: Floats, covariance: Floats) -> None:
        """Corrects mean and covariance at these places by the clusters' own steps, of the kinds that were `seen`."""
        kinds = np.flatnonzero(seen)
        own = np.ix_(rows[places], kinds)
        before = covariance[places]
        noise = (self.spread[kinds] ** 2 / self._count[own])[:, :, None] * np.eye(len(kinds))
        gain = np.linalg.solve(before[:, kinds[:, None], kinds] + noise, before[:, kinds, :]).transpose(0, 2, 1)
        off = self._middle[own] - mean[np.ix_(places, kinds)]
        mean[places] += (gain @ off[:, :, None])[:, :, 0]
        covariance[places] = before - gain @ before[:, kinds, :]

    def _corrected(
        self, mean: Floats, left: Floats, rows: Columns, counts: Floats | bool, apart: Floats
    ) -> tuple[Floats, Floats]:
        """A row for each of `rows`, of those clusters that count in it."""
        count, middle = self._count[rows], self._middle[rows]
        precision = np.where(count > 1e-9, 1 / (self.spread**2 / np.maximum(count, 1e-9) + apart), 0.0)
        precision = np.where(np.asarray(counts)[..., None], precision, 0.0)
        after = 1 / (1 / left + precision.sum(axis=1))
        return after * (mean / left + (precision * middle).sum(axis=1)), after


class _Drains:
    """Tells slow drains from the others, and learns their share and how slow they are, in one round of EM."""

    def __init__(self, before: Slow) -> None:
        self._before = before
        self._slow = SLOW_WEIGHT * SLOW_DRAIN_SHARE
        self._quick = SLOW_WEIGHT * (1 - SLOW_DRAIN_SHARE)
        self._precision = 1 / SLOW_SPREAD**2
        self._summed = self._precision * math.log(SLOW_DRAIN_FACTOR)

    def weigh(self, x: Floats, count: Floats, mu: Floats, s: float) -> Floats:
        """How likely each ended drain was a slow one, by its logarithm."""
        share = self._before.share
        quick = (1 - share) * np.exp(-(((x - mu) / s) ** 2) / 2)
        slow = share * np.exp(-(((x - mu - self._before.log_factor) / s) ** 2) / 2)
        is_slow: Floats = np.where(x < mu, 0.0, slow / np.maximum(1e-300, quick + slow))
        self._slow += float((is_slow * count).sum())
        self._quick += float(((1 - is_slow) * count).sum())
        self._precision += float((is_slow * count).sum()) / s**2
        self._summed += float((is_slow * count * (x - mu)).sum()) / s**2
        return is_slow

    def weigh_under(self, after: Floats, mu: Floats, s: float) -> Floats:
        """How likely each drain under way is a slow one. They count for the share, and tell nothing of the factor."""
        found = is_slow_after(after, mu, s, self._before)
        self._slow += float(found.sum())
        self._quick += float((1 - found).sum())
        return found

    def learned(self) -> Slow:
        """The share and the factor after this round."""
        return Slow(slow=self._slow, quick=self._quick, log_factor=self._summed / self._precision)


def _sums(places: Columns, weights: Floats, rows: int) -> Floats:
    """Of the weights, by place."""
    found: NDArray[Any] = np.bincount(places, weights, rows)
    return found


def is_slow_after(after: Floats, mu: Floats | float, s: Floats | float, slow: Slow) -> Floats:
    """The probability that a drain which still runs after so long (a logarithm) is a slow one."""
    quick = (1 - slow.share) * survival((after - mu) / s)
    long = slow.share * survival((after - mu - slow.log_factor) / s)
    found: Floats = long / np.maximum(1e-300, quick + long)
    return found


def claims_of(catalogue: Catalogue) -> dict[Kind, Duration]:
    """What the catalogue claims of every kind of step."""
    defaults = catalogue.defaults
    steps = {DRAIN: defaults.drain_minutes, REBOOT: defaults.reboot_minutes, VERIFY: defaults.verify_minutes}
    return {**steps, **{name: catalogue.updates[name].duration_minutes for name in sorted(catalogue.updates)}}


def patience_minutes(claims: Mapping[Kind, Duration], kinds: Sequence[Kind]) -> Floats:
    """How long the conductor waits for a step of each kind before it counts as hung."""
    return np.array([round(claims[kind].p90 * HANG_FACTOR) for kind in kinds], dtype=float)
