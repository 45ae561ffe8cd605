"""What forecasts of a run remember between two of them; a restart reads it again from the journal and the store."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fermata.domain.fleet import Fleet
from fermata.domain.forecasts import Forecast
from fermata.domain.ids import WindowId
from fermata.domain.updates import Catalogue
from fermata.planning.forecast.evidence import Evidence, Kind
from fermata.planning.forecast.learning import Lessons, Under
from fermata.planning.forecast.standing import Layout


@dataclass(frozen=True, kw_only=True)
class LearnedFrom:
    """All that lessons follow from. `seq`: of the journal line up to which there is evidence."""

    seq: int
    under: tuple[Under, ...]
    hang_share: Mapping[Kind, float]
    catalogue: Catalogue
    fleet: Fleet

    def is_same(self, other: "LearnedFrom") -> bool:
        """True when the same is learned from both."""
        held = self.catalogue is other.catalogue and self.fleet is other.fleet
        return held and (self.seq, self.under, self.hang_share) == (other.seq, other.under, other.hang_share)


@dataclass(kw_only=True)
class Memory:
    """`seq`: of the last journal line that was learned from. `latest`: None until it was read from the store.
    `learned`: what the last lessons were learned from, with them: from the same the same is learned.
    """

    evidence: Evidence = field(default_factory=Evidence)
    seq: int = 0
    layouts: dict[WindowId, Layout] = field(default_factory=dict)
    latest: dict[WindowId | None, Forecast] | None = None
    learned: tuple[LearnedFrom, Lessons] | None = None
