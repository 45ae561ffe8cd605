"""The small scenario with a plan half-way through: one window open, one to come, one that was missed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.formats.conftest import Small

from fermata.domain.ids import ClusterId, NodeId, PlanId, RunId, UpdateId, WindowId
from fermata.domain.operations import WindowRun
from fermata.domain.plans import Mode, Window
from fermata.domain.run_states import WindowState
from fermata.formats.scenario import read_scenario
from fermata.query.facts import Facts, PlannedWindow, UnitWork
from fermata.services.query import facts_of_files
from fermata.services.requests import Inputs

NOW = datetime(2026, 1, 7, 12, tzinfo=UTC)
START = datetime(2026, 1, 7, 9, 5, tzinfo=UTC)
HOURS = timedelta(hours=4)
RUN = RunId("run_1")


def facts(folder: Path) -> Facts:
    """Of lumen's alpha (three nodes) and meridian's beta (two)."""
    read = read_scenario(Small(folder).folder)
    inputs = Inputs(fleet=read.fleet, catalogue=read.catalogue, policy=read.policy, ledger=())
    windows = (
        planned("w-open", "alpha", ("alpha-n0", "alpha-n1", "alpha-n2"), START, WindowState.OPEN),
        planned("w-next", "beta", ("beta-n0",), START + 24 * HOURS, None),
        planned("w-missed", "beta", ("beta-n1",), START - 24 * HOURS, WindowState.MISSED),
    )
    work = (unit("alpha-n0", "returned"), unit("alpha-n1", "applying"))
    return replace(facts_of_files(inputs), windows=windows, work=work)


def planned(
    name: str, cluster: str, nodes: tuple[str, ...], start: datetime, state: WindowState | None
) -> PlannedWindow:
    """A window, and how far its run came if it has one."""
    window = Window(
        id=WindowId(name),
        cluster=ClusterId(cluster),
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
    run = None if state is None else window_run(window, state)
    return PlannedWindow(plan="plan_1", window=window, run=run)


def window_run(window: Window, state: WindowState) -> WindowRun:
    return WindowRun(
        run=RUN,
        window=window.id,
        plan=PlanId("plan_1"),
        cluster=window.cluster,
        mode=window.mode,
        part=1,
        parts=1,
        nodes=len(window.nodes),
        planned_start=window.start,
        planned_end=window.end,
        back_by=window.end,
        hard_stop=window.end,
        state=state,
    )


def unit(name: str, state: str, *, in_tail: bool = False) -> UnitWork:
    return UnitWork(
        run=RUN,
        window="w-open",
        unit=name,
        kind="node",
        cluster="alpha",
        state=state,
        step="node_apply",
        attempt=1,
        reason_code=None,
        reason=None,
        in_tail=in_tail,
        started_at=START,
        finished_at=None,
    )
