"""How often steps fail, hang or take their node out, and how long repairs last: what was assumed, corrected by what
was seen. Shares are Betas, repairs exponential with a Gamma for their rate; both keep how little was seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from fermata.domain.campaign import Fallout
from fermata.domain.updates import Catalogue
from fermata.planning.forecast.evidence import MINUTE, Evidence, Kind, Tries
from fermata.planning.forecast.learning import claims_of
from fermata.planning.forecast.normal import Floats
from fermata.planning.rehearsal import HANG_SHARE, REDO_SHARE

SHARE_WEIGHT = 100.0  # tries that an assumed share counts for
HANG_WEIGHT = 300.0  # of rarer things one has to see more before one believes another share
FALLOUT_WEIGHT = 200.0  # reboots that the campaign's own figure counts for
REPAIR_WEIGHT = 5.0  # repairs that the campaign's mean counts for
DAY_MINUTES = 24 * 60.0
WAITED_MOST = timedelta(days=14)  # for a repair that goes on: after that nobody works on it


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share as a Beta of so many that did and so many that did not."""

    did: float
    did_not: float

    @property
    def mean(self) -> float:
        """The share on average."""
        return self.did / (self.did + self.did_not)

    def draw(self, random: np.random.Generator, runs: int) -> Floats:
        """A row per run."""
        return random.beta(self.did, self.did_not, size=(runs, 1))


@dataclass(frozen=True, kw_only=True)
class Odds:
    """Shares of tries by kind of step; `fallout`: of nodes at their first reboot.

    `repairs`, `repair_minutes`: the Gamma of the rate at which repairs end.
    """

    redo: Mapping[Kind, Share]
    hang: Mapping[Kind, Share]
    fallout: Share
    repairs: float
    repair_minutes: float

    def draw_repair(self, random: np.random.Generator, runs: int) -> Floats:
        """The mean of a repair in minutes, a row per run."""
        return self.repair_minutes / random.gamma(self.repairs, size=(runs, 1))


def find_odds(evidence: Evidence, catalogue: Catalogue, fallout: Fallout, now: datetime) -> Odds:
    """The odds after everything that was seen; repairs that go on count as having taken at least so long."""
    nobody = Tries()
    tries = {kind: evidence.tries.get(kind, nobody) for kind in claims_of(catalogue)}
    updates = catalogue.updates
    first_reboots = len(evidence.rebooted) + evidence.fell_out
    waited = sum(min(now - since, WAITED_MOST) / MINUTE for since in evidence.in_repair.values())
    mean = fallout.mean_days_to_repair * DAY_MINUTES
    return Odds(
        redo={kind: _share(REDO_SHARE, SHARE_WEIGHT, seen.failed, seen.tried) for kind, seen in tries.items()},
        hang={kind: _share(HANG_SHARE, HANG_WEIGHT, tries[kind].hung, tries[kind].tried) for kind in updates},
        fallout=_share(fallout.fraction, FALLOUT_WEIGHT, evidence.fell_out, first_reboots),
        repairs=REPAIR_WEIGHT + 1 + evidence.repaired,
        repair_minutes=REPAIR_WEIGHT * mean + evidence.repair_minutes + waited,
    )


def _share(assumed: float, weight: float, did: float, tried: float) -> Share:
    return Share(did=max(1e-6, weight * assumed + did), did_not=max(1e-6, weight * (1 - assumed) + tried - did))
