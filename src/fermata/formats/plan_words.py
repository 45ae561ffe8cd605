"""A plan's terms in words: what a value counts, and how sure it is that no plan does better."""

from dataclasses import dataclass

from fermata.domain.campaign import AvoidWeekday, Campaign
from fermata.domain.plans import ObjectiveTerm

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SHARES = frozenset({"spread_evenly"})
_WORDS = {
    "finish_by_deadline": "node-days after the deadline",
    "fewest_windows": "windows",
    "order": "pairs of windows in the wrong order",
    "spread_evenly": "largest less smallest share out, over all places and days",
    "avoid": "windows on {weekday}",
    "workload_order": "pairs of windows in the wrong order of what they carry",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TermWords:
    """One term: its value, what that counts, the bound, and whether the value is proven. `gap` ends a sentence."""

    term: str
    value: str
    counts: str
    bound: str
    is_proven: bool
    has_bound: bool

    @property
    def gap(self) -> str:
        """proven best, or how low the value could be at most."""
        if self.is_proven:
            return "proven best"
        return f"best found, no plan is below {self.bound}" if self.has_bound else "best found, no bound is known"


def tell_terms(objective: tuple[ObjectiveTerm, ...], campaign: Campaign) -> tuple[TermWords, ...]:
    """Every term in the plan's order."""
    weekdays = iter(p.weekday for p in campaign.preferences if isinstance(p, AvoidWeekday))
    return tuple(_tell(term, next(weekdays, 0) if term.term == "avoid" else 0) for term in objective)


def _tell(term: ObjectiveTerm, weekday: int) -> TermWords:
    counts = _WORDS.get(term.term, term.term.replace("_", " ")).format(weekday=_DAYS[weekday])
    return TermWords(
        term=term.term,
        value=value_text(term.term, term.value),
        counts=counts,
        bound=value_text(term.term, term.bound),
        is_proven=term.bound >= term.value,
        has_bound=term.bound > 0,
    )


def value_text(term: str, value: float) -> str:
    """A value of that term: shares as per cent, everything else as a number."""
    return f"{value:.2%}" if term in _SHARES else f"{value:,g}" if value < 10**6 else f"{value:,.0f}"
