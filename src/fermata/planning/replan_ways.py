"""Ways of a single window whose nodes are settled already: those of the parent plan, with its steps, and new ones."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from math import ceil

from fermata.domain.fleet import Cluster
from fermata.domain.plans import DeviceApplyStep, Mode, NodeApplyStep, Window
from fermata.planning.days import find_freezes
from fermata.planning.inputs import PlanningInput
from fermata.planning.resources import Resource, Use, count_limits, find_team_uses
from fermata.planning.sequence import EPOCH, TeamUse, WindowSteps, shift_steps
from fermata.planning.ways import Group, Part, Way

MINUTE = timedelta(minutes=1)


def way_of_window(window: Window, inputs: PlanningInput, resources: Sequence[Resource], *, is_big: bool) -> Way:
    """The window of another plan, with its own steps. Nodes that the inventory does not know are left out."""
    fleet, catalogue = inputs.fleet, inputs.catalogue
    back = EPOCH - window.start
    uses: list[TeamUse] = []
    for step in window.steps:
        if isinstance(step, NodeApplyStep | DeviceApplyStep) and step.update in catalogue.updates:
            units = step.nodes if isinstance(step, NodeApplyStep) else len(step.devices)
            start, end = ((at - window.start) // MINUTE for at in (step.start, step.end + MINUTE - timedelta.resolution))
            uses.append(TeamUse(team=catalogue.updates[step.update].owner_team, start=start, end=end, units=units))
    part = Part(
        nodes=tuple(fleet.nodes[name] for name in window.nodes if name in fleet.nodes),
        devices=(),
        steps=WindowSteps(
            steps=shift_steps(window.steps, EPOCH + back),
            updates=window.updates,
            reboots_per_node=window.reboots_per_node,
            team_uses=tuple(uses),
        ),
        end_confidence=window.end_confidence,
    )
    cluster = fleet.clusters[window.cluster]
    minutes = ceil((window.end - window.start) / MINUTE)
    way = one_window(cluster, part, inputs, resources, mode=window.mode, is_big=is_big, minutes=minutes)
    return replace(way, groups=(replace(way.groups[0], nodes=len(window.nodes)),))


def one_window(
    cluster: Cluster,
    part: Part,
    inputs: PlanningInput,
    resources: Sequence[Resource],
    *,
    mode: Mode,
    is_big: bool,
    minutes: int | None = None,
) -> Way:
    """The way that services `part` in one window. `minutes` None: as long as its steps."""
    length = part.steps.minutes if minutes is None else minutes
    counts = count_limits(resources, part.nodes, cluster, mode=mode, is_big=is_big)
    limits = (Use(resource=index, start=0, end=length, units=units) for index, units in counts.items())
    group = Group(
        parts=(part,),
        is_last=True,
        minutes=length,
        nodes=len(part.nodes),
        uses=(*limits, *find_team_uses(resources, part.steps.team_uses)),
        freezes=tuple(freeze.id for freeze in find_freezes(inputs.policy.freezes, part.nodes, cluster)),
    )
    return Way(cluster=cluster, mode=mode, groups=(group,))
