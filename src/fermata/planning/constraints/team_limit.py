"""No update team works on more units at any instant, over all windows, than it can.

Units are the nodes or devices of all steps of one owner team. Protects the teams, and the plan from waiting for them.
"""

from collections.abc import Iterator

from fermata.domain.ids import TeamId
from fermata.domain.plans import DeviceApplyStep, NodeApplyStep
from fermata.domain.updates import NODE_TARGET
from fermata.planning.case import at, some
from fermata.planning.encoding import Capacity, Facts, Resource, Taken, Use
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading
from fermata.planning.sweep import Span, find_peaks

CODE = "TEAM_LIMIT"


def check(reading: Reading) -> Iterator[Violation]:
    """Times with more units under work than the team's `at_once`; a team without a limit has none."""
    case = reading.case
    teams: dict[TeamId, list[Span]] = {}
    for window in reading.plan.windows:
        for step in window.steps:
            if not isinstance(step, NodeApplyStep | DeviceApplyStep):
                continue
            update = case.update(step.update)
            if update is not None:
                units = step.nodes if isinstance(step, NodeApplyStep) else len(step.devices)
                span = Span(start=step.start, end=step.end, units=units, window=window.id)
                teams.setdefault(update.owner_team, []).append(span)
    limits = case.inputs.catalogue.team_limits
    for team in sorted(teams.keys() & limits.keys()):
        for peak in find_peaks(teams[team], limits[team], reading.asked):
            sentence = (
                f"Team {team} works on {peak.total:,} units at {at(peak.at)}, it can on {limits[team]:,}: windows"
                f" {some(peak.windows)}."
            )
            yield Violation(rule=CODE, sentence=sentence, window=peak.windows[0])


def encode(facts: Facts) -> Capacity:
    """One resource a team with a limit, used by the steps of its updates while they run."""
    catalogue = facts.inputs.catalogue
    on_devices = {update.owner_team for update in catalogue.rolled_out if update.target != NODE_TARGET}
    resources = tuple(
        Resource(
            source=team,
            name=f"team {team}, {most} at once",
            capacity=most,
            within_nodes_out=team not in on_devices,
        )
        for team, most in sorted(catalogue.team_limits.items())
    )
    places = {resource.source: index for index, resource in enumerate(resources)}

    def count(taken: Taken) -> tuple[Use, ...]:
        return tuple(
            Use(resource=places[use.team], start=use.start, end=use.end, units=use.units)
            for use in taken.team_uses
            if use.team in places
        )

    return Capacity(resources=resources, count=count)
