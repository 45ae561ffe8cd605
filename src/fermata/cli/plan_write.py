"""The files that `fermata plan` writes: the plan, a page, a calendar. All are made before the first is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from fermata.cli import output
from fermata.domain.plans import Plan
from fermata.formats.ics import calendar_to_bytes
from fermata.formats.plans import plan_to_bytes, write_whole
from fermata.planning.inputs import PlanningInput
from fermata.planning.what_if import Comparison
from fermata.server.web.plan_page import render_plan

HtmlOption = Annotated[
    Path | None,
    typer.Option("--html", help="Write the plan as one self-contained page to this file.", show_default=False),
]
IcsOption = Annotated[
    Path | None,
    typer.Option("--ics", help="Write the windows as a calendar to this file.", show_default=False),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Where to write what; None: not asked for."""

    out: Path | None = None
    html: Path | None = None
    ics: Path | None = None

    @property
    def named(self) -> tuple[Path, ...]:
        """Those that were asked for."""
        return tuple(path for path in (self.out, self.html, self.ics) if path is not None)


def check_targets(targets: Targets) -> None:
    """Raises BadParameter for places that cannot be written, before a minute goes into planning."""
    for path in targets.named:
        if not path.absolute().parent.is_dir():
            raise typer.BadParameter(f"{path} cannot be written: the folder {path.parent} does not exist")
        if path.is_dir():
            raise typer.BadParameter(f"{path} is a folder; name a file in it")
    if len({path.absolute() for path in targets.named}) < len(targets.named):
        raise typer.BadParameter("two results cannot go to one file; name different files")


def tell_written(targets: Targets) -> None:
    """Names each file that was written."""
    for path in targets.named:
        output.out.print(f"Written to {path}", markup=False, soft_wrap=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The page and the calendar of a plan, as far as they were asked for."""

    page: bytes | None = None
    calendar: bytes | None = None


NOTHING_DRAWN = Drawn()


def draw(plan: Plan, inputs: PlanningInput, targets: Targets, *, comparison: Comparison | None = None) -> Drawn:
    """Of a plan whose inputs are at hand."""
    page = render_plan(inputs, plan, comparison=comparison).encode() if targets.html is not None else None
    if targets.ics is None:
        return Drawn(page=page)
    return Drawn(page=page, calendar=calendar_to_bytes(plan, inputs.campaign, parent=inputs.parent))


def write_results(plan: Plan, drawn: Drawn, targets: Targets) -> None:
    """Writes each file whole or not at all. Raises OSError when there is no room or no right."""
    plan_bytes = plan_to_bytes(plan) if targets.out is not None else None
    for data, path in ((plan_bytes, targets.out), (drawn.page, targets.html), (drawn.calendar, targets.ics)):
        if data is not None and path is not None:
            write_whole(data, path)
