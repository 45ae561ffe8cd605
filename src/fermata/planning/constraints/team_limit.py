"""No update team works on more units at any instant, over all windows, than it can.

Units are the nodes or devices of all steps of one owner team. Protects the teams, and the plan from waiting for them.
"""

from collections.abc import Iterator

from fermata.domain.ids import TeamId
from fermata.domain.plans import DeviceApplyStep, NodeApplyStep
from fermata.planning.case import at, some
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
        for peak in find_peaks(teams[team], limits[team], reading.only):
            sentence = (
                f"Team {team} works on {peak.total:,} units at {at(peak.at)}, it can on {limits[team]:,}: windows"
                f" {some(peak.windows)}."
            )
            yield Violation(rule=CODE, sentence=sentence, window=peak.windows[0])
