"""Room that all cohorts share, whoever conducts them: teams' limits, counted over the fleet in the transaction."""

from collections import Counter
from collections.abc import Iterable, Sequence

from fermata.domain.ids import TeamId, UpdateId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import Busy, UnitOp
from fermata.domain.scripts import APPLY_PREFIX, as_apply
from fermata.execution.stage import Stage
from fermata.execution.trail import Mark
from fermata.store import unit_ops
from fermata.store.database import Connection


def has_room(stage: Stage, conn: Connection, marks: Sequence[Mark]) -> bool:
    """False when those who would begin to write are more than their teams may have at once, with all who write in
    other workers' cohorts. These are counted again on the way.
    """
    beginning = {_team(stage, mark.after.step) for mark in marks if _begins(mark)}
    limited = [team for team in beginning if team in stage.catalogue.team_limits]
    if not limited:
        return True
    count_elsewhere(stage, conn)
    own = _by_team(stage, stage.busy())
    elsewhere = stage.writing_elsewhere
    return all(own[team] + elsewhere.get(team, 0) <= stage.catalogue.team_limits[team] for team in limited)


def count_elsewhere(stage: Stage, conn: Connection) -> None:
    """Counts who writes in other workers' cohorts."""
    stage.writing_elsewhere = dict(_by_team(stage, unit_ops.busy_elsewhere(conn, stage.run, stage.ownership.held)))


def rouse_waiting(stage: Stage, conn: Connection, marks: Iterable[Mark]) -> None:
    """Other workers' cohorts may wait for the places that are free now."""
    limits = stage.catalogue.team_limits
    if limits and any(_ends(mark) and _team(stage, mark.before.step) in limits for mark in marks):
        stage.ownership.rouse_others(conn)


def _begins(mark: Mark) -> bool:
    return _writes(mark.after) and not _writes(mark.before)


def _ends(mark: Mark) -> bool:
    return _writes(mark.before) and not _writes(mark.after)


def _writes(op: UnitOp) -> bool:
    """A device that is rolled back takes a place like one that is brought forward."""
    return op.state is UnitState.APPLYING or (op.state is UnitState.RECOVERING and op.kind is UnitKind.DEVICE)


def _team(stage: Stage, step: str) -> TeamId:
    return stage.catalogue.updates[UpdateId(as_apply(step).removeprefix(APPLY_PREFIX))].owner_team


def _by_team(stage: Stage, busy: Iterable[Busy]) -> Counter[TeamId]:
    found: Counter[TeamId] = Counter()
    for item in busy:
        found[_team(stage, item.step)] += item.units
    return found
