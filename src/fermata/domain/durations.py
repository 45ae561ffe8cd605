"""How long steps took, beside what the catalogue claims."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from fermata.domain.updates import Duration

UNITS_LEAST = 20  # that tell a median
FAR = 1.2  # times the claimed median, or as much less


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One kind of step, an update by its id, or `drain`, `reboot`, `verify`: what is claimed, and the minutes that
    `units` took, rounded as they were recorded; None before any did.
    """

    kind: str
    claimed: Duration
    units: int
    took: Duration | None

    @property
    def is_longer(self) -> bool:
        """True when it takes clearly longer than claimed, by enough units."""
        return self.took is not None and self.units >= UNITS_LEAST and self.took.p50 > FAR * self.claimed.p50

    @property
    def is_shorter(self) -> bool:
        """True when it takes clearly less."""
        return self.took is not None and self.units >= UNITS_LEAST and FAR * self.took.p50 < self.claimed.p50


def measure(minutes: Mapping[str, Counter[int]], claims: Mapping[str, Duration]) -> tuple[Measured, ...]:
    """Each kind that the catalogue claims something of, in its order. `minutes`: how many units took how many."""
    found = []
    for kind, claimed in claims.items():
        counts = minutes.get(kind, Counter())
        units = counts.total()
        took = Duration(p50=_quantile(counts, 0.5), p90=_quantile(counts, 0.9)) if units else None
        found.append(Measured(kind=kind, claimed=claimed, units=units, took=took))
    return tuple(found)


def _quantile(counts: Counter[int], share: float) -> float:
    """The least number of minutes within which that share was done."""
    wanted, seen = share * counts.total(), 0
    for minutes, units in sorted(counts.items()):
        seen += units
        if seen >= wanted:
            return float(minutes)
    raise AssertionError("something is counted")
