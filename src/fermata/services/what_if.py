"""What a campaign on record would be with another cap, deadline, weekends or rolling share: both plans side by side.

As `fermata plan --what-if`, of what is left. Nothing is stored: a question is not a plan.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime

from fermata.domain.campaign import Campaign, LimitKind
from fermata.domain.ids import CampaignId
from fermata.domain.outlines import outline_days
from fermata.domain.reasons import Code, reason
from fermata.domain.windows import days_between
from fermata.formats.changed_inputs import Changeable, change_inputs, parse_changes
from fermata.planning.inputs import Asked, Planned, PlanningInput, PlanningOutcome
from fermata.planning.planner import plan_campaign
from fermata.planning.search import SearchOptions
from fermata.planning.stages import Stage, Watch, ignore_stage
from fermata.planning.what_if import Comparison, compare_plans
from fermata.services.errors import Refusal, refusing_unknown
from fermata.services.plans import DEFAULT_ASKED, Wanted, hash_inputs, read_inputs, refusing_faulted
from fermata.store import inventory, runs
from fermata.store.database import Database

DAYS_MOST = 1000  # from the first day to the last of the extension, as in a campaign's file


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """What to change; None stays as it is. `nodes_out`: at once, under the campaign's first limit on nodes out over its
    whole scope. `rolling`: the largest share of a cluster's nodes that one day of a rolling one takes, 0 to 1.
    `changes`: any other, KEY=VALUE as `fermata plan --what-if` takes them, made after those.
    """

    nodes_out: int | None = None
    deadline: date | None = None
    weekends: bool | None = None
    rolling: float | None = None
    changes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True when nothing is to change."""
        return self == WhatIf()


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPair:
    """The most nodes out at one instant of a day, in both plans."""

    day: date
    now: int
    then: int


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Both plans, or why there is none. `campaign` as it is; `changes` in the words of `--what-if`; `as_of` (UTC): what
    both start from. `comparison` None unless both exist.
    """

    campaign: Campaign
    changed: Campaign
    changes: tuple[str, ...]
    as_of: datetime
    is_rest: bool
    now: PlanningOutcome
    then: PlanningOutcome
    comparison: Comparison | None

    @property
    def days(self) -> tuple[DayPair, ...]:
        """Every day from the first with a window in either plan to the last."""
        most = [
            {day.day: day.nodes_out_most for day in outline_days(outcome.plan, self.campaign.timezone)}
            if isinstance(outcome, Planned)
            else {}
            for outcome in (self.now, self.then)
        ]
        every = sorted(most[0].keys() | most[1].keys())
        return tuple(
            DayPair(day=day, now=most[0].get(day, 0), then=most[1].get(day, 0))
            for day in (days_between(every[0], every[-1]) if every else ())
        )


def find_cap(campaign: Campaign) -> int | None:
    """The number of the limit that `nodes_out` changes, from 0; None when the campaign has none."""
    return next(
        (
            number
            for number, limit in enumerate(campaign.limits)
            if limit.what is LimitKind.NODES_OUT and limit.at_once is not None and not limit.where.conditions
        ),
        None,
    )


def change_campaign(campaign: Campaign, asked: WhatIf) -> tuple[Campaign, tuple[str, ...]]:
    """The campaign with the changes, and these as `--what-if` has them. Raises Refusal for what no file could say."""
    changed, texts = campaign, list[str]()
    for change, text in _changes(campaign, asked):
        changed = change(changed)
        texts.append(text)
    return changed, tuple(texts)


_Change = Callable[[Campaign], Campaign]


def _changes(campaign: Campaign, asked: WhatIf) -> Iterator[tuple[_Change, str]]:
    if asked.nodes_out is not None:
        yield _change_cap(campaign, asked.nodes_out)
    if asked.deadline is not None:
        yield from _change_deadline(campaign, asked.deadline)
    if asked.weekends is not None:
        staffed = asked.weekends
        yield lambda c: replace(c, weekends_staffed=staffed), f"weekends={'staffed' if staffed else 'never'}"
    if asked.rolling is not None:
        yield from _change_rolling(campaign, asked.rolling)


def _change_cap(campaign: Campaign, most: int) -> tuple[_Change, str]:
    number = find_cap(campaign)
    if number is None:
        raise _unusable("The cap", f"{most:,}", "the campaign has no limit on nodes out over its whole scope.")
    if most < 1:
        raise _unusable("The cap", f"{most:,}", "at least one node has to be out to be serviced.")
    limits = tuple(replace(x, at_once=most) if i == number else x for i, x in enumerate(campaign.limits))
    return lambda c: replace(c, limits=limits), f"limits[{number}].at_once={most}"


def _change_deadline(campaign: Campaign, day: date) -> Iterator[tuple[_Change, str]]:
    """A deadline after the extension takes the extension with it."""
    if day < campaign.first_day:
        raise _unusable("The deadline", str(day), f"it lies before the first day, {campaign.first_day}.")
    if (day - campaign.first_day).days > DAYS_MOST:
        raise _unusable("The deadline", str(day), f"it lies more than {DAYS_MOST:,} days after the first day.")
    if day > campaign.extension_until:
        yield lambda c: replace(c, extension_until=day), f"extension_until={day}"
    yield lambda c: replace(c, deadline=day), f"deadline={day}"


def _change_rolling(campaign: Campaign, most: float) -> Iterator[tuple[_Change, str]]:
    """A share below the least takes that with it."""
    if not 0 < most <= 1 or not math.isfinite(most):
        raise _unusable("The rolling share", f"{most:g}", "it is more than 0 and at most 1 of a cluster's nodes.")
    least = min(campaign.rolling.min_fraction_per_day, most)
    if least != campaign.rolling.min_fraction_per_day:
        yield (
            lambda c: replace(c, rolling=replace(c.rolling, min_fraction_per_day=least)),
            f"rolling.min_fraction_per_day={least:g}",
        )
    yield (
        lambda c: replace(c, rolling=replace(c.rolling, max_fraction_per_day=most)),
        f"rolling.max_fraction_per_day={most:g}",
    )


def _unusable(field: str, value: str, why: str) -> Refusal:
    return Refusal(reason(Code.CHANGE_UNUSABLE, field=field, value=value, why=why))


def ask_what_if(
    db: Database,
    campaign: CampaignId,
    what: WhatIf,
    *,
    now: datetime,
    asked: Asked = DEFAULT_ASKED,
    watch: Watch = ignore_stage,
) -> Answer:
    """Plans twice from what is on record: the whole campaign before its run, afterwards what is left, both times free
    to move whatever was not told within the notice. What `watch` raises ends it. Raises Refusal.
    """
    with refusing_unknown(), db.read() as conn:
        run = runs.latest_run(conn, campaign)
        inputs = read_inputs(conn, campaign, now=now, wanted=Wanted(asked=asked))
    is_rest = run is not None and inputs.parent is not None
    inputs = replace(inputs, confidence=asked.confidence, max_breach=asked.max_breach)
    if is_rest:
        inputs = replace(inputs, fleet=inputs.fleet_to_come, now=inputs.now + inputs.lead)
    inputs = replace(inputs, parent=None, observed=None)
    changed, texts = _change(inputs, what)
    outcomes = [_plan(each, asked, watch, words) for each, words in ((inputs, "as it is"), (changed, "what if"))]
    before, after = outcomes
    comparison = None
    if isinstance(before, Planned) and isinstance(after, Planned):
        comparison = compare_plans(texts, before.plan, after.plan, inputs.campaign.timezone)
    return Answer(
        campaign=inputs.campaign,
        changed=changed.campaign,
        changes=texts,
        as_of=inputs.now,
        is_rest=is_rest,
        now=before,
        then=after,
        comparison=comparison,
    )


def judge_what_if(db: Database, campaign: CampaignId, what: WhatIf) -> None:
    """Refuses a question that makes no sense before anything is planned. Raises Refusal; of `changes` BadInput or
    ValueError, as a file with them would be refused.
    """
    with refusing_unknown(), db.read() as conn:
        of = inventory.load_campaign(conn, campaign)
        changed, _ = change_campaign(of, what)
        changes = parse_changes(what.changes)
        if changes:
            found = Changeable(
                campaign=changed, policy=inventory.load_policy(conn), catalogue=inventory.load_catalogue(conn)
            )
            change_inputs(found, inventory.load_fleet(conn), changes)


def _change(inputs: PlanningInput, what: WhatIf) -> tuple[PlanningInput, tuple[str, ...]]:
    """The inputs with the changes, and these in the words of `--what-if`."""
    campaign, texts = change_campaign(inputs.campaign, what)
    found = Changeable(campaign=campaign, policy=inputs.policy, catalogue=inputs.catalogue)
    if what.changes:
        found = change_inputs(found, inputs.fleet, parse_changes(what.changes))
    changed = replace(inputs, campaign=found.campaign, policy=found.policy, catalogue=found.catalogue)
    return changed, (*texts, *what.changes)


def _plan(inputs: PlanningInput, asked: Asked, watch: Watch, words: str) -> PlanningOutcome:
    def told(stage: Stage, detail: str) -> None:
        watch(stage, f"{detail}, {words}" if detail else words)

    options = SearchOptions(is_overdue=asked.is_overdue, watch=told)
    with refusing_faulted():
        return plan_campaign(inputs, new_plan_id="plan_what_if", hashes=hash_inputs(inputs), options=options)
