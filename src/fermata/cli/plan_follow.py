"""`fermata plan FOLDER --parent PLAN --as-of TIME --observed FILE`: an order to plan again, from its three options."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from fermata.cli import options
from fermata.cli.plan_files import Order, derive_plan_id
from fermata.formats.observed import Subject, read_observed
from fermata.formats.plans import read_plan
from fermata.planning.replan_refuse import ParentRefused, refuse_parent
from fermata.services.errors import Refusal

ParentOption = Annotated[
    Path | None,
    typer.Option(
        "--parent",
        metavar="PLAN",
        help="Plan again: follow this plan file. What ran stays, what was told moves only if it must.",
        show_default=False,
    ),
]
AsOfOption = Annotated[
    str | None,
    typer.Option("--as-of", metavar="TIME", help="With --parent: plan again as of this time.", show_default=False),
]
ObservedOption = Annotated[
    Path | None,
    typer.Option(
        "--observed",
        metavar="FILE",
        help="With --parent: what became of its windows, who withdrew, how long work really takes.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """The plan file to follow, and the file with what was observed of it, if any."""

    parent: Path
    as_of: datetime | None
    observed: Path | None


def read_following(parent: Path | None, as_of: str | None, observed: Path | None, now: str | None) -> Following | None:
    """None without `--parent`. Raises BadParameter for options that make no sense together."""
    if parent is None:
        for option, value in (("--as-of", as_of), ("--observed", observed)):
            if value is not None:
                raise typer.BadParameter(f"{option} tells how a plan went: name that plan with --parent")
        return None
    if as_of is not None and now is not None:
        raise typer.BadParameter("--as-of and --now say the same: leave one of them out")
    return Following(parent=parent, as_of=options.parse_time(as_of) if as_of is not None else None, observed=observed)


def follow(order: Order, following: Following | None) -> Order:
    """The order as one to plan again. Raises BadInput for files that cannot be read, and Refusal for a parent that
    cannot be followed from there, as a store does.
    """
    if following is None:
        return order
    parent = read_plan(following.parent)
    inputs = replace(order.inputs, parent=parent, now=following.as_of or order.inputs.now)
    if following.observed is not None:
        subject = Subject(parent=parent, fleet=inputs.fleet, catalogue=inputs.catalogue, as_of=inputs.now)
        observed = read_observed(following.observed, subject)
        is_newer = order.hashes.fleet != parent.inputs.fleet
        inputs = replace(inputs, observed=replace(observed, in_inventory=is_newer))
    try:
        refuse_parent(inputs)
    except ParentRefused as refused:
        raise Refusal(refused.reason) from refused
    return replace(order, inputs=inputs, plan_id=derive_plan_id(inputs, order.hashes))
