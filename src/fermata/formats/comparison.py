"""What-if comparisons and prices: in words for people, as JSON with stable keys for machines."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from fermata.domain.campaign import Campaign
from fermata.domain.plans import ObjectiveTerm, Plan
from fermata.formats.plan_words import tell_terms, value_text
from fermata.planning.inputs import Infeasible, PlanningOutcome
from fermata.planning.price import Price, Worth
from fermata.planning.what_if import Comparison, TermChange, Verdict

SCHEMA = "fermata.what-if/1"
_VERDICTS = {
    Verdict.BETTER: "Better, by the strongest preference that differs.",
    Verdict.EQUAL: "Worth the same by every preference.",
    Verdict.WORSE: "Worse, by the strongest preference that differs.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TermLine:
    """One preference in both plans, ready to be shown; `tone` is good, bad or empty."""

    term: str
    now: str
    then: str
    difference: str
    counts: str
    tone: str


def tell_changes(found: Comparison, campaign: Campaign) -> tuple[TermLine, ...]:
    """A line per term, in the new plan's order."""
    counts = {
        words.term: words.counts for plan in (found.now, found.then) for words in tell_terms(plan.objective, campaign)
    }
    return tuple(_line(change, counts.get(change.term, "")) for change in found.terms)


def _line(change: TermChange, counts: str) -> TermLine:
    now, then = change.now, change.then
    difference, tone = "", ""
    if now is not None and then is not None:
        by = then - now
        difference = "same" if by == 0 else f"{'+' if by > 0 else '−'}{value_text(change.term, abs(by))}"
        tone = "good" if by < 0 else "bad" if by > 0 else ""
    return TermLine(
        term=change.term,
        now=value_text(change.term, now) if now is not None else "–",
        then=value_text(change.term, then) if then is not None else "–",
        difference=difference,
        counts=counts,
        tone=tone,
    )


def tell_verdict(found: Comparison) -> str:
    """One or two sentences: better or worse, how much moves, the last day."""
    sentences = [_VERDICTS[found.verdict]]
    parts = [
        (len(found.moved), "window moves", "windows move"),
        (len(found.recut), "cluster is cut otherwise", "clusters are cut otherwise"),
        (found.unchanged, "window stays", "windows stay"),
    ]
    told = [f"{number:,} {one if number == 1 else many}" for number, one, many in parts if number]
    if told:
        sentences.append(f"{', '.join(told)}.")
    if found.last_now != found.last_then:
        sentences.append(f"The last day goes from {_day(found.last_now)} to {_day(found.last_then)}.")
    elif found.last_then:
        sentences.append(f"The last day is {_day(found.last_then)} in both.")
    return " ".join(sentences)


def tell_price(price: Price, now: tuple[ObjectiveTerm, ...]) -> str:
    """What that much more room buys, as a clause."""
    match price.worth:
        case Worth.SLACK:
            return "nothing: the limit never fills"
        case Worth.NOTHING:
            return "nothing, which is proven"
        case Worth.NOTHING_FOUND:
            return "nothing was found"
        case Worth.BUYS:
            pairs = zip(now, price.objective or (), strict=False)
            changes = [
                f"{a.term} {value_text(a.term, a.value)} → {value_text(b.term, b.value)}"
                for a, b in pairs
                if a.value != b.value
            ]
            return ", ".join(changes)


def what_if_to_json(
    changes: tuple[str, ...],
    now: PlanningOutcome,
    then: PlanningOutcome | None,
    found: Comparison | None,
    prices: Iterable[Price],
) -> dict[str, Any]:
    """JSON-ready. `comparison` is null unless both plans exist; `prices` is empty unless asked for."""
    return {
        "schema": SCHEMA,
        "changes": list(changes),
        "now": _outcome(now),
        "what_if": _outcome(then) if then is not None else None,
        "comparison": _comparison(found) if found is not None else None,
        "prices": [_price(price) for price in prices],
    }


def _outcome(outcome: PlanningOutcome) -> dict[str, Any]:
    if isinstance(outcome, Infeasible):
        return {
            "plan": None,
            "clashes": [{"rule": clash.rule, "sentence": clash.sentence} for clash in outcome.clashes],
            "relaxations": [{"rule": change.rule, "sentence": change.sentence} for change in outcome.relaxations],
        }
    plan: Plan = outcome.plan
    return {
        "plan": plan.id,
        "status": plan.solver.status,
        "windows": len(plan.windows),
        "nodes": sum(len(window.nodes) for window in plan.windows),
        "objective": _objective(plan.objective),
    }


def _objective(terms: Iterable[ObjectiveTerm]) -> list[dict[str, Any]]:
    return [{"term": term.term, "value": term.value, "bound": term.bound} for term in terms]


def _comparison(found: Comparison) -> dict[str, Any]:
    return {
        "verdict": found.verdict.value,
        "terms": [
            {
                "term": line.term,
                "now": line.now,
                "what_if": line.then,
                "difference": None if line.now is None or line.then is None else round(line.then - line.now, 9),
            }
            for line in found.terms
        ],
        "last_day": {"now": _iso(found.last_now), "what_if": _iso(found.last_then)},
        "windows": {
            "unchanged": found.unchanged,
            "moved": [
                {
                    "cluster": move.cluster,
                    "part": move.part,
                    "parts": move.parts,
                    "now": _time(move.now),
                    "what_if": _time(move.then),
                }
                for move in found.moved
            ],
            "recut": [{"cluster": cut.cluster, "now": cut.now, "what_if": cut.then} for cut in found.recut],
        },
    }


def _price(price: Price) -> dict[str, Any]:
    return {
        "limit": price.name,
        "capacity": price.capacity,
        "extra": price.extra,
        "change": price.sentence,
        "worth": price.worth.value,
        "objective": _objective(price.objective) if price.objective is not None else None,
    }


def _day(day: date | None) -> str:
    return f"{day:%a} {day}" if day else "none"


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"
