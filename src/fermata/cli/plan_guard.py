"""The guard of `fermata plan`: how long it may search, and what to say when that was too short."""

from typing import Annotated

import typer

from fermata.cli import output
from fermata.planning.inputs import Planned

TimeLimitOption = Annotated[
    int | None,
    typer.Option(
        "--time-limit",
        min=0,
        metavar="SECONDS",
        help="End the search at the next stage after so many seconds with the plan found so far; else it takes"
        " the effort it needs, the same on any machine.",
        show_default=False,
    ),
]


def tell_notes(outcome: Planned) -> None:
    """What whoever asked for the plan should know, on standard error."""
    for note in outcome.notes:
        output.say(note.sentence, style="yellow", console=output.err)
