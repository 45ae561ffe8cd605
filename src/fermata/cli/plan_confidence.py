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
    """Which windows are less sure of their end than asked, and why; nothing when none is."""
    weak = find_weak_promises(made, campaign, wanted=wanted)
    if not weak:
        return
    counts = Counter(found.reason.code for found in weak)
    told = [
        f"{counts[code]:,} {why}"
        for code, why in (
            (Code.END_UNSURE_ROOM, "for want of time in the day"),
            (Code.END_UNSURE_FALLOUT, "because more nodes may fall out than may be missing"),
        )
        if counts[code]
    ]
    windows = output.count(len(made.windows), "window")
    asked = f"less than {100 * wanted:g} % sure of the end"
    verb = "is" if len(weak) == 1 else "are"
    output.out.print(
        f"{len(weak):,} of {windows} {verb} {asked}: {', '.join(told)}. Least sure:",
        markup=False,
        soft_wrap=True,
    )
    for found in weak[:WEAK_SHOWN]:
        output.out.print(f"  {found.reason}", markup=False, soft_wrap=True)
