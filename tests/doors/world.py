"""The small scenario's plan: a window of alpha's nodes, how far its run came, and what stands in the ledger."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from types import MappingProxyType

from tests.server import world as board

from fermata.domain.campaign import Campaign
from fermata.domain.ids import ClusterId, NodeId, PlanId, RunId, UpdateId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import Run, UnitOp, WindowRun
from fermata.domain.plans import DrainStep, Mode, NodeApplyStep, Plan, RebootStep, VerifyStep, Window
from fermata.domain.policy import ConsentEntry, Scope, ScopeLevel
from fermata.domain.run_states import Desired, RunState, WindowState
from fermata.services import consent
from fermata.store import consent as consent_store
from fermata.store import plans, runs, unit_ops
from fermata.store.database import Database

NOW = datetime(2026, 1, 25, 12, tzinfo=UTC)  # every due date is past or within days
START = datetime(2026, 1, 25, 12, 30, tzinfo=UTC)
HOURS = timedelta(hours=4)
ALPHA = ("alpha-n0", "alpha-n1", "alpha-n2")
RUN = RunId("run_doors")
WINDOW = WindowId("w-alpha")
_numbers = count(1)


def campaign() -> Campaign:
    """Its name is all that doors look at."""
    return board.campaign(board.Size())


def window(nodes: tuple[str, ...] = ALPHA, start: datetime = START) -> Window:
    return Window(
        id=WINDOW,
        cluster=ClusterId("alpha"),
        mode=Mode.WHOLE,
        part=1,
        parts=1,
        start=start,
        end=start + HOURS,
        nodes=tuple(NodeId(node) for node in nodes),
        updates=(UpdateId("nic-28.43"),),
        steps=(),
        reboots_per_node=1,
        end_confidence=0.9,
    )


def with_steps() -> Window:
    """The window of those of its nodes that have the update due, with its steps, for those who read them."""
    planned = window(ALPHA[:2])

    def at(share: float) -> datetime:
        return planned.start + share * HOURS

    count = len(planned.nodes)
    steps = (
        DrainStep(start=planned.start, end=at(0.1)),
        NodeApplyStep(update=planned.updates[0], batch=1, batches=1, nodes=count, start=at(0.1), end=at(0.6)),
        RebootStep(nodes=count, activates=planned.updates, start=at(0.6), end=at(0.8)),
        VerifyStep(start=at(0.8), end=at(1.0)),
    )
    return replace(planned, steps=steps)


def publish(db: Database, *windows: Window) -> Plan:
    """Puts a plan of those windows in force."""
    made = replace(board.plan(board.Size()), id=PlanId("plan_doors"), windows=windows or (window(),))
    with db.begin() as conn:
        plans.save_plan(conn, made, NOW)
        plans.publish_plan(conn, made.id, NOW)
    return made


def conduct(
    db: Database, state: WindowState, units: Mapping[str, UnitState] = MappingProxyType({}), *, planned: Window
) -> None:
    """A run whose one window stands at `state`, and its nodes where `units` says."""
    run = Run(
        id=RUN,
        campaign=campaign().id,
        plan=PlanId("plan_doors"),
        state=RunState.RUNNING,
        desired=Desired.RUN,
        started_at=NOW,
        ended_at=None,
        clock_at=NOW,
        baseline_nodes=3,
        baseline_in_service=3,
    )
    with db.begin() as conn:
        runs.create_run(conn, run, [window_run(planned, state)])
        unit_ops.insert_ops(conn, [_op(node, unit) for node, unit in units.items()])


def window_run(planned: Window, state: WindowState) -> WindowRun:
    return WindowRun(
        run=RUN,
        window=planned.id,
        plan=PlanId("plan_doors"),
        cluster=planned.cluster,
        mode=planned.mode,
        part=1,
        parts=1,
        nodes=len(planned.nodes),
        planned_start=planned.start,
        planned_end=planned.end,
        back_by=planned.end,
        hard_stop=planned.end,
        state=state,
        opened_at=NOW if state is WindowState.OPEN else None,
    )


def move(db: Database, node: str, state: UnitState) -> None:
    """Work on the node comes to `state`."""
    with db.begin() as conn:
        (op,) = (op for op in unit_ops.ops_of_window(conn, RUN, WINDOW) if op.unit == node)
        unit_ops.save_ops(conn, [(op.version, replace(op, state=state, version=op.version + 1))])


def withdraw(db: Database, level: ScopeLevel, name: str) -> None:
    """The customer takes its approval back."""
    scope = Scope(level=level, name=name)
    consent.withdraw(db, scope, now=NOW, actor=None, new_id=lambda prefix: f"{prefix}_w{next(_numbers)}")


def approve(db: Database, level: ScopeLevel, name: str) -> None:
    """The customer approves in its usual way."""
    scope = Scope(level=level, name=name)
    consent.approve(db, scope, now=NOW, actor=None, new_id=lambda prefix: f"{prefix}_a{next(_numbers)}")


def ledger(db: Database) -> tuple[ConsentEntry, ...]:
    with db.read() as conn:
        return consent_store.load_ledger(conn)


def said(db: Database) -> list[str]:
    """Every word of the ledger: verdict, level and name."""
    return [f"{entry.verdict} {entry.scope}" for entry in ledger(db)]


def _op(node: str, state: UnitState) -> UnitOp:
    return UnitOp(
        id=0,
        run=RUN,
        window=WINDOW,
        unit=node,
        kind=UnitKind.NODE,
        cluster=ClusterId("alpha"),
        fault_domain="0",
        rank=0,
        in_service_before=True,
        state=state,
    )
