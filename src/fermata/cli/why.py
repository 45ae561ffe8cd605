"""`fermata why`: what holds a window, a cluster or a node where a plan has it."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, assert_never
from zoneinfo import ZoneInfo

import typer

from fermata.cli import options, output
from fermata.cli.check_follow import Followed, ObservedFileOption, ParentFileOption, read_planned
from fermata.cli.plan_write import Targets, check_targets, tell_written
from fermata.domain.ids import CampaignId, PlanId
from fermata.domain.plan_codes import PlanCode
from fermata.domain.plans import ConsentBasis, Mode, Plan
from fermata.domain.reasons import Code, Reason, reason
from fermata.formats.plans import write_whole
from fermata.formats.why import explanation_to_json, group_pending
from fermata.planning.checker import check_plan
from fermata.planning.inputs import PlanningInput
from fermata.planning.why import ClusterWhy, Explanation, NodeWhy
from fermata.planning.why_window import DayWhy, WindowWhy, list_names
from fermata.server.web.why_page import render_why
from fermata.services.errors import Refusal
from fermata.services.why import explain

STEP_WORDS = {
    "drain": "drain",
    "device_apply": "update of devices",
    "node_apply": "update",
    "reboot": "reboot",
    "verify": "verify and return",
}
CODE_WORDS = {  # after "3 days"
    PlanCode.DAY_UNSTAFFED: "of weekend",
    PlanCode.DAY_TOO_SHORT: "too short",
    Code.FROZEN: "frozen",
    PlanCode.DAY_LIMIT_FULL: "full",
    PlanCode.DAY_LIMIT_ALONE: "limited",
    PlanCode.DAY_ROOM_KEPT: "kept for repairs",
    PlanCode.DAY_TEAM_BUSY: "with a team busy",
    PlanCode.DAY_HAS_PART: "with another part",
    PlanCode.DAY_PART_ORDER: "before other parts",
    PlanCode.DAY_CONTROL: "for the control phase",
    PlanCode.DAY_WORSE: "worse",
    PlanCode.DAY_EQUAL: "as good",
    PlanCode.DAY_BETTER: "better",
}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("why")(why)


def why(
    name: Annotated[
        str, typer.Argument(metavar="NODE|CLUSTER|WINDOW", help="What to explain, by its name.", show_default=False)
    ],
    *,
    plan: Annotated[
        str | None,
        typer.Option(
            "--plan",
            help="A plan file (with --scenario), or the id of a stored plan; else the plan in force.",
            show_default=False,
        ),
    ] = None,
    campaign: Annotated[
        str | None,
        typer.Option("--campaign", help="The campaign whose plan in force is meant.", show_default=False),
    ] = None,
    scenario: options.ScenarioOption = None,
    workloads: options.WorkloadsOption = None,
    parent: ParentFileOption = None,
    observed: ObservedFileOption = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the answer as one page to this file.", show_default=False)
    ] = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Says why a window is not earlier, why a cluster is rolled or taken whole, what happens to a node and when.

    Exit code 0: explained. 1: refused, such as an unknown name; the nearest is named. 2: a file that cannot be read.
    """
    is_file = plan is not None and Path(plan).suffix == ".json"
    if is_file != (scenario is not None):
        raise typer.BadParameter("a plan file and the folder it was made from go together: --plan plan.json --scenario")
    if workloads is not None and scenario is None:
        raise typer.BadParameter("--workloads goes with --scenario: a store has its own workload map")
    if (parent is not None or observed is not None) and scenario is None:
        raise typer.BadParameter("--parent and --observed go with a plan file: a store knows what its plans follow")
    if scenario is not None and campaign is not None:
        raise typer.BadParameter("a plan file is of one campaign; leave --campaign out")
    targets = Targets(html=html)
    check_targets(targets)
    if plan is not None and scenario is not None:
        planned = read_planned(Path(plan), scenario, workloads, Followed(parent=parent, observed=observed))
        found = _explain_file(*planned, name)
    else:
        with options.opened_place(store, server) as place, output.err.status("Looking"):
            found = place.explain(name, PlanId(plan) if plan else None, CampaignId(campaign) if campaign else None)
    if html is not None:
        write_whole(render_why(found).encode(), html)
    if as_json:
        output.print_json(explanation_to_json(found))
        return
    given = {"plan": plan, "scenario": scenario, "workloads": workloads, "parent": parent, "observed": observed}
    _tell(found, "".join(f" --{option} {shlex.quote(str(value))}" for option, value in given.items() if value))
    tell_written(targets)


def _explain_file(plan: Plan, inputs: PlanningInput, name: str) -> Explanation:
    if plan.consent is ConsentBasis.ASSUMED:
        inputs = replace(inputs, ledger=None)
    violations = check_plan(inputs, plan)
    if violations:  # a file may say anything: what breaks a rule is for `fermata check` to tell
        fields = {"plan": plan.id, "count": len(violations), "rule": violations[0].rule}
        raise Refusal(reason(Code.PLAN_VIOLATES, **fields, sentence=violations[0].sentence))
    return explain(inputs, plan, name)


def _tell(found: Explanation, place: str) -> None:
    """`place`: the options to ask again with; what a hint names must work as it stands."""
    match found.about:
        case WindowWhy():
            _tell_window(found.about)
        case ClusterWhy():
            _tell_cluster(found.about, place)
        case NodeWhy():
            _tell_node(found.about, place)
        case _:
            assert_never(found.about)
    output.out.print(f"By {found.plan}, campaign {found.campaign}.", style="dim", markup=False, soft_wrap=True)


def _say(text: str, *, bold: bool = False) -> None:
    output.say(text, style="bold" if bold else "")


def _hint(text: str) -> None:
    """On one line, however long: a command is there to be copied."""
    output.out.print(text, markup=False, soft_wrap=True)


def _tell_window(why: WindowWhy) -> None:
    _say(why.id, bold=True)
    part = "all" if why.mode is Mode.WHOLE else f"part {why.part} of {why.parts}"
    _say(f"{part} of {why.cluster}: {output.count(why.nodes, 'node')}")
    _say(f"out {span_text(why.start, why.end, why.timezone)}; {why.end_confidence:.0%} sure to be back by then")
    if why.unsure is not None:
        _say(f"{why.unsure.code}  {why.unsure.sentence}")
    output.out.print()
    if not why.earlier:
        _say("No earlier day exists for it: it starts on the first day of the campaign that is left.")
        return
    _say(_alone(why))
    rows = [(days, codes, sentence) for days, codes, sentence in _merge_days(why.earlier)]
    output.out.print()
    output.out.print(output.table("Why not earlier", ("day", "code", "why"), rows))


def _alone(why: WindowWhy) -> str:
    if why.earliest_alone is None or why.earliest_alone >= why.start:
        return "Even alone in the fleet it could not be out earlier."
    return f"Alone in the fleet it could be out from {output.local(why.earliest_alone, why.timezone)}."


def _merge_days(days: Sequence[DayWhy]) -> list[tuple[str, str, str]]:
    """One row for each reason of a day; days in a row with the same reasons share theirs."""
    rows: list[tuple[str, str, str]] = []
    number = 0
    while number < len(days):
        last = number
        while last + 1 < len(days) and days[last + 1].reasons == days[number].reasons:
            last += 1
        first = f"{days[number].day:%a} {days[number].day}"
        span = first if last == number else f"{first} to {days[last].day:%a} {days[last].day}"
        for place, given in enumerate(days[number].reasons):
            rows.append((span if place == 0 else "", given.code.value, given.sentence))
        number = last + 1
    return rows


def _tell_cluster(why: ClusterWhy, place: str) -> None:
    _say(why.cluster, bold=True)
    _say(f"{output.count(why.nodes, 'node')}, {output.count(len(why.windows), 'window')}")
    _tell_reasons(why.reasons)
    if why.windows:
        rows = [
            (
                f"{w.part} of {w.parts}" if w.mode is Mode.ROLLING else "whole",
                output.local(w.start, w.timezone),
                f"{w.end.astimezone(ZoneInfo(w.timezone)):%H:%M}",
                f"{w.nodes:,}",
                f"{w.end_confidence:.0%}",
                _held(w),
            )
            for w in why.windows
        ]
        headings = ("part", "out", "back by", "nodes", "sure", "why")
        output.out.print()
        output.out.print(output.table(f"Windows, {why.windows[0].timezone} time", headings, rows, right=(3, 4)))
        _hint(
            f"Day by day{' for one of them' if len(why.windows) > 1 else ''}: fermata why {why.windows[-1].id}{place}"
        )
    if why.unplanned and why.windows:
        left = [(f"{len(group.nodes):,}", str(group.reason)) for group in why.unplanned]
        output.out.print()
        output.out.print(output.table("Left out", ("nodes", "why"), left))


def _held(why: WindowWhy) -> str:
    if not why.earlier:
        return "the first day"
    return ", ".join(f"{output.count(days, 'day')} {CODE_WORDS[code]}" for code, days in why.held_by)


def _tell_node(why: NodeWhy, place: str) -> None:
    _say(why.node, bold=True)
    _say(f"of {why.cluster}, rack {why.rack}")
    _tell_reasons((*why.reasons, why.consent))
    if why.window is not None:
        w = why.window
        _say(f"Out {span_text(w.start, w.end, w.timezone)} in window {w.id}")
        _hint(f"Why then: fermata why {w.id}{place}")
        zone = ZoneInfo(w.timezone)
        rows = [
            (
                STEP_WORDS[step.step],
                f"{step.start.astimezone(zone):%H:%M}",
                f"{step.end.astimezone(zone):%H:%M}",
                ", ".join(step.updates),
                list_names(step.devices),
            )
            for step in why.steps
        ]
        output.out.print()
        output.out.print(output.table(f"Its steps, {w.timezone} time", ("step", "from", "to", "updates", "on"), rows))
    if why.pending:
        output.out.print()
        output.out.print(output.table("Pending", ("update", "on", "runs", "to", "why"), group_pending(why.pending)))


def _tell_reasons(reasons: Sequence[Reason]) -> None:
    for given in reasons:
        _say(f"{given.code}  {given.sentence}")


def span_text(start: datetime, end: datetime, timezone: str) -> str:
    """Mon 2026-01-12 11:00 to 18:30 America/Los_Angeles (19:00Z to 02:30Z)."""
    zone = ZoneInfo(timezone)
    return (
        f"{output.local(start, timezone)} to {end.astimezone(zone):%H:%M} {timezone} ({start:%H:%M}Z to {end:%H:%M}Z)"
    )
