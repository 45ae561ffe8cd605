"""Planning again under way: what ran stays, what was told moves only if it must, and then as little as can be."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from fermata.domain.plan_diff import PlanDiff
from fermata.domain.plans import InputHashes, Plan
from fermata.planning.inputs import Daywork, Infeasible, PlanningInput, Relaxation, Violation, never
from fermata.planning.replan_agenda import Agenda, settle_agenda, tell
from fermata.planning.replan_causes import explain_changes
from fermata.planning.replan_refuse import refuse_parent
from fermata.planning.replan_search import Placed, find_places, time_places
from fermata.planning.replan_write import write_replan

EXTENSIONS_TRIED = (1, 2, 4, 8, 16)  # days; each costs another search


@dataclass(frozen=True, kw_only=True)
class Followed:
    """A plan that nobody checked yet, how it differs from its parent, and how each of its days was timed."""

    plan: Plan
    diff: PlanDiff
    days: tuple[Daywork, ...]
    is_cut_short: bool


def replan_campaign(
    inputs: PlanningInput, *, new_plan_id: str, hashes: InputHashes, is_overdue: Callable[[], bool] = never
) -> Followed | Infeasible:
    """A plan that follows `inputs.parent`, or why there is none. Equal arguments give equal plans.

    Raises ParentRefused.

    In this order: as few promises broken as can be, as few published windows moved and rather far ones than near
    ones, then the campaign's preferences for what has to be placed anyway.
    """
    refuse_parent(inputs)
    inputs = inputs.settled
    agenda = settle_agenda(inputs, hashes)
    placed = find_places(agenda, is_overdue)
    if isinstance(placed, Placed):
        placed = time_places(agenda, placed)
        plan = write_replan(inputs, agenda, placed, plan_id=new_plan_id, hashes=hashes)
        diff = explain_changes(inputs, agenda, placed, plan)
        return Followed(plan=plan, diff=diff, days=placed.days, is_cut_short=placed.is_cut_short)
    return _explain(inputs, agenda, hashes)


def _explain(inputs: PlanningInput, agenda: Agenda, hashes: InputHashes) -> Infeasible:
    """Who finds no place, and how many days more would give one, which is tried."""
    names = sorted({agenda.tasks[i].cluster.name for i in agenda.others(than=agenda.settled())})
    sentence = (
        f"No place up to {inputs.campaign.extension_until} for all that is left ({tell(names)}) beside what runs and"
        " what was told within the notice."
    )
    return Infeasible(
        clashes=(Violation(rule="NO_ROOM", sentence=sentence),), relaxations=tuple(_extend(inputs, hashes))
    )


def _extend(inputs: PlanningInput, hashes: InputHashes) -> list[Relaxation]:
    for days in EXTENSIONS_TRIED:
        until = inputs.campaign.extension_until + timedelta(days=days)
        longer = replace(inputs, campaign=replace(inputs.campaign, extension_until=until))
        if isinstance(find_places(settle_agenda(longer, hashes)), Placed):
            more = f"{days} day{'s' if days > 1 else ''} more"
            return [Relaxation(rule="extension_until", sentence=f"extension_until {until}, {more}, makes it possible.")]
    return []
