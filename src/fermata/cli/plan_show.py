"""How a plan, or why there is none, reads in a terminal."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from fermata.cli import output
from fermata.cli.flights_show import say_where
from fermata.cli.plan_confidence import tell_confidence
from fermata.cli.plan_services import tell_services
from fermata.domain.campaign import Campaign, LimitKind
from fermata.domain.ids import CampaignId
from fermata.domain.outlines import DayOutline, outline_days, outline_left_out, outline_rolled
from fermata.domain.planned_flights import PlannedFlight
from fermata.domain.plans import Mode, Plan
from fermata.domain.reasons import AnyCode, Code, Reason, reason
from fermata.formats.plan_words import tell_terms
from fermata.planning.inputs import Daywork, Infeasible
from fermata.services.words import span_words

LEFT_OUT_SHOWN = 20  # a screen; --json holds every node
ROLLED_SHOWN = 8
DAYS_SHOWN = 45  # more than a screen, less than a year: --json and --html tell all


def tell_plan(
    made: Plan,
    campaign: Campaign,
    *,
    wanted: float,
    timed: Sequence[Daywork] = (),
    flights: Sequence[PlannedFlight] = (),
) -> None:
    """What was planned, on one screen: when, how many at once, how sure, how good, what is left out. `wanted`: how sure
    ends were to be. `timed`: how the windows of each day were timed together. `flights`: those that it brings.
    """
    days = outline_days(made, campaign.timezone)
    _say(f"{campaign.title}  {made.id}", bold=True)
    _say(_headline(made, days))
    if not days:
        why = reason(Code.NOTHING_TO_PLAN, campaign=campaign.id, why=_nothing(made))
        _say(f"{why.code}  {why.sentence}")
    else:
        _say(_finish(campaign, days))
        tell_confidence(made, campaign, wanted=wanted)
        _tell_rolled(made, campaign)
        for flight in flights:
            first = flight.first_start.astimezone(ZoneInfo(campaign.timezone))
            _say(f"Flight {say_where(flight)}, first on {first:%a} {first:%Y-%m-%d}.")
        _tell_days(days, campaign)
        _tell_timed(timed)
        _tell_terms(made, campaign)
    if made.services:
        output.out.print()
        tell_services(made.services)
    _tell_left_out(made)


def _say(text: str, *, bold: bool = False) -> None:
    output.say(text, style="bold" if bold else "")


def _headline(made: Plan, days: Sequence[DayOutline]) -> str:
    nodes = sum(len(window.nodes) for window in made.windows)
    span = ""
    if days:
        span = (
            f", {_date(days[0])} to {_date(days[-1])} on {len(days):,} days" if len(days) > 1 else f", {_date(days[0])}"
        )
    return f"{output.count(len(made.windows), 'window')}, {output.count(nodes, 'node')}{span}"


def _nothing(made: Plan) -> str:
    if made.unplanned:
        return "every node with work is left out, see below"
    return "no node in its scope has pending work"


def _finish(campaign: Campaign, days: Sequence[DayOutline]) -> str:
    late = [window for day in days if day.day > campaign.deadline for window in day.windows]
    deadline = f"{campaign.deadline:%a} {campaign.deadline}"
    if not late:
        return f"All of it by the deadline, {deadline}."
    nodes = sum(len(window.nodes) for window in late)
    return f"{output.count(len(late), 'window')} with {output.count(nodes, 'node')} after the deadline, {deadline}."


def _tell_rolled(made: Plan, campaign: Campaign) -> None:
    rolled = outline_rolled(made, campaign.timezone)
    whole = sum(window.mode is Mode.WHOLE for window in made.windows)
    _say(f"{output.count(whole, 'cluster')} whole, {len(rolled):,} in parts{':' if rolled else '.'}")
    for each in rolled[:ROLLED_SHOWN]:
        span = f"{each.first_day:%a} {each.first_day} to {each.last_day:%a} {each.last_day}"
        _say(f"  {each.cluster} in {output.count(each.parts, 'part')}, {span}")
    if len(rolled) > ROLLED_SHOWN:
        _say(f"  ... and {len(rolled) - ROLLED_SHOWN:,} more")


def _tell_days(days: Sequence[DayOutline], campaign: Campaign) -> None:
    cap = next(
        (
            limit.at_once
            for limit in campaign.limits
            if limit.what is LimitKind.NODES_OUT and limit.at_once is not None and not limit.where.conditions
        ),
        None,
    )
    of = ("of",) if cap is not None else ()
    headings = ("day", "windows", "rolled", "nodes", "most out", *of, "first", "back by", "sure")
    rows = [
        (
            f"{_date(day)}{' late' if day.day > campaign.deadline else ''}",
            f"{len(day.windows):,}",
            str(sum(w.mode is Mode.ROLLING for w in day.windows) or ""),
            f"{day.nodes:,}",
            f"{day.nodes_out_most:,}",
            *((f"{cap:,}",) if cap is not None else ()),
            _clock(day.first_start, campaign),
            _clock(day.last_end, campaign),
            f"{day.confidence_least:.0%}",
        )
        for day in days[:DAYS_SHOWN]
    ]
    output.out.print()
    title = f"Days, {campaign.timezone} time; sure: the least sure end of the day"
    output.out.print(output.table(title, headings, rows, right=tuple(range(1, len(headings)))))
    if len(days) > DAYS_SHOWN:
        _say(f"... and {len(days) - DAYS_SHOWN:,} more days; --html and --json tell all")


def _tell_timed(timed: Sequence[Daywork]) -> None:
    if not timed:
        return
    proven = sum(day.proven for day in timed)
    saved = timedelta(minutes=sum(day.minutes_saved for day in timed))
    told = f"windows end {span_words(saved)} earlier in all" if saved else "none could end earlier"
    _say(f"{proven:,} of {output.count(len(timed), 'day')} timed together and proven; {told}.")


def _tell_terms(made: Plan, campaign: Campaign) -> None:
    rows = [(words.term, words.value, words.counts, words.gap) for words in tell_terms(made.objective, campaign)]
    if rows:
        output.out.print()
        headings = ("preference", "value", "counts", "")
        output.out.print(output.table("What the plan reaches, strongest first", headings, rows, right=(1,)))


def _tell_left_out(made: Plan) -> None:
    if not made.unplanned:
        return
    counts: Counter[AnyCode] = Counter()
    for group in made.unplanned:
        counts[group.reason.code] += len(group.nodes)
    told = ", ".join(f"{nodes:,} {code}" for code, nodes in counts.most_common())
    left_out = [(left.cluster, f"{left.nodes:,}", f"{left.code}: {left.sentence}") for left in outline_left_out(made)]
    output.out.print()
    title = f"Left out: {output.count(sum(counts.values()), 'node')} ({told})"
    output.out.print(output.table(title, ("cluster", "nodes", "why"), left_out[:LEFT_OUT_SHOWN], right=(1,)))
    if len(left_out) > LEFT_OUT_SHOWN:
        _say(f"... and {len(left_out) - LEFT_OUT_SHOWN:,} more; --json and --html tell all, node by node")


def tell_no_plan(campaign: CampaignId, clashes: int) -> Reason:
    """The refusal's own sentence."""
    told = "one rule leaves no room" if clashes == 1 else f"{clashes} rules clash"
    return reason(Code.NO_PLAN, campaign=campaign, clashes=told)


def tell_infeasible(outcome: Infeasible, campaign: Campaign, *, as_json: bool) -> None:
    """The rules that clash and what would resolve it."""
    why = tell_no_plan(campaign.id, len(outcome.clashes))
    clashes = [{"rule": clash.rule, "sentence": clash.sentence} for clash in outcome.clashes]
    relaxations = [{"rule": change.rule, "sentence": change.sentence} for change in outcome.relaxations]
    detail = {"clashes": clashes, "relaxations": relaxations}
    output.fail(why.code, why.sentence, exit_code=output.INFEASIBLE, as_json=as_json, detail=detail)
    if as_json:
        return
    for clash in clashes:
        output.say(f"  clashes  {clash['sentence']}", console=output.err)
    for change in relaxations:
        output.say(f"  or       {change['sentence']}", console=output.err)
    if not relaxations:
        output.err.print("  No single change was found that makes a plan possible.", markup=False)


def _date(day: DayOutline) -> str:
    return f"{day.day:%a} {day.day}"


def _clock(at: datetime, campaign: Campaign) -> str:
    return f"{at.astimezone(ZoneInfo(campaign.timezone)):%H:%M}"
