"""A run whose one window has opened: work on a node has started."""

from datetime import timedelta

from tests.constraints import world as w

from fermata.domain.ids import CampaignId, ClusterId, PlanId, RunId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import Run, UnitOp, WindowRun
from fermata.domain.plans import Mode
from fermata.domain.run_states import Desired, RunState
from fermata.store.database import Connection
from fermata.store.runs import create_run
from fermata.store.unit_ops import insert_ops

RUN, WINDOW = RunId("run_1"), WindowId("w-alpha")
HOUR = timedelta(hours=1)


def start_work(conn: Connection, node: str) -> None:
    run = Run(
        id=RUN,
        campaign=CampaignId("small"),
        plan=PlanId("plan_1"),
        state=next(iter(RunState)),
        desired=next(iter(Desired)),
        started_at=w.NOW,
        ended_at=None,
        clock_at=w.NOW,
        baseline_nodes=6,
        baseline_in_service=6,
    )
    window = WindowRun(
        run=RUN,
        window=WINDOW,
        plan=run.plan,
        cluster=ClusterId("alpha"),
        mode=Mode.WHOLE,
        part=1,
        parts=1,
        nodes=6,
        planned_start=w.NOW,
        planned_end=w.NOW + HOUR,
        back_by=w.NOW + HOUR,
        hard_stop=w.NOW + HOUR,
    )
    create_run(conn, run, [window])
    op = UnitOp(
        id=0,
        run=RUN,
        window=WINDOW,
        unit=node,
        kind=UnitKind.NODE,
        cluster=window.cluster,
        fault_domain="0",
        rank=0,
        in_service_before=True,
        state=UnitState.DRAINING,
    )
    insert_ops(conn, [op])
