"""What a word of consent may say: parts, conditions, declines and counter-offers, judged before it is recorded."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.ids import RequestId, UpdateId
from fermata.domain.policy import NO_CONDITIONS, AfterDue, Conditions, Scope, ScopeLevel, Verdict
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.updates import NODE_TARGET, Stage, Update

WITH_LEVELS = (ScopeLevel.CLUSTER, ScopeLevel.RACK, ScopeLevel.NODE)  # what nodes of one window may be named by
_CONDITIONAL = (Verdict.APPROVED, Verdict.OFFERED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an order says beside yes and no. `only` and `without` name items of the request (None: all of them).

    `flight`: a flight-ready update that is approved with the rest; one that `only` names is approved by itself. An
    approval `without` an item leaves it uncovered, any other word leaves it as it stood.
    `conditions` None sets none; conditions that say nothing are refused, since something else was meant.
    """

    only: frozenset[UpdateId] | None = None
    without: frozenset[UpdateId] = frozenset()
    flight: UpdateId | None = None
    conditions: Conditions | None = None
    until: datetime | None = None
    then: AfterDue | None = None


NO_TERMS = Terms()


def names_flight(terms: Terms, updates: Mapping[UpdateId, Update]) -> bool:
    """True when the word is about a flight by name: nothing else need be pending on its nodes."""
    named = (terms.only or frozenset()) | ({terms.flight} if terms.flight else frozenset())
    return any(name in updates and updates[name].stage is Stage.FLIGHT_READY for name in named)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the terms are about: the request with its items, when the time to choose is over for each, and the
    catalogue.
    """

    request: RequestId
    items: frozenset[UpdateId]
    due: Mapping[UpdateId, datetime]
    updates: Mapping[UpdateId, Update]
    now: datetime

    @property
    def flights(self) -> frozenset[UpdateId]:
        """Updates that may be offered as flights."""
        return frozenset(name for name, update in self.updates.items() if update.stage is Stage.FLIGHT_READY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """The items that a word is about, as `ConsentEntry` has them."""

    updates: frozenset[UpdateId]
    excluded: frozenset[UpdateId] = frozenset()
    is_part: bool = False
    flight: UpdateId | None = None


def find_spoken(terms: Terms, verdict: Verdict, asked: Asked) -> Spoken:
    """What a word with these terms is about, of what the request holds now."""
    if terms is NO_TERMS:
        return Spoken(updates=asked.items)
    named = asked.items if terms.only is None else terms.only
    flight = terms.flight or next((name for name in sorted(named - asked.items) if name in asked.flights), None)
    updates = (named | ({flight} if flight else frozenset())) - terms.without
    if verdict is Verdict.APPROVED and terms.only is None:
        return Spoken(updates=updates, excluded=terms.without, flight=flight)
    return Spoken(updates=updates, is_part=terms.only is not None or bool(terms.without), flight=flight)


def judge_terms(scope: Scope, terms: Terms, verdict: Verdict, why: str, asked: Asked) -> Reason | None:
    """Why the terms cannot be recorded, or None."""
    if terms is NO_TERMS and verdict in (Verdict.APPROVED, Verdict.WITHDRAWN):
        return None
    spoken = find_spoken(terms, verdict, asked)
    return (
        _judge_zones(terms)
        or _judge_places(terms, verdict)
        or _judge_items(terms, verdict, spoken, asked)
        or (_judge_conditions(scope, terms.conditions, spoken, asked) if terms.conditions is not None else None)
        or (_judge_decline(terms, why, spoken, asked) if verdict is Verdict.DECLINED else None)
        or (_judge_offer(terms.conditions or NO_CONDITIONS, spoken, asked) if verdict is Verdict.OFFERED else None)
    )


def is_naive(at: datetime | None) -> bool:
    """True for a time without a zone."""
    return at is not None and at.utcoffset() is None


def _judge_zones(terms: Terms) -> Reason | None:
    conditions = terms.conditions or NO_CONDITIONS
    times = {"until": terms.until, "not_before": conditions.not_before, "not_after": conditions.not_after}
    naive = next((name for name, at in times.items() if is_naive(at)), None)
    return reason(Code.TIME_WITHOUT_ZONE, member=naive, time=times[naive]) if naive else None


def _judge_places(terms: Terms, verdict: Verdict) -> Reason | None:
    """Each word has its own members: one that does not belong to it was meant for another."""
    misplaced = {
        "conditions": terms.conditions is not None and verdict not in _CONDITIONAL,
        "until": terms.until is not None and verdict is not Verdict.DECLINED,
        "then": terms.then is not None and verdict is not Verdict.DECLINED,
        "flight": terms.flight is not None and verdict is not Verdict.APPROVED,
    }
    member = next((name for name, is_wrong in misplaced.items() if is_wrong), None)
    return reason(Code.TERM_MISPLACED, member=member, verdict=verdict) if member else None


def _judge_items(terms: Terms, verdict: Verdict, spoken: Spoken, asked: Asked) -> Reason | None:
    known = asked.items | asked.flights
    unknown = sorted((terms.without | (terms.only or frozenset())) - known)
    if unknown:
        items = ", ".join(sorted(asked.items)) or "nothing"
        return reason(Code.ITEM_UNKNOWN, request=asked.request, updates=", ".join(unknown), items=items)
    if not spoken.updates:
        return reason(Code.ITEMS_EMPTY, request=asked.request)
    if spoken.flight is not None and spoken.flight not in asked.flights:
        return reason(Code.FLIGHT_NOT_OFFERED, update=spoken.flight)
    flights = sorted(spoken.updates & asked.flights)
    if verdict in _CONDITIONAL and len(flights) > 1:
        return reason(Code.FLIGHT_OTHER, update=flights[0], other=flights[1])
    return None


def _judge_conditions(scope: Scope, conditions: Conditions, spoken: Spoken, asked: Asked) -> Reason | None:
    if conditions == NO_CONDITIONS:
        return reason(Code.CONDITIONS_EMPTY)
    clash = _find_clash(scope, conditions, spoken)
    if clash:
        return reason(Code.CONDITIONS_CONTRADICT, clash=clash)
    if conditions.not_after is not None and conditions.not_after <= asked.now:
        return reason(Code.TIME_PAST, member="not_after", time=f"{conditions.not_after:%Y-%m-%d %H:%MZ}")
    unknown = sorted(conditions.with_updates - asked.items)
    if unknown:
        items = ", ".join(sorted(asked.items)) or "nothing"
        return reason(Code.ITEM_UNKNOWN, request=asked.request, updates=", ".join(unknown), items=items)
    unfelt = sorted(name for name in conditions.with_updates if _is_beside(asked.updates.get(name)))
    return reason(Code.TOGETHER_UNFELT, updates=", ".join(unfelt)) if unfelt else None


def _find_clash(scope: Scope, conditions: Conditions, spoken: Spoken) -> str:
    """What contradicts itself; "" when nothing does."""
    first, last = conditions.not_before, conditions.not_after
    if first is not None and last is not None and first >= last:
        return f"not_after {last:%Y-%m-%d %H:%MZ} is not later than not_before {first:%Y-%m-%d %H:%MZ}"
    if conditions.nodes_per_day is not None and conditions.nodes_per_day < 1:
        return f"with {conditions.nodes_per_day} nodes a day none ever goes"
    left_out = sorted(conditions.with_updates & spoken.excluded)
    if left_out:
        return f"{', '.join(left_out)} is left out and asked for in the same outage"
    if conditions.with_scope is not None and conditions.with_scope.level not in WITH_LEVELS:
        return f"only nodes of one cluster go together, and {conditions.with_scope} may have more than one"
    return f"{scope} goes with itself" if conditions.with_scope == scope else ""


def _is_beside(update: Update | None) -> bool:
    """True for work that no workload feels, on a device: it takes no node out, so nothing is together with it."""
    return update is not None and update.target != NODE_TARGET and not update.needs_drain


def _judge_decline(terms: Terms, why: str, spoken: Spoken, asked: Asked) -> Reason | None:
    if terms.until is None:
        return reason(Code.UNTIL_MISSING)
    if not why.strip():
        return reason(Code.REASON_MISSING, what="A no")
    if terms.until <= asked.now:
        return reason(Code.TIME_PAST, member="until", time=f"{terms.until:%Y-%m-%d %H:%MZ}")
    due = first_due(spoken.updates, asked)
    if due is not None and terms.until > due and terms.then is None:
        return reason(
            Code.DECLINE_PAST_DUE,
            request=asked.request,
            until=f"{terms.until:%Y-%m-%d %H:%MZ}",
            due=f"{due:%Y-%m-%d %H:%MZ}",
        )
    return None


def _judge_offer(conditions: Conditions, spoken: Spoken, asked: Asked) -> Reason | None:
    if conditions.not_before is None or conditions.not_after is None:
        return reason(Code.OFFER_WITHOUT_TIME)
    due = first_due(spoken.updates, asked)
    if due is not None and conditions.not_after > due:
        return reason(
            Code.OFFER_PAST_DUE,
            request=asked.request,
            end=f"{conditions.not_after:%Y-%m-%d %H:%MZ}",
            due=f"{due:%Y-%m-%d %H:%MZ}",
        )
    return None


def first_due(updates: Iterable[UpdateId], asked: Asked) -> datetime | None:
    """When the time to choose is over for the first of these items; None when it has no end for any."""
    return min((asked.due[name] for name in updates if name in asked.due), default=None)
