"""What judging a re-plan's file needs beside its inputs: the plan that it follows and what was observed of that."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from fermata.cli import plan_files
from fermata.domain.plans import Plan
from fermata.formats.observed import Subject, read_observed
from fermata.formats.plans import read_plan
from fermata.planning.inputs import PlanningInput

ParentFileOption = Annotated[
    Path | None,
    typer.Option("--parent", metavar="PLAN", help="The plan file that a re-plan follows.", show_default=False),
]
ObservedFileOption = Annotated[
    Path | None,
    typer.Option("--observed", metavar="FILE", help="What the re-plan was told of its parent.", show_default=False),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """The files of a re-plan's parent; None where none was named."""

    parent: Path | None
    observed: Path | None


def read_planned(path: Path, folder: Path, workloads: Path | None, followed: Followed) -> tuple[Plan, PlanningInput]:
    """A plan file with the files it was made from, and those of its parent. Raises BadParameter when the files are not
    those of this plan, Refusal when they changed since, BadInput when they cannot be read.
    """
    plan, inputs = plan_files.read_planned(path, folder, workloads)
    return plan, with_parent(inputs, plan, followed)


def with_parent(inputs: PlanningInput, plan: Plan, followed: Followed) -> PlanningInput:
    """The inputs that a re-plan is judged by. Raises BadParameter when the files are not those of this plan."""
    if plan.parent is None:
        if followed.parent is not None or followed.observed is not None:
            raise typer.BadParameter(f"{plan.id} follows no plan; leave --parent and --observed out")
        return inputs
    if followed.parent is None:
        raise typer.BadParameter(f"{plan.id} follows {plan.parent}: say with --parent which file that is")
    parent = read_plan(followed.parent)
    if parent.id != plan.parent:
        raise typer.BadParameter(f"{plan.id} follows {plan.parent}, and {followed.parent} is {parent.id}")
    inputs = replace(inputs, parent=parent)
    if followed.observed is None:
        return inputs
    subject = Subject(parent=parent, fleet=inputs.fleet, catalogue=inputs.catalogue, as_of=inputs.now)
    observed = read_observed(followed.observed, subject)
    return replace(inputs, observed=replace(observed, in_inventory=plan.inputs.fleet != parent.inputs.fleet))
