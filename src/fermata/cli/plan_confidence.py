"""How sure a plan is to be: the options that ask for its ends and its limits, and how the ends read in a terminal."""

from collections import Counter
from typing import Annotated

import typer

from fermata.cli import output
from fermata.domain.campaign import Campaign
from fermata.domain.plans import Plan
from fermata.domain.reasons import Code
from fermata.planning.weak_promises import find_weak_promises

CONFIDENCE = 0.9
WEAK_SHOWN = 3  # the least sure; `fermata simulate` has them all

ConfidenceOption = Annotated[
    float,
    typer.Option(
        "--confidence", min=0.5, max=0.999, help="How sure the planned end of a window is to be, where its day allows."
    ),
]

MaxBreachOption = Annotated[
    float | None,
    typer.Option(
        "--max-breach",
        min=0.001,
        max=0.5,
        help="Keep the simulated chance of exceeding any limit at or under this, with room to spare; takes minutes.",
        show_default=False,
    ),
]


def tell_confidence(made: Plan, campaign: Campaign, *, wanted: float) -> None:
    """How many windows are less sure of their end than asked, why, and what can be done; nothing when none is."""
    weak = find_weak_promises(made, campaign, wanted=wanted)
    if not weak:
        return
    windows = output.count(len(made.windows), "window")
    late = round(sum(1 - window.end_confidence for window in made.windows))
    verb = "is" if len(weak) == 1 else "are"
    asked = f"less than {100 * wanted:g} % sure of the end"
    expected = f"; about {late:,} may end late" if late else ""
    output.say(f"{len(weak):,} of {windows} {verb} {asked}{expected}.", style="yellow")
    counts = Counter(found.reason.code for found in weak)
    said = {
        Code.END_UNSURE_ROOM: _say_room(campaign),
        Code.END_UNSURE_NEXT: _NEXT,
        Code.END_UNSURE_FALLOUT: _FALLOUT,
    }
    for code, why in said.items():
        if counts[code]:
            output.say(f"  {counts[code]:,} {code}: {why}")
    least = ", ".join(f"{found.window.id} {found.window.end_confidence:.0%}" for found in weak[:WEAK_SHOWN])
    output.say(f"  Least sure: {least}. fermata simulate tells what late ends do to limits and deadline.")


_NEXT = "what comes after them that day leaves them no more time: fermata why names it."
_FALLOUT = "more nodes may fall out than may be missing. Time does not help: keep spare nodes, or expect it."


def _say_room(campaign: Campaign) -> str:
    """What a longer day is called in the campaign's file, up to its hard stop, where there is room for one."""
    window = campaign.daily_window
    now = f"{window.back_in_service_by:%H:%M}"
    why = f"the day is too short for slow drains and second tries (back by {now})"
    if window.hard_stop <= window.back_in_service_by:
        return f"{why}. Widen daily_window, or tell customers a later end."
    later = f"--what-if daily_window.back_in_service_by={window.hard_stop:%H:%M}"
    return f"{why}. Tell customers a later end, or see what a longer day gives: {later}"
