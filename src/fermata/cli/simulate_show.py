"""How the figures of a simulation read: in a terminal, and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fermata.cli import output
from fermata.domain.campaign import Campaign
from fermata.domain.ids import PlanId
from fermata.planning.risk.figures import CampaignRisk, LimitRisk, ModeRisk, Spread, WindowRisk
from fermata.server.web.simulation_page import RARE, say_chance, say_figure

SCHEMA = "fermata.simulation/1"
LATE_SHOWN = 10  # a screen; --json has every window
MODES = {False: "Limits held in the plan: every window opens as planned", True: "Limits held at run time: windows wait"}


def to_json(plan: PlanId, risk: CampaignRisk) -> dict[str, Any]:
    """Stable keys; probabilities are shares of the runs."""
    found = asdict(risk)
    for mode in found["modes"]:
        mode["mode"] = "gate" if mode.pop("gated") else "plan"
        mode["windows"] = [{**window, "window": str(window["window"])} for window in mode["windows"]]
    return {"schema": SCHEMA, "plan": plan, **found}


def tell_risk(plan: PlanId, campaign: Campaign, risk: CampaignRisk) -> None:
    """One screen for each mode."""
    planned = risk.planned
    output.say(f"{campaign.title}  {plan}", style="bold")
    output.out.print(
        f"{output.count(risk.runs, 'campaign')} with seed {risk.seed}: {output.count(planned.windows, 'window')},"
        f" {output.count(planned.nodes, 'node')}; correlation {risk.correlation:g}",
        soft_wrap=True,
    )
    for mode in risk.modes:
        output.out.print()
        _tell_mode(mode, risk, campaign)


def _tell_mode(mode: ModeRisk, risk: CampaignRisk, campaign: Campaign) -> None:
    planned = risk.planned
    output.out.print(MODES[mode.gated], style="bold")
    rows = [
        ("windows that keep their end", f"{planned.kept:,.0f} of {planned.windows:,}", *_cells(mode.kept)),
        ("late node-days", f"{planned.late_node_days:,}", *_cells(mode.late_node_days)),
        ("capacity lost, node-hours", f"{planned.lost_node_hours:,.0f}", *_cells(mode.lost_node_hours)),
    ]
    if mode.gated:
        rows += [
            ("windows that open late", "0", *_cells(mode.waited_windows)),
            ("windows that miss their day", "0", *_cells(mode.missed_windows)),
            ("nodes that then need a new plan", "0", *_cells(mode.missed_nodes)),
        ]
    headings = ("", "the plan says", "mean", "p10", "p50", "p90")
    output.out.print(output.table("", headings, rows, right=(1, 2, 3, 4, 5)))
    output.say(_deadline_sentence(mode, risk, campaign))
    _tell_limits(mode.limits)
    if mode.any_exceeded >= RARE and not mode.gated:
        advice = "fermata plan --max-breach 0.01 leaves room for that"
        advice += "." if len(risk.modes) > 1 else "; --gate shows what waiting at run time costs instead."
        output.say(f"A limit is exceeded in {say_chance(mode.any_exceeded)} of campaigns: {advice}", style="yellow")
    _tell_windows(mode)


def _deadline_sentence(mode: ModeRisk, risk: CampaignRisk, campaign: Campaign) -> str:
    late = risk.planned.late_windows
    planned = f" ({output.count(late, 'window')} of the plan {'ends' if late == 1 else 'end'} after it)" if late else ""
    return f"Deadline {campaign.deadline} missed: {say_chance(mode.deadline_missed)}{planned}."


def _tell_limits(limits: Sequence[LimitRisk]) -> None:
    rows = [
        (
            found.limit,
            f"{found.allowed:,}",
            f"{found.most:,}",
            say_chance(found.exceeded),
            f"{found.worst_day} ({say_chance(found.exceeded_on_worst_day)})" if found.worst_day else "no day",
        )
        for found in limits
    ]
    headings = ("limit", "allowed", "most, p90", "exceeded", "worst day")
    output.out.print()
    output.out.print(output.table("Limits", headings, rows, right=(1, 2, 3)))


def _tell_windows(mode: ModeRisk) -> None:
    worst = sorted(mode.windows, key=lambda found: (-found.late, found.window))[:LATE_SHOWN]
    rows = [_window_row(found) for found in worst if found.late]
    if not rows:
        return
    headings = ("window", "late", "by the plan", "minutes late, p90")
    output.out.print()
    output.out.print(output.table("Windows most likely late", headings, rows, right=(1, 2, 3)))


def _window_row(found: WindowRisk) -> tuple[str, ...]:
    return (found.window, say_chance(found.late), say_chance(1 - found.promised), f"{found.late_minutes_p90:,}")


def _cells(spread: Spread) -> tuple[str, ...]:
    return tuple(say_figure(value) for value in (spread.mean, spread.p10, spread.p50, spread.p90))
