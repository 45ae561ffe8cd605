"""How long a window takes to be back with confidence, and how sure that is.

A node starts a step when the plan says so or when it is through with its previous step, whichever is later; every
step draws its length from the catalogue's lognormal durations, device steps included. Over SAMPLES seeded draws that
gives the share p of nodes ready at each minute; of those, the campaign's fallout does not return at all. The
confidence is the binomial probability that the return threshold of the window's n nodes is back:
P(Bin(n, p (1 - fallout)) >= ceil(threshold n)). Nodes are drawn independently and as if every update were due on each
of them; a bad update that hits all at once is not in this figure.
"""

import math
from collections.abc import Sequence
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from fermata.domain.campaign import Campaign
from fermata.domain.plans import DeviceApplyStep, DrainStep, NodeApplyStep, RebootStep, Step, VerifyStep
from fermata.domain.updates import Catalogue, Duration
from fermata.planning.sequence import EPOCH

CONFIDENCE_WANTED = 0.95  # a window ends when it is this sure, or
READY_SHARE_MOST = 0.995  # when this share of nodes is ready: in small windows fallout alone keeps it less sure
SAMPLES = 4000  # the standard error of a share near 0.98 is then 0.2 %
_SEED = 20260103  # any fixed number: equal windows get equal lengths in every plan

Minutes = NDArray[np.float64]


def find_ready_minutes(steps: Sequence[Step], catalogue: Catalogue) -> Minutes:
    """For SAMPLES nodes, ascending: minutes from EPOCH until a node is through with all `steps`, verify included."""
    dice = np.random.default_rng(_SEED)
    position = (np.arange(SAMPLES) + 0.5) / SAMPLES  # where a node stands in the order of batches, as a share
    ready = np.zeros(SAMPLES)
    waits: list[Minutes] = []
    for step in steps:
        if not isinstance(step, DeviceApplyStep) and waits:
            ready = np.maximum.reduce([ready, *waits])
            waits = []
        begun = np.maximum(ready, (step.start - EPOCH).total_seconds() / 60)
        match step:
            case DrainStep():
                ready = begun + _draw(catalogue.defaults.drain_minutes, dice)
            case VerifyStep():
                ready = begun + _draw(catalogue.defaults.verify_minutes, dice)
            case RebootStep():
                ready = begun + _draw(catalogue.defaults.reboot_minutes, dice)
            case DeviceApplyStep():
                waits.append(begun + _draw(catalogue.updates[step.update].duration_minutes, dice))
            case NodeApplyStep():
                length = _draw(catalogue.updates[step.update].duration_minutes, dice)
                ready = np.where(_is_in_batch(step, position), begun + length, ready)
            case _:
                assert_never(step)
    return np.sort(ready)


def _draw(duration: Duration, dice: np.random.Generator) -> Minutes:
    return np.exp(duration.mu + duration.sigma * dice.standard_normal(SAMPLES))


def _is_in_batch(step: NodeApplyStep, position: Minutes) -> NDArray[np.bool_]:
    place = position * step.batches
    return (place >= step.batch - 1) & (place < step.batch)


def choose_minutes(ready: Minutes, nodes: int, *, least: int, campaign: Campaign) -> int:
    """The shortest whole length, of at least `least` minutes, that is as sure as wanted for a window of `nodes`."""
    longest = math.ceil(ready[math.ceil(READY_SHARE_MOST * len(ready)) - 1])
    minutes = least
    while minutes < longest and find_end_confidence(ready, minutes, nodes, campaign) < CONFIDENCE_WANTED:
        minutes += 1
    return minutes


def find_end_confidence(ready: Minutes, minutes: int, nodes: int, campaign: Campaign) -> float:
    """The probability, to two decimals, that the return threshold of `nodes` is back after `minutes`."""
    share = float(np.searchsorted(ready, minutes, side="right")) / len(ready)
    lost = 1 - share * (1 - campaign.fallout.fraction)
    needed = math.ceil(round(campaign.return_threshold * nodes, 6))
    return round(min(1.0, sum(_binomial(nodes, k, lost) for k in range(nodes - needed + 1))), 2)


def _binomial(n: int, k: int, p: float) -> float:
    if p <= 0.0 or p >= 1.0:
        return float(k == (n if p >= 1.0 else 0))
    log = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)
    return math.exp(log)
