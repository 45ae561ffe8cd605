"""Two plans side by side: what a change of the inputs would do to each term, to windows and to the last day."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from fermata.domain.ids import ClusterId
from fermata.domain.plans import Plan, Window
from fermata.domain.windows import calendar_day


class Verdict(StrEnum):
    """How the plan of the change compares, term by term, strongest first."""

    BETTER = "better"
    EQUAL = "equal"
    WORSE = "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class TermChange:
    """One term's value in both plans; None where a plan does not have the term. Smaller is better."""

    term: str
    now: float | None
    then: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A window, known by cluster and part, that starts at another time."""

    cluster: ClusterId
    part: int
    parts: int
    now: datetime
    then: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Recut:
    """A cluster that is taken in another number of windows; 0: in none."""

    cluster: ClusterId
    now: int
    then: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What the plan `then` of the `changes` is against the plan `now` of the files as they are.

    `moved` and `recut` by cluster; `last_now` and `last_then` are calendar days, None without windows.
    """

    changes: tuple[str, ...]
    now: Plan
    then: Plan
    terms: tuple[TermChange, ...]
    moved: tuple[Move, ...]
    recut: tuple[Recut, ...]
    unchanged: int
    last_now: date | None
    last_then: date | None

    @property
    def verdict(self) -> Verdict:
        """By the first term that differs."""
        for term in self.terms:
            if term.now is not None and term.then is not None and term.now != term.then:
                return Verdict.BETTER if term.then < term.now else Verdict.WORSE
        return Verdict.EQUAL


def compare_plans(changes: tuple[str, ...], now: Plan, then: Plan, timezone: str) -> Comparison:
    """Both plans of one campaign, in whose `timezone` days are counted; the changes in the words of their giver."""
    before, after = _by_cluster(now), _by_cluster(then)
    moved: list[Move] = []
    recut: list[Recut] = []
    unchanged = 0
    for cluster in sorted(before.keys() | after.keys()):
        old, new = before.get(cluster, []), after.get(cluster, [])
        if len(old) != len(new):
            recut.append(Recut(cluster=cluster, now=len(old), then=len(new)))
            continue
        pairs = [(a, b) for a, b in zip(old, new, strict=True) if a.start != b.start]
        unchanged += len(old) - len(pairs)
        moved.extend(Move(cluster=cluster, part=a.part, parts=a.parts, now=a.start, then=b.start) for a, b in pairs)
    return Comparison(
        changes=changes,
        now=now,
        then=then,
        terms=_compare_terms(now, then),
        moved=tuple(moved),
        recut=tuple(recut),
        unchanged=unchanged,
        last_now=_last_day(now, timezone),
        last_then=_last_day(then, timezone),
    )


def _by_cluster(plan: Plan) -> dict[ClusterId, list[Window]]:
    found: dict[ClusterId, list[Window]] = {}
    for window in sorted(plan.windows, key=lambda w: w.start):
        found.setdefault(window.cluster, []).append(window)
    return found


def _compare_terms(now: Plan, then: Plan) -> tuple[TermChange, ...]:
    """In the order of `then`; terms that only `now` has come last. Terms of one name are matched in their order."""
    left = [(term.term, term.value) for term in now.objective]
    lines: list[TermChange] = []
    for term in then.objective:
        place = next((i for i, (name, _) in enumerate(left) if name == term.term), None)
        old = left.pop(place)[1] if place is not None else None
        lines.append(TermChange(term=term.term, now=old, then=term.value))
    lines.extend(TermChange(term=name, now=value, then=None) for name, value in left)
    return tuple(lines)


def _last_day(plan: Plan, timezone: str) -> date | None:
    return max((calendar_day(window.start, timezone) for window in plan.windows), default=None)
