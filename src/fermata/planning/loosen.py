"""The rules that can keep a plan from existing, each with what the inputs are without it and with it loosened by so
much: one more node, day, hour. `explain.py` tries them.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from fractions import Fraction
from math import ceil, floor

from fermata.domain.campaign import DailyWindow, Limit
from fermata.domain.fleet import Cluster
from fermata.domain.ids import TeamId
from fermata.domain.policy import Customer, Freeze, Stance
from fermata.domain.windows import ONE_DAY, calendar_day
from fermata.planning.inputs import PlanningInput
from fermata.planning.ladders import Ladder, Rule
from fermata.planning.limits import count_nodes, describe_limit, limit_capacity
from fermata.planning.loosen_approvals import list_approvals
from fermata.planning.loosen_minima import list_minima
from fermata.planning.scope import Scope

EXTRA_DAYS_MOST = 45  # a campaign that needs more is better split, and every day makes the question larger
LATER_STEP_MINUTES = 15
SHARE_DIGITS_MOST = 6  # of a share in a file: tells one node of a million
_DAY_MINUTES = 24 * 60


def list_rules(inputs: PlanningInput, scope: Scope) -> tuple[Rule, ...]:
    """Freezes, approvals, teams, limits, minima of services, then the calendar: the order in which they are tried to be
    left out.
    """
    campaign = inputs.campaign
    limits = inputs.catalogue.team_limits
    units = len(inputs.fleet.nodes) + len(inputs.fleet.devices)
    rules = [_freeze_rule(freeze) for freeze in inputs.policy.freezes]
    rules.extend(list_approvals(inputs))
    rules.extend(_windows_rule(customer) for customer in inputs.policy.customers.values() if customer.windows)
    rules.extend(_team_rule(team, limits[team], units) for team in sorted(limits))
    rules.extend(_limit_rule(inputs, scope, number) for number in range(len(campaign.limits)))
    rules.extend(list_minima(inputs))
    if not campaign.weekends_staffed:
        rules.append(_weekend_rule())
    rules.append(_extension_rule(inputs))
    room = _room_minutes(campaign.daily_window)
    if room < _DAY_MINUTES:
        rules.append(_daily_window_rule(campaign.daily_window, room))
    return tuple(rules)


def _with_campaign(inputs: PlanningInput, **changes: object) -> PlanningInput:
    return replace(inputs, campaign=replace(inputs.campaign, **changes))  # type: ignore[arg-type]


def _freeze_rule(freeze: Freeze) -> Rule:
    hours = ceil((freeze.end - freeze.start) / timedelta(hours=1))

    def cut(inputs: PlanningInput, start: datetime, end: datetime) -> PlanningInput:
        changed = (replace(f, start=start, end=end) if f.id == freeze.id else f for f in inputs.policy.freezes)
        return replace(inputs, policy=replace(inputs.policy, freezes=tuple(f for f in changed if f.start < f.end)))

    def end_earlier(inputs: PlanningInput, step: int) -> tuple[PlanningInput, str]:
        end = max(freeze.start, freeze.end - timedelta(hours=step))
        return cut(inputs, freeze.start, end), f"End freeze {freeze.id} {step} h earlier."

    def start_later(inputs: PlanningInput, step: int) -> tuple[PlanningInput, str]:
        start = min(freeze.end, freeze.start + timedelta(hours=step))
        return cut(inputs, start, freeze.end), f"Start freeze {freeze.id} {step} h later."

    sentence = f"Freeze {freeze.id} forbids work on {freeze.scope} from {_utc(freeze.start)} to {_utc(freeze.end)}."
    ladders = (Ladder(steps=hours, loosen=end_earlier), Ladder(steps=hours, loosen=start_later))
    return Rule(name=f"freeze {freeze.id}", sentence=sentence, ladders=ladders)


def _windows_rule(customer: Customer) -> Rule:
    """The windows in which a customer lets work go without an approval. An approval lets it go at any time."""

    def loosen(inputs: PlanningInput, _step: int) -> tuple[PlanningInput, str]:
        open_ = tuple(
            replace(rule, stance=Stance.ALLOW, windows=()) if rule.stance is Stance.ALLOW_IN_WINDOWS else rule
            for rule in customer.rules
        )
        changed = replace(customer, rules=open_, windows=())
        customers = {**inputs.policy.customers, customer.id: changed}
        words = f"Ask {customer.id} to approve it, so that it may go outside the windows of its policy."
        return replace(inputs, policy=replace(inputs.policy, customers=customers)), words

    names = ", ".join(window.id for window in customer.windows)
    sentence = f"The policy of {customer.id} lets work go without an approval only in {names}."
    return Rule(name=f"windows of {customer.id}", sentence=sentence, ladders=(Ladder(steps=1, loosen=loosen),))


def _team_rule(team: TeamId, now: int, units: int) -> Rule:
    def loosen(inputs: PlanningInput, step: int) -> tuple[PlanningInput, str]:
        catalogue = replace(inputs.catalogue, team_limits={**inputs.catalogue.team_limits, team: now + step})
        return replace(inputs, catalogue=catalogue), f"Raise at_once of team {team} from {now:,} to {now + step:,}."

    ladder = Ladder(steps=max(1, units - now), loosen=loosen)
    return Rule(name=f"team {team}", sentence=f"Team {team} works on {now:,} units at once.", ladders=(ladder,))


def _limit_rule(inputs: PlanningInput, scope: Scope, number: int) -> Rule:
    limit = inputs.campaign.limits[number]
    name = f"limits[{number}] {describe_limit(limit)}"
    now = limit_capacity(limit, scope.clusters, inputs.fleet)
    most = max(_count_matching(inputs, scope.clusters, limit), len(scope.works))

    def loosen(inputs: PlanningInput, step: int) -> tuple[PlanningInput, str]:
        return raise_limit(inputs, scope.clusters, number, step)

    ladder = Ladder(steps=max(1, most - now), loosen=loosen)
    return Rule(name=name, sentence=f"{name}: at most {now:,}.", ladders=(ladder,))


def raise_limit(
    inputs: PlanningInput, clusters: Sequence[Cluster], number: int, units: int
) -> tuple[PlanningInput, str]:
    """The inputs with so many units more under limit `number`, and that in words; `clusters` are all in scope."""
    limit = inputs.campaign.limits[number]
    now = limit_capacity(limit, clusters, inputs.fleet)
    changed, words = _raise(limit, now + units, _count_matching(inputs, clusters, limit))
    limits = (*inputs.campaign.limits[:number], changed, *inputs.campaign.limits[number + 1 :])
    return _with_campaign(inputs, limits=limits), f"Raise limits[{number}] {describe_limit(limit)} {words}."


def _count_matching(inputs: PlanningInput, clusters: Sequence[Cluster], limit: Limit) -> int:
    return sum(count_nodes(limit, inputs.fleet.nodes_by_cluster[c.name], c) for c in clusters)


def _raise(limit: Limit, units: int, matching: int) -> tuple[Limit, str]:
    if limit.per_day is not None:
        return replace(limit, per_day=units), f"from {limit.per_day} to {units} per_day"
    if limit.at_once_fraction is None:
        return replace(limit, at_once=units), f"from {limit.at_once} to {units} at_once"
    share = _share_of(units, matching)
    words = f"from {limit.at_once_fraction:g} to {share:g} at_once_fraction ({units:,} nodes)"
    return replace(limit, at_once_fraction=share), words


def _share_of(units: int, matching: int) -> float:
    """The shortest share that lets `units` of `matching` nodes go, and no more where so many digits tell it."""
    exact = Fraction(min(units, matching), max(1, matching))
    scales = [int(10**digits) for digits in range(2, SHARE_DIGITS_MOST + 1)]
    shares = [ceil(exact * scale) / scale for scale in scales]
    return next((share for share in shares if floor(Fraction(str(share)) * matching) <= units), shares[-1])


def _weekend_rule() -> Rule:
    def loosen(inputs: PlanningInput, _step: int) -> tuple[PlanningInput, str]:
        return _with_campaign(inputs, weekends_staffed=True), "Staff the weekends."

    return Rule(name="weekends", sentence="No work on weekends.", ladders=(Ladder(steps=1, loosen=loosen),))


def _extension_rule(inputs: PlanningInput) -> Rule:
    """The last day. A deadline on it moves with it, since it may not lie after it; days already over do not count."""
    campaign = inputs.campaign
    until = campaign.extension_until
    today = calendar_day(inputs.now, campaign.timezone)
    is_over = until < today
    name = "deadline" if campaign.deadline == until else "extension_until"

    def loosen(inputs: PlanningInput, step: int) -> tuple[PlanningInput, str]:
        moved = max(until, today - ONE_DAY) + step * ONE_DAY
        count = (moved - until).days
        days = f"{count} day{'' if count == 1 else 's'}"
        changed = _with_campaign(inputs, extension_until=moved)
        if name == "deadline":
            changed = _with_campaign(changed, deadline=moved)
        return changed, f"Move {name} by {days}, to {moved}."

    sentence = f"The campaign ends on {until} ({name})."
    if is_over:
        sentence = f"The campaign ended on {until} ({name}), and this is planned as of {today}."
    return Rule(name=name, sentence=sentence, ladders=(Ladder(steps=EXTRA_DAYS_MOST, loosen=loosen),))


def _room_minutes(hours: DailyWindow) -> int:
    minutes = _minute_of(hours.back_in_service_by) - _minute_of(hours.start)
    return minutes if minutes > 0 else minutes + _DAY_MINUTES


def _daily_window_rule(hours: DailyWindow, room: int) -> Rule:
    """A file's window ends on the day it starts, and its hard stop is not before that."""
    left_of_day = _DAY_MINUTES - 1 - _minute_of(hours.start) - room

    def loosen(inputs: PlanningInput, step: int) -> tuple[PlanningInput, str]:
        minute = (_minute_of(hours.start) + min(_DAY_MINUTES, room + step * LATER_STEP_MINUTES)) % _DAY_MINUTES
        later = time(minute // 60, minute % 60)
        stop = max(hours.hard_stop, later)
        changed = _with_campaign(inputs, daily_window=replace(hours, back_in_service_by=later, hard_stop=stop))
        words = f"Move back_in_service_by from {hours.back_in_service_by:%H:%M} to {later:%H:%M}"
        return changed, f"{words}." if stop == hours.hard_stop else f"{words}, and hard_stop with it."

    sentence = f"Windows lie between {hours.start:%H:%M} and {hours.back_in_service_by:%H:%M}, {room} minutes a day."
    steps = max(1, ceil((_DAY_MINUTES - room) / LATER_STEP_MINUTES))
    offered = max(0, left_of_day // LATER_STEP_MINUTES)
    return Rule(name="daily_window", sentence=sentence, ladders=(Ladder(steps=steps, loosen=loosen, offered=offered),))


def _minute_of(at: time) -> int:
    return at.hour * 60 + at.minute


def _utc(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%MZ}"
