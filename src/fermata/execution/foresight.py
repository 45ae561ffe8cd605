"""What forecasts of a run remember between two of them; a restart reads it again from the journal and the store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fermata.domain.fleet import Fleet
from fermata.domain.forecasts import Forecast, Help
from fermata.domain.ids import WindowId
from fermata.domain.updates import Catalogue
from fermata.planning.forecast.evidence import Evidence, Kind
from fermata.planning.forecast.learning import Lessons, Under
from fermata.planning.forecast.standing import Layout

LITTLE = 0.02  # of the steps that are known: so many more move a median by a hundredth of what is uncertain about it
LEARNED_FOR = timedelta(minutes=30)  # after that, steps that do not end say something too
HELPS_EVERY = timedelta(minutes=30)


@dataclass(frozen=True, kw_only=True)
class LearnedFrom:
    """All that lessons follow from. `seq`: of the journal line up to which there is evidence; `steps`: of how many
    that ended; `at`: when that was looked at.
    """

    seq: int
    steps: int
    at: datetime
    under: tuple[Under, ...]
    hang_share: Mapping[Kind, float]
    catalogue: Catalogue
    fleet: Fleet

    def is_same(self, other: "LearnedFrom") -> bool:
        """True when the same is learned from both."""
        held = self._is_of(other)
        return held and (self.seq, self.under, self.hang_share) == (other.seq, other.under, other.hang_share)

    def adds_little(self, before: "LearnedFrom") -> bool:
        """True when so few steps ended since `before`, not long ago, that about the same is learned from both."""
        is_soon = timedelta(0) <= self.at - before.at < LEARNED_FOR
        return is_soon and self._is_of(before) and self.steps - before.steps < LITTLE * before.steps

    def _is_of(self, other: "LearnedFrom") -> bool:
        return self.catalogue is other.catalogue and self.fleet is other.fleet


@dataclass(kw_only=True)
class Memory:
    """`seq`: of the last journal line that was learned from. `latest`: None until it was read from the store.
    `learned`: what the last lessons were learned from, with them: from the same the same is learned. `helped`: of
    windows at risk, what would help, and when that was tried.
    """

    evidence: Evidence = field(default_factory=Evidence)
    seq: int = 0
    layouts: dict[WindowId, Layout] = field(default_factory=dict)
    latest: dict[WindowId | None, Forecast] | None = None
    learned: tuple[LearnedFrom, Lessons] | None = None
    helped: dict[WindowId, tuple[datetime, tuple[Help, ...]]] = field(default_factory=dict)

    def note_helps(self, made: Forecast) -> None:
        """Keeps what would help a window at risk, when that was tried with this forecast; of a window that is safe
        again, nothing. What nothing can be said of keeps what it had.
        """
        assert made.window is not None
        if not made.is_alarming:
            self.helped.pop(made.window, None)
        elif made.none is None and self.helps(made.window, made.at) is None:
            self.helped[made.window] = made.at, made.helps

    def helps(self, window: WindowId, now: datetime) -> tuple[Help, ...] | None:
        """What was found to help not long ago; None: it is to be tried now. Each remedy costs as much as a forecast."""
        tried = self.helped.get(window)
        return None if tried is None or now - tried[0] >= HELPS_EVERY else tried[1]
