"""What customers hold approvals to, as rules that can keep a plan from existing: each asked for anew, more freely."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from fermata.domain.daily_caps import DailyCap, find_daily_caps
from fermata.domain.ledger import say_conditions
from fermata.domain.policy import Conditions, ConsentEntry, Verdict
from fermata.planning.inputs import PlanningInput
from fermata.planning.ladders import Ladder, Rule


def list_approvals(inputs: PlanningInput) -> tuple[Rule, ...]:
    """One rule for each bound of nodes a day, for each time that approvals keep to, and for each end of declines."""
    ledger = inputs.ledger or ()
    caps = find_daily_caps(inputs.fleet, inputs.policy, inputs.catalogue.updates, ledger)
    bounded = dict.fromkeys((e.actor, _times_of(e)) for e in ledger if e.verdict is Verdict.APPROVED)
    ends = dict.fromkeys((e.actor, e.until) for e in ledger if e.verdict is Verdict.DECLINED)
    return (
        *(_cap_rule(cap) for cap in caps),
        *(_times_rule(actor, times) for actor, times in bounded if times is not None),
        *(_end_rule(actor, until) for actor, until in ends if until is not None),
    )


def _times_of(entry: ConsentEntry) -> Conditions | None:
    """The times that an entry keeps to, and nothing else of it; None when it keeps to none."""
    first, last = entry.conditions.not_before, entry.conditions.not_after
    return Conditions(not_before=first, not_after=last) if first is not None or last is not None else None


def _cap_rule(cap: DailyCap) -> Rule:
    entry = cap.entry

    def loosen(inputs: PlanningInput, step: int) -> tuple[PlanningInput, str]:
        most = cap.most + step
        conditions = replace(entry.conditions, nodes_per_day=most)
        words = f"Ask {entry.actor} to let {most:,} nodes of {entry.scope} go a day in place of {cap.most:,}."
        return _change(inputs, lambda e: replace(e, conditions=conditions) if e.id == entry.id else e), words

    sentence = f"{entry.actor} approved {entry.scope} for at most {cap.most:,} nodes a day."
    ladder = Ladder(steps=max(1, len(cap.nodes) - cap.most), loosen=loosen)
    return Rule(name=f"approval {entry.id}", sentence=sentence, ladders=(ladder,))


def _times_rule(actor: str, times: Conditions) -> Rule:
    def free(entry: ConsentEntry) -> ConsentEntry:
        if entry.actor != actor or _times_of(entry) != times:
            return entry
        return replace(entry, conditions=replace(entry.conditions, not_before=None, not_after=None))

    def loosen(inputs: PlanningInput, _step: int) -> tuple[PlanningInput, str]:
        return _change(inputs, free), f"Ask {actor} for another time than {told}."

    told = say_conditions(times)
    sentence = f"{actor} approved work only {told}."
    return Rule(name=f"approvals {told}", sentence=sentence, ladders=(Ladder(steps=1, loosen=loosen),))


def _end_rule(actor: str, until: datetime) -> Rule:
    def free(entry: ConsentEntry) -> ConsentEntry:
        if entry.actor != actor or entry.until != until:
            return entry
        return replace(entry, verdict=Verdict.APPROVED, until=None, then=None)

    def loosen(inputs: PlanningInput, _step: int) -> tuple[PlanningInput, str]:
        return _change(inputs, free), f"Ask {actor} to approve the work before {told}."

    told = f"{until:%Y-%m-%d %H:%MZ}"
    sentence = f"{actor} declined work until {told}."
    return Rule(name=f"declines until {told}", sentence=sentence, ladders=(Ladder(steps=1, loosen=loosen),))


def _change(inputs: PlanningInput, change: Callable[[ConsentEntry], ConsentEntry]) -> PlanningInput:
    return replace(inputs, ledger=tuple(change(entry) for entry in inputs.ledger or ()))
