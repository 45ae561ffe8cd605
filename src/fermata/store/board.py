"""What the board reads of a run every second: counts made by the database, and samples that are new since last time."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from fermata.domain.ids import PlanId, RunId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import Sample
from fermata.store.plans import plan
from fermata.store.runs import run_sample, window_run
from fermata.store.unit_ops import unit_op

SAMPLES_MAX = 20_000  # of one read: more wait for the next second


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCount:
    """How many units of one window stand at one plan step (`position`) in one state."""

    window: WindowId
    kind: UnitKind
    state: UnitState
    position: int
    units: int


def unit_counts(conn: Connection, run: RunId, windows: Sequence[WindowId]) -> tuple[UnitCount, ...]:
    """Counts of the units of those windows, which are the few that are open: reads their rows alone."""
    if not windows:
        return ()
    columns = (unit_op.c.window, unit_op.c.kind, unit_op.c.state, unit_op.c.position)
    of_windows = (unit_op.c.run == run, unit_op.c.window.in_(list(windows)))
    query = select(*columns, func.count()).where(*of_windows).group_by(*columns).order_by(*columns)
    return tuple(
        UnitCount(
            window=WindowId(row[0]), kind=UnitKind(row[1]), state=UnitState(row[2]), position=row[3], units=row[4]
        )
        for row in conn.execute(query)
    )


def plans_followed(conn: Connection, run: RunId) -> tuple[PlanId, ...]:
    """Every plan that a window of the run belongs to, the oldest first."""
    query = select(window_run.c.plan).where(window_run.c.run == run).distinct()
    of_run = select(plan.c.id).where(plan.c.id.in_(query)).order_by(plan.c.saved_at, plan.c.id)
    return tuple(PlanId(name) for name in conn.execute(of_run).scalars())


def samples_after(conn: Connection, run: RunId, seq: int) -> tuple[int, tuple[Sample, ...]]:
    """Samples of a run after `seq`, oldest first, at most SAMPLES_MAX; and the seq to go on from."""
    query = select(run_sample).where(run_sample.c.run == run, run_sample.c.seq > seq)
    rows = conn.execute(query.order_by(run_sample.c.seq).limit(SAMPLES_MAX)).all()
    samples = tuple(
        Sample(
            at=row.at,
            nodes_out=row.nodes_out,
            in_service=row.in_service,
            in_tail=row.in_tail,
            windows_open=row.windows_open,
            limits=tuple(row.limits),
        )
        for row in rows
    )
    return (rows[-1].seq if rows else seq), samples
