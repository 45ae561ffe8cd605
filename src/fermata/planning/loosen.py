"""The rules that can keep a plan from existing, each with what the inputs are without it and with it loosened by so
much: one more node, day, hour. `explain.py` tries them.
"""

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from math import ceil

from fermata.domain.campaign import DailyWindow, Limit
from fermata.domain.ids import TeamId
from fermata.domain.policy import Freeze
from fermata.planning.inputs import PlanningInput
from fermata.planning.ladders import Ladder, Rule
from fermata.planning.limits import count_nodes, describe_limit, limit_capacity
from fermata.planning.loosen_minima import list_minima
from fermata.planning.scope import Scope

EXTRA_DAYS_MOST = 45  # a campaign that needs more is better split, and every day makes the question larger
LATER_STEP_MINUTES = 15
_DAY_MINUTES = 24 * 60


def list_rules(inputs: PlanningInput, scope: Scope) -> tuple[Rule, ...]:
    """Freezes, teams, limits, minima of services, then the calendar: the order in which they are tried to be left
    out.
    """
    campaign = inputs.campaign
    limits = inputs.catalogue.team_limits
    units = len(inputs.fleet.nodes) + len(inputs.fleet.devices)
    rules = [_freeze_rule(freeze) for freeze in inputs.policy.freezes]
    rules.extend(_team_rule(team, limits[team], units) for team in sorted(limits))
    rules.extend(_limit_rule(inputs, scope, number) for number in range(len(campaign.limits)))
    rules.extend(list_minima(inputs))
    if not campaign.weekends_staffed:
        rules.append(_weekend_rule())
    rules.append(_extension_rule(campaign.extension_until))
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
    matching = sum(count_nodes(limit, inputs.fleet.nodes_by_cluster[c.name], c) for c in scope.clusters)
    most = max(matching, len(scope.works))

    def loosen(inputs: PlanningInput, step: int) -> tuple[PlanningInput, str]:
        changed, words = _raise_limit(limit, now + step, matching)
        limits = (*inputs.campaign.limits[:number], changed, *inputs.campaign.limits[number + 1 :])
        return _with_campaign(inputs, limits=limits), f"Raise {name} {words}."

    ladder = Ladder(steps=max(1, most - now), loosen=loosen)
    return Rule(name=name, sentence=f"{name}: at most {now:,}.", ladders=(ladder,))


def _raise_limit(limit: Limit, units: int, matching: int) -> tuple[Limit, str]:
    if limit.per_day is not None:
        return replace(limit, per_day=units), f"from {limit.per_day} to {units} per_day"
    if limit.at_once_fraction is None:
        return replace(limit, at_once=units), f"from {limit.at_once} to {units} at_once"
    share = min(1.0, ceil(1000 * units / max(1, matching)) / 1000)
    return replace(limit, at_once_fraction=share), f"from {limit.at_once_fraction:g} to {share:g} at_once_fraction"


def _weekend_rule() -> Rule:
    def loosen(inputs: PlanningInput, _step: int) -> tuple[PlanningInput, str]:
        return _with_campaign(inputs, weekends_staffed=True), "Staff the weekends."

    return Rule(name="weekends", sentence="No work on weekends.", ladders=(Ladder(steps=1, loosen=loosen),))


def _extension_rule(until: date) -> Rule:
    def loosen(inputs: PlanningInput, step: int) -> tuple[PlanningInput, str]:
        moved = until + timedelta(days=step)
        days = f"{step} day{'' if step == 1 else 's'}"
        return _with_campaign(inputs, extension_until=moved), f"Move extension_until by {days}, to {moved}."

    sentence = f"The campaign ends on {until} (extension_until)."
    return Rule(name="extension_until", sentence=sentence, ladders=(Ladder(steps=EXTRA_DAYS_MOST, loosen=loosen),))


def _room_minutes(hours: DailyWindow) -> int:
    minutes = _minute_of(hours.back_in_service_by) - _minute_of(hours.start)
    return minutes if minutes > 0 else minutes + _DAY_MINUTES


def _daily_window_rule(hours: DailyWindow, room: int) -> Rule:
    def loosen(inputs: PlanningInput, step: int) -> tuple[PlanningInput, str]:
        minute = (_minute_of(hours.start) + min(_DAY_MINUTES, room + step * LATER_STEP_MINUTES)) % _DAY_MINUTES
        later = time(minute // 60, minute % 60)
        changed = _with_campaign(inputs, daily_window=replace(hours, back_in_service_by=later))
        return changed, f"Move back_in_service_by from {hours.back_in_service_by:%H:%M} to {later:%H:%M}."

    sentence = f"Windows lie between {hours.start:%H:%M} and {hours.back_in_service_by:%H:%M}, {room} minutes a day."
    steps = max(1, ceil((_DAY_MINUTES - room) / LATER_STEP_MINUTES))
    return Rule(name="daily_window", sentence=sentence, ladders=(Ladder(steps=steps, loosen=loosen),))


def _minute_of(at: time) -> int:
    return at.hour * 60 + at.minute


def _utc(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%MZ}"
