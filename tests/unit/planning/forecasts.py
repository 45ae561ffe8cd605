"""Windows for the tests of forecasts: nodes and devices in any state, and what is known of their steps."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from tests.simulation import small

from fermata.domain.ids import ClusterId, PlanId, RunId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import UnitOp, WindowRun
from fermata.domain.pending import find_pending
from fermata.domain.plans import Mode
from fermata.domain.scripts import WindowScript, read_script
from fermata.planning.forecast.evidence import Evidence
from fermata.planning.forecast.learning import Lessons, Under
from fermata.planning.forecast.odds import find_odds
from fermata.planning.forecast.outlook import Learned
from fermata.planning.forecast.standing import Layout, lay_out, under_way

START = small.START
CLUSTER = ClusterId("c0")
WINDOW = WindowId("win-c0")
CATALOGUE = small.catalogue()
CAMPAIGN = small.campaign()


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def window(nodes: int = 40) -> Layout:
    """One window of one cluster."""
    fleet = small.fleet(1, nodes, out_of_service=0)
    plan = small.plan(fleet, CATALOGUE, CAMPAIGN)
    script = read_script(plan.windows[0], fleet, find_pending(fleet, CATALOGUE), CATALOGUE)
    return lay_out(script, fleet.nodes)


def row(layout: Layout) -> WindowRun:
    planned = layout.script.window
    return WindowRun(
        run=RunId("run_1"),
        window=WINDOW,
        plan=PlanId("plan_1"),
        cluster=CLUSTER,
        mode=Mode.WHOLE,
        part=1,
        parts=1,
        nodes=layout.nodes,
        planned_start=planned.start,
        planned_end=planned.end,
        back_by=planned.end + timedelta(minutes=30),
        hard_stop=planned.end + timedelta(hours=2),
        opened_at=planned.start,
        taken=layout.nodes,
        in_service_at_open=layout.nodes,
    )


def pending(layout: Layout) -> list[UnitOp]:
    """Every unit as when the window opens."""
    script = layout.script
    nodes = [_op(n, name, UnitKind.NODE, script.first_step(own)) for n, (name, own) in enumerate(script.nodes.items())]
    devices = [_op(1000 + n, name, UnitKind.DEVICE, d.step) for n, (name, d) in enumerate(script.devices.items())]
    return [*nodes, *devices]


def _op(id_: int, unit: str, kind: UnitKind, position: int) -> UnitOp:
    return UnitOp(
        id=id_,
        run=RunId("run_1"),
        window=WINDOW,
        unit=unit,
        kind=kind,
        cluster=CLUSTER,
        fault_domain="0",
        rank=id_,
        in_service_before=True,
        position=position,
    )


def done(op: UnitOp, finished_at: datetime) -> UnitOp:
    """A unit that is through."""
    state = UnitState.RETURNED if op.kind is UnitKind.NODE else UnitState.PROVEN
    return replace(op, state=state, finished_at=finished_at)


def verifying(script: WindowScript, op: UnitOp, since: datetime) -> UnitOp:
    """A node of which only the proof is missing; devices are proven."""
    if op.kind is UnitKind.DEVICE:
        return done(op, since)
    everything = sum(script.bits.values())
    last = len(script.steps) - 1
    return replace(
        op,
        state=UnitState.VERIFYING,
        step="verify",
        position=last,
        applied=everything,
        active=everything,
        step_started_at=since,
    )


def learn(
    evidence: Evidence | None = None,
    ops: Iterable[UnitOp] = (),
    *,
    now: datetime = START,
    under: Iterable[Under] | None = None,
    skus: dict[ClusterId, str] | None = None,
) -> Learned:
    """What is known at `now`."""
    seen = evidence or Evidence()
    odds = find_odds(seen, CATALOGUE, CAMPAIGN.fallout, now)
    lessons = Lessons(
        seen,
        under_way(ops, now) if under is None else under,
        catalogue=CATALOGUE,
        skus=skus or {CLUSTER: "H100", ClusterId("c1"): "H100"},
        hang_share={kind: share.mean for kind, share in odds.hang.items()},
    )
    return Learned(lessons=lessons, odds=odds, catalogue=CATALOGUE)


def observed(kind: str, minutes: Iterable[int], cluster: ClusterId = CLUSTER) -> Evidence:
    """Steps of one kind that ended."""
    evidence = Evidence()
    evidence.minutes[kind][cluster] = Counter(minutes)
    return evidence
