"""What would help a window whose promise is at risk: each remedy is played, and says how likely the promise then is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fermata.domain.forecasts import LEVELS, Help, Remedy
from fermata.domain.ids import TeamId
from fermata.domain.node_states import UnitState
from fermata.domain.operations import UnitOp, WindowRun
from fermata.domain.plans import DeviceApplyStep, NodeApplyStep, RebootStep
from fermata.domain.scripts import APPLY_PREFIX, RESET_PREFIX, WindowScript
from fermata.domain.updates import Criticality, IsolationBy, Update
from fermata.planning.forecast.outlook import Learned, Outlook, chance, look_out
from fermata.planning.forecast.rest import Relief
from fermata.planning.forecast.standing import MINUTE, Layout
from fermata.planning.rehearsal import count_needed

GAIN_LEAST = 0.02  # less than that is within what a simulation of two hundred runs can tell
CUT_SHARE = 0.02  # of the baseline that is handed over to repair: as many as fall out anyway
_AT_IT = frozenset({UnitState.APPLYING, UnitState.RESETTING, UnitState.FAILED})
DROPS_MOST = 3  # updates that are tried: the longest first


@dataclass(frozen=True, kw_only=True)
class Sick:
    """A window at risk, and what its forecast was made from."""

    row: WindowRun
    layout: Layout
    ops: Sequence[UnitOp]
    learned: Learned
    outlook: Outlook
    threshold: float

    def kept_with(self, relief: Relief) -> float:
        """How likely the promise is kept then. The same dice as the forecast's, so that what differs is the relief."""
        now = self.outlook.at
        return look_out(self.row, self.layout, self.ops, self.learned, now, relief).kept(
            self.threshold, self.row.back_by
        )


def find_helps(sick: Sick) -> tuple[Help, ...]:
    """What would make the promise likelier, best first."""
    kept = sick.outlook.kept(sick.threshold, sick.row.back_by)
    found = [*_drop_steps(sick), *_add_teams(sick), *_return_early(sick), *_cut_tail(sick)]
    helping = [one for one in found if one.kept >= kept + GAIN_LEAST]
    return tuple(sorted(helping, key=lambda one: (-one.kept, one.remedy)))


def _drop_steps(sick: Sick) -> Iterator[Help]:
    script = sick.layout.script
    reboot = sick.learned.catalogue.defaults.reboot_minutes.p50
    tried = []
    for update in droppable(script, sick.ops):
        steps = steps_of(script, update)
        reboots = any(isinstance(script.steps[index], RebootStep) for index in steps)
        tried.append((-(update.duration_minutes.p50 + reboots * reboot), update.id, steps))
    for _, name, steps in sorted(tried)[:DROPS_MOST]:
        kept = sick.kept_with(Relief(dropped=steps))
        yield Help(
            remedy=Remedy.DROP_STEP,
            kept=kept,
            sentence=f"leave {name} for another window: nobody has begun it and nothing builds on it",
        )


def droppable(script: WindowScript, ops: Sequence[UnitOp]) -> tuple[Update, ...]:
    """Updates that may wait: regular ones that no unit has begun and on which no other update of the window builds."""
    begun = 0
    under_way = {op.step.removeprefix(RESET_PREFIX) for op in ops if op.state in _AT_IT}
    for op in ops:
        begun |= op.applied | op.active
    return tuple(
        update
        for update in script.updates
        if update.criticality is Criticality.REGULAR
        and not script.bits[update.id] & begun
        and APPLY_PREFIX + update.id not in under_way
        and not any(_builds_on(other, update) for other in script.updates)
    )


def _builds_on(other: Update, update: Update) -> bool:
    return update.id in other.after or any(need.component == update.component for need in other.requires)


def steps_of(script: WindowScript, update: Update) -> frozenset[int]:
    """The steps that are not done without the update: its own, and reboots that activate nothing else."""
    found = []
    for index, step in enumerate(script.steps):
        writes = isinstance(step, NodeApplyStep | DeviceApplyStep) and step.update == update.id
        if writes or (isinstance(step, RebootStep) and set(step.activates) == {update.id}):
            found.append(index)
    return frozenset(found)


def _add_teams(sick: Sick) -> Iterator[Help]:
    """Only where a team's limit holds nodes up: more of a team that has room helps nobody."""
    limits = sick.learned.catalogue.team_limits
    waiting: dict[TeamId, int] = {}
    for index, step in enumerate(sick.layout.script.steps):
        if isinstance(step, NodeApplyStep):
            update = sick.layout.script.by_id[step.update]
            if update.isolation.by is IsolationBy.NONE:
                units = int(sick.outlook.standing.todo[index].sum())
                waiting[update.owner_team] = max(waiting.get(update.owner_team, 0), units)
    for team, units in sorted(waiting.items()):
        limit = limits.get(team, units)
        if units > limit:
            kept = sick.kept_with(Relief(team=team, room=limit))
            sentence = f"give team {team} as many hands again: {limit} units at once hold up {units}"
            yield Help(remedy=Remedy.ADD_TEAM, kept=kept, sentence=sentence)


def _return_early(sick: Sick) -> Iterator[Help]:
    least = min(LEVELS)
    if sick.threshold > least:
        kept = sick.outlook.kept(least, sick.row.back_by)
        nodes = sick.outlook.needed(least)
        sentence = f"agree to ramp up at {least:.0%}, {nodes:,} nodes, and close with the others on the tail list"
        yield Help(remedy=Remedy.RETURN_EARLY, kept=kept, sentence=sentence)


def _cut_tail(sick: Sick) -> Iterator[Help]:
    """The nodes that are back last, on average, go to repair: the promise is then about the others."""
    outlook = sick.outlook
    many = max(1, int(outlook.baseline * CUT_SHARE))
    if outlook.baseline - many < 1:
        return
    slowest = last_columns(outlook, many)
    rest = np.delete(outlook.back, slowest, axis=1)
    nodes = count_needed(rest.shape[1], sick.threshold)
    minutes = np.sort(np.partition(rest, nodes - 1, axis=1)[:, nodes - 1])
    names = list(outlook.layout.column)
    named = ", ".join(names[outlook.columns[place]] for place in slowest[:3])
    yield Help(
        remedy=Remedy.CUT_TAIL,
        kept=chance(minutes, (sick.row.back_by - outlook.at) / MINUTE),
        sentence=f"hand the slowest {many:,} over to repair now ({named})",
    )


def last_columns(outlook: Outlook, many: int) -> list[int]:
    """The places, among the baseline's nodes, of those that are back last in the middle of all runs, last first."""
    by_node = np.ascontiguousarray(outlook.back.T)  # in one piece for each node: half of the time
    order = np.argsort(-np.median(by_node, axis=1, overwrite_input=True), kind="stable")
    return [int(place) for place in order[:many]]
