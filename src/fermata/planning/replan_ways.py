"""Ways of a single window whose nodes are settled already: those of the parent plan, with its steps, and new ones."""

from dataclasses import replace
from datetime import timedelta
from math import ceil

from fermata.domain.fleet import Cluster
from fermata.domain.plans import DeviceApplyStep, Mode, NodeApplyStep, Window
from fermata.planning.days import find_closed
from fermata.planning.encoders import Encoding
from fermata.planning.encoding import Taken, TeamUse
from fermata.planning.inputs import PlanningInput
from fermata.planning.promises import Promise
from fermata.planning.resources import find_loans, find_uses
from fermata.planning.sequence import EPOCH, WindowSteps, shift_steps
from fermata.planning.ways import Group, Part, Way

MINUTE = timedelta(minutes=1)


def way_of_window(window: Window, inputs: PlanningInput, encoding: Encoding) -> Way:
    """The window of another plan, with its own steps. Nodes that the inventory does not know are left out."""
    fleet = inputs.fleet
    minutes = ceil((window.end - window.start) / MINUTE)
    part = Part(
        nodes=tuple(fleet.nodes[name] for name in window.nodes if name in fleet.nodes),
        devices=(),
        steps=WindowSteps(
            steps=shift_steps(window.steps, EPOCH + (EPOCH - window.start)),
            updates=window.updates,
            reboots_per_node=window.reboots_per_node,
            team_uses=_find_team_uses(window, inputs),
        ),
        promise=Promise(minutes=minutes, end_confidence=window.end_confidence, back=()),
    )
    cluster = fleet.clusters[window.cluster]
    way = one_window(cluster, part, encoding, mode=window.mode, minutes=minutes)
    return replace(way, groups=(replace(way.groups[0], nodes=len(window.nodes)),))


def _find_team_uses(window: Window, inputs: PlanningInput) -> tuple[TeamUse, ...]:
    found: list[TeamUse] = []
    for step in window.steps:
        if isinstance(step, NodeApplyStep | DeviceApplyStep) and step.update in inputs.catalogue.updates:
            team = inputs.catalogue.updates[step.update].owner_team
            units = step.nodes if isinstance(step, NodeApplyStep) else len(step.devices)
            start, end = (step.start - window.start) // MINUTE, ceil((step.end - window.start) / MINUTE)
            found.append(TeamUse(team=team, start=start, end=end, units=units))
    return tuple(found)


def one_window(cluster: Cluster, part: Part, encoding: Encoding, *, mode: Mode, minutes: int | None = None) -> Way:
    """The way that services `part` in one window. `minutes` None: as long as its steps."""
    length = part.steps.minutes if minutes is None else minutes
    team_uses = part.steps.team_uses
    taken = Taken(cluster=cluster, nodes=part.nodes, mode=mode, minutes=length, team_uses=team_uses)
    group = Group(
        parts=(part,),
        is_last=True,
        minutes=length,
        nodes=len(part.nodes),
        uses=find_uses(encoding.capacities, taken),
        closed=find_closed(encoding.calendar.closed, part.nodes, cluster),
        loans=find_loans(encoding.capacities, taken),
    )
    return Way(cluster=cluster, mode=mode, groups=(group,))
