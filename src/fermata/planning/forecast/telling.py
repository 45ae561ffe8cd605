"""The forecast of a window as people read it: times, a word against the plan, why, and what would help."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from fermata.domain.forecasts import Forecast, Help, is_alarming
from fermata.domain.ids import NodeId
from fermata.domain.operations import UnitOp, WindowRun
from fermata.domain.pace import bare_end
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.scripts import name_step
from fermata.planning.forecast.learning import claims_of
from fermata.planning.forecast.outlook import Learned, Outlook, look_out
from fermata.planning.forecast.remedies import Sick, find_helps, last_columns
from fermata.planning.forecast.standing import MINUTE, Layout, kinds_of_steps

SLOWER_LEAST = 1.10  # times the claim, from which a step is said to cost time
UNSEEN_MOST = 0.05  # of the units that still work: with more of them unseen, nothing is said at all
LAST_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What else a forecast depends on. `unseen`: units of whose state there is no fresh word. `helps`: what would help,
    as it was tried not long ago; None: it is tried now, if the promise is at risk.
    """

    threshold: float
    was_alarming: bool
    is_paused: bool
    unseen: frozenset[str] = frozenset()
    helps: tuple[Help, ...] | None = None


def forecast_window(
    row: WindowRun, layout: Layout, ops: Sequence[UnitOp], learned: Learned, asked: Asked, now: datetime
) -> Forecast:
    """What is to be expected of an open window, or why nothing is."""
    why_not = _why_none(row, ops, asked)
    if why_not is not None:
        return _nothing(row, asked, why_not, now)
    seen = [op for op in ops if op.unit not in asked.unseen]
    outlook = look_out(row, layout, _as_known(ops, asked, now), learned, now)
    learned.played[row.window] = outlook
    if not outlook.baseline:
        return _nothing(row, asked, reason(Code.FORECAST_NO_BASELINE, window=row.window), now)
    enough = outlook.back_at(asked.threshold)
    kept = outlook.kept(asked.threshold, row.back_by)
    alarming = is_alarming(kept, asked.was_alarming)
    helps: tuple[Help, ...] = ()
    if alarming:
        sick = Sick(row=row, layout=layout, ops=ops, learned=learned, outlook=outlook, threshold=asked.threshold)
        helps = find_helps(sick) if asked.helps is None else asked.helps
    return Forecast(
        run=row.run,
        window=row.window,
        at=now,
        promised=row.back_by,
        planned_end=row.planned_end,
        back=outlook.back_all(),
        enough=enough,
        kept=kept,
        kept_end=outlook.kept(asked.threshold, row.planned_end),
        late_minutes=_late(layout, learned, enough.median),
        why=_why(outlook, learned, row, {op.unit: op for op in seen}),
        helps=helps,
        is_alarming=alarming,
    )


def _why_none(row: WindowRun, ops: Sequence[UnitOp], asked: Asked) -> Reason | None:
    if asked.is_paused:
        return reason(Code.FORECAST_PAUSED, window=row.window)
    working = [op.unit for op in ops if op.finished_at is None]
    unseen = [unit for unit in working if unit in asked.unseen]
    if len(unseen) > UNSEEN_MOST * len(working):
        return reason(Code.FORECAST_UNSEEN, window=row.window, units=len(unseen), example=min(unseen))
    return None


def _as_known(ops: Sequence[UnitOp], asked: Asked, now: datetime) -> list[UnitOp]:
    """A unit of which there is no fresh word is taken to begin its step only now."""
    return [replace(op, step_started_at=now) if op.unit in asked.unseen else op for op in ops]


def _nothing(row: WindowRun, asked: Asked, why: Reason, now: datetime) -> Forecast:
    return Forecast(
        run=row.run,
        window=row.window,
        at=now,
        promised=row.back_by,
        planned_end=row.planned_end,
        is_alarming=asked.was_alarming,
        none=why,
    )


def _late(layout: Layout, learned: Learned, median: datetime) -> int:
    """Minutes against the plan: late after its end, early before its steps end without the spare time."""
    script = layout.script
    verify = learned.catalogue.defaults.verify_minutes.p50 * MINUTE
    if median > script.window.end:
        return math.ceil((median - script.window.end) / MINUTE)
    return min(0, math.ceil((median - bare_end(script, verify)) / MINUTE))


def _why(outlook: Outlook, learned: Learned, row: WindowRun, ops: dict[str, UnitOp]) -> str:
    """The step that costs, and the nodes that are last."""
    parts = [part for part in (_costly_step(outlook, learned, row), _last_nodes(outlook, ops)) if part]
    return "; ".join(parts)


def _costly_step(outlook: Outlook, learned: Learned, row: WindowRun) -> str:
    """Of the kinds of steps still to do, the one that takes most minutes more than the catalogue claims."""
    claims = claims_of(learned.catalogue)
    belief = learned.lessons.belief(row.cluster)
    kinds = kinds_of_steps(outlook.layout.script)
    to_do = {kinds[index] for index in np.flatnonzero(outlook.standing.todo.any(axis=1))}
    found = [(float(np.exp(belief.mean[belief.kinds.index(kind)])), claims[kind].p50, kind) for kind in sorted(to_do)]
    slower = [
        (takes - claimed, takes, claimed, kind) for takes, claimed, kind in found if takes > SLOWER_LEAST * claimed
    ]
    if not slower:
        return ""
    _, takes, claimed, kind = max(slower)
    return f"{kind} takes {takes:.0f} min here, claimed {claimed:.0f}"


def _last_nodes(outlook: Outlook, ops: dict[str, UnitOp]) -> str:
    names: list[NodeId] = list(outlook.layout.column)
    last = [names[outlook.columns[place]] for place in last_columns(outlook, LAST_NAMED)]
    still = [name for name in last if name in ops and ops[name].finished_at is None]
    if not still:
        return ""
    told = ", ".join(f"{name} (at {name_step(ops[name].step)})" if ops[name].step else name for name in still)
    return f"last: {told}"
