"""How a plan, or why there is none, reads in a terminal."""

from fermata.cli import output
from fermata.cli.plan_services import tell_services
from fermata.domain.campaign import Campaign
from fermata.domain.plans import Plan
from fermata.domain.reasons import Code, reason
from fermata.domain.windows import calendar_day
from fermata.planning.inputs import Infeasible

LEFT_OUT_SHOWN = 20  # a screen; --json holds every node


def tell_plan(made: Plan, campaign: Campaign) -> None:
    """What was planned, on one screen."""
    nodes = sum(len(window.nodes) for window in made.windows)
    days = sorted({calendar_day(window.start, campaign.timezone) for window in made.windows})
    span = f", {days[0]} to {days[-1]} on {output.count(len(days), 'day')}" if days else ""
    output.out.print(f"{made.id}  {campaign.title}", markup=False, soft_wrap=True)
    output.out.print(f"{output.count(len(made.windows), 'window')}, {output.count(nodes, 'node')}{span}")
    rows = [
        (term.term, f"{term.value:g}", f"{term.bound:g}", _judge(term.value, term.bound)) for term in made.objective
    ]
    headings = ("preference", "value", "bound", "")
    output.out.print(output.table("What the plan reaches", headings, rows, right=(1, 2)))
    if made.services:
        tell_services(made.services)
    if made.unplanned:
        left_out = [(group.cluster, f"{len(group.nodes):,}", str(group.reason)) for group in made.unplanned]
        output.out.print(output.table("Left out", ("cluster", "nodes", "why"), left_out[:LEFT_OUT_SHOWN], right=(1,)))
        if len(left_out) > LEFT_OUT_SHOWN:
            output.out.print(f"... and {len(left_out) - LEFT_OUT_SHOWN:,} more groups; --json tells all, node by node")


def _judge(value: float, bound: float) -> str:
    return "proven best" if bound >= value else "best found"


def tell_infeasible(outcome: Infeasible, campaign: Campaign, *, as_json: bool) -> None:
    """The rules that clash and what would resolve it."""
    why = reason(Code.NO_PLAN, campaign=campaign.id, count=len(outcome.clashes))
    clashes = [{"rule": clash.rule, "sentence": clash.sentence} for clash in outcome.clashes]
    relaxations = [{"rule": change.rule, "sentence": change.sentence} for change in outcome.relaxations]
    detail = {"clashes": clashes, "relaxations": relaxations}
    output.fail(why.code, why.sentence, exit_code=output.INFEASIBLE, as_json=as_json, detail=detail)
    if as_json:
        return
    for clash in clashes:
        output.err.print(f"  clashes  {clash['sentence']}", markup=False, soft_wrap=True)
    for change in relaxations:
        output.err.print(f"  or       {change['sentence']}", markup=False, soft_wrap=True)
    if not relaxations:
        output.err.print("  No single change was found that makes a plan possible.", markup=False)
