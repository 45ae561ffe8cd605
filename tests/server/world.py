"""A store with a campaign half-way through: five days of windows, some of them open, one waiting, a tail."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from fermata.domain.campaign import Campaign, DailyWindow, Fallout, Limit, LimitKind, Rolling, Where
from fermata.domain.capacity_ledger import CLOSINGS, Entry, EntryKind
from fermata.domain.ids import CampaignId, ClusterId, DeviceId, NodeId, PlanId, RunId, UpdateId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import Run, Sample, UnitOp, WindowRun
from fermata.domain.plans import (
    ConsentBasis,
    DeviceApplyStep,
    DrainStep,
    InputHashes,
    Mode,
    NodeApplyStep,
    Plan,
    RebootStep,
    SolverNote,
    Step,
    VerifyStep,
    Window,
)
from fermata.domain.reasons import Code, Reason
from fermata.domain.run_states import Desired, RunState, WindowState
from fermata.store import capacity, inventory, plans, runs, unit_ops
from fermata.store.database import Database

ZONE = "America/Los_Angeles"
FIRST = date(2026, 1, 3)
OPENING = datetime(2026, 1, 3, 19, tzinfo=UTC)  # 11:00 in Los Angeles
NOW = datetime(2026, 1, 7, 22, 40, tzinfo=UTC)  # 14:40 of day 5
RUN = RunId("run_board")
PLAN = PlanId("plan_board")
SITES = ("northcentralus", "swedencentral", "southcentralus", "westus3", "australiaeast", "norwayeast", "uksouth")
SKUS = ("h100", "h200", "gb200")
UPDATES = tuple(UpdateId(name) for name in ("ib-switch-fw-31.2016", "host-os-2026.1", "nic-fw-28.43"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of everything."""

    days: int = 6
    windows_per_day: int = 4
    nodes: int = 20
    tail: int = 15
    sample_minutes: int = 30


def campaign(size: Size) -> Campaign:
    return Campaign(
        id=CampaignId("january-repave"),
        title="January repave",
        planned_as_of=None,
        scope=Where(),
        updates=None,
        timezone=ZONE,
        first_day=FIRST,
        deadline=FIRST + timedelta(days=size.days - 1),
        extension_until=FIRST + timedelta(days=size.days + 20),
        daily_window=DailyWindow(start=time(11), back_in_service_by=time(19), hard_stop=time(20)),
        weekends_staffed=True,
        avoid_weekdays=(4,),
        big_cluster_nodes=400,
        rolling=Rolling(min_fraction_per_day=0.05, max_fraction_per_day=0.1),
        limits=(Limit(what=LimitKind.NODES_OUT, at_once=size.windows_per_day * size.nodes),),
        preferences=(),
        fallout=Fallout(fraction=0.015, mean_days_to_repair=2.0),
        return_threshold=0.95,
    )


def plan(size: Size) -> Plan:
    return Plan(
        id=PLAN,
        parent=None,
        campaign=CampaignId("january-repave"),
        created_at=OPENING - timedelta(hours=20),
        inputs=InputHashes(fleet="f", updates="u", policy="p", campaign="c"),
        consent=ConsentBasis.RECORDED,
        windows=tuple(_windows(size)),
        unplanned=(),
        objective=(),
        solver=SolverNote(status="optimal", seconds=1.0, seed=1),
    )


def _windows(size: Size) -> Iterator[Window]:
    for day in range(size.days):
        for slot in range(size.windows_per_day):
            number = day * size.windows_per_day + slot
            yield _window(day, slot, number, size)


def _window(day: int, slot: int, number: int, size: Size) -> Window:
    cluster = f"{SKUS[number % 3]}-{SITES[number % len(SITES)]}-{number // 21 + 1:02d}"
    start = OPENING + timedelta(days=day, minutes=[0, 0, 40, 90][slot % 4])
    minutes = [255, 300, 340, 210][number % 4]
    rolling = number % 5 == 0
    return Window(
        id=WindowId(f"w{number:03d}"),
        cluster=ClusterId(cluster),
        mode=Mode.ROLLING if rolling else Mode.WHOLE,
        part=day + 1 if rolling else 1,
        parts=size.days if rolling else 1,
        start=start,
        end=start + timedelta(minutes=minutes),
        nodes=tuple(NodeId(f"{cluster}-n{n:04d}") for n in range(size.nodes)),
        updates=UPDATES,
        steps=_steps(start, minutes, cluster, size.nodes),
        reboots_per_node=1,
        end_confidence=0.93,
    )


def _steps(start: datetime, minutes: int, cluster: str, nodes: int) -> tuple[Step, ...]:
    def at(share: float) -> datetime:
        return start + timedelta(minutes=round(minutes * share))

    half = nodes // 2
    return (
        DrainStep(start=start, end=at(0.1)),
        DeviceApplyStep(
            update=UPDATES[0], devices=(DeviceId(f"{cluster}-leaf0"),), batch=1, batches=1, start=at(0.1), end=at(0.25)
        ),
        NodeApplyStep(update=UPDATES[1], batch=1, batches=1, nodes=nodes, start=at(0.25), end=at(0.45)),
        NodeApplyStep(update=UPDATES[2], batch=1, batches=2, nodes=half, start=at(0.45), end=at(0.6)),
        NodeApplyStep(update=UPDATES[2], batch=2, batches=2, nodes=nodes - half, start=at(0.6), end=at(0.75)),
        RebootStep(nodes=nodes, activates=UPDATES[1:], start=at(0.75), end=at(0.85)),
        VerifyStep(start=at(0.85), end=at(1.0)),
    )


def save_campaign(db: Database, size: Size, *, title: str = "January repave") -> None:
    with db.begin() as conn:
        inventory.save_campaign(conn, replace(campaign(size), title=title))


def save_plan(db: Database, size: Size, *, publish: bool = True) -> Plan:
    made = plan(size)
    with db.begin() as conn:
        plans.save_plan(conn, made, OPENING)
        if publish:
            plans.publish_plan(conn, made.id, OPENING)
    return made


def save_run(db: Database, size: Size, made: Plan, *, now: datetime = NOW) -> Run:
    """A run as it would stand at `now`: closed, open and waiting windows, a tail, samples."""
    nodes = sum(len(window.nodes) for window in made.windows)
    dice = random.Random(7)
    run = Run(
        id=RUN,
        campaign=made.campaign,
        plan=made.id,
        state=RunState.RUNNING,
        desired=Desired.RUN,
        started_at=OPENING,
        ended_at=None,
        clock_at=now,
        baseline_nodes=nodes,
        baseline_in_service=nodes,
    )
    states = [_window_run(window, now, index, dice) for index, window in enumerate(made.windows)]
    tail_left = size.tail
    ops: list[UnitOp] = []
    for window, state in zip(made.windows, states, strict=True):
        ops += _ops(window, state, now, in_tail=min(2, tail_left) if state.state is WindowState.CLOSED else 0)
        tail_left = size.tail - sum(op.tail_since is not None for op in ops)
    with db.begin() as conn:
        runs.create_run(conn, run, states)
        unit_ops.insert_ops(conn, ops)
        capacity.add_entries(conn, [entry for op in ops for entry in _entries(op)])
        for sample in _samples(states, now, nodes, timedelta(minutes=size.sample_minutes)):
            runs.add_sample(conn, RUN, sample)
    return run


def _window_run(window: Window, now: datetime, index: int, dice: random.Random) -> WindowRun:
    day_end = window.start.replace(hour=3, minute=0) + timedelta(days=1)
    planned = WindowRun(
        run=RUN,
        window=window.id,
        plan=PLAN,
        cluster=window.cluster,
        mode=window.mode,
        part=window.part,
        parts=window.parts,
        nodes=len(window.nodes),
        planned_start=window.start,
        planned_end=window.end,
        back_by=day_end,
        hard_stop=day_end + timedelta(hours=1),
    )
    if window.start > now:
        return planned
    opened = {"opened_at": window.start, "taken": len(window.nodes), "in_service_at_open": len(window.nodes)}
    if now.date() == window.start.date() and index % 4 == 1:
        why = Reason(
            code=Code.FROZEN, sentence="lumen-launch forbids work on it until 15:00 (model launch): it opens then."
        )
        return replace(planned, state=WindowState.WAITING, reason=why, recheck_at=now)
    if window.end < now:
        behind = dice.choice([-25, -12, -6, 0, 3, 28])
        closed = window.end + timedelta(minutes=behind)
        return replace(planned, state=WindowState.CLOSED, closed_at=closed, behind_minutes=behind, **opened)
    behind = [-14, 3, 33, -2, 8][index % 5]
    return replace(planned, state=WindowState.OPEN, recheck_at=now, behind_minutes=behind, **opened)


def opened(waiting: WindowRun, at: datetime) -> WindowRun:
    """A waiting window that opens at `at`."""
    return replace(waiting, state=WindowState.OPEN, opened_at=at, taken=waiting.nodes, reason=None)


def _ops(window: Window, state: WindowRun, now: datetime, *, in_tail: int) -> Iterator[UnitOp]:
    if state.state not in {WindowState.OPEN, WindowState.CLOSED}:
        return
    position = max((i for i, step in enumerate(window.steps) if step.start <= now), default=0)
    lag = int(window.id[1:]) % 3
    for rank, node in enumerate(window.nodes):
        at = max(0, position - (1 if rank % 4 < lag else 0))
        op = UnitOp(
            id=0,
            run=RUN,
            window=window.id,
            unit=node,
            kind=UnitKind.NODE,
            cluster=window.cluster,
            fault_domain=str(rank % 4),
            rank=rank,
            in_service_before=True,
            state=_state_at(window.steps[at]),
            position=at,
            step=window.steps[at].step,
            locked_at=state.opened_at,
            next_at=now,
            slip_minutes=lag * 9 - 6,
        )
        if state.state is WindowState.CLOSED:
            op = replace(op, next_at=None)
            op = (
                _stopped(op, state)
                if rank < in_tail
                else replace(op, state=UnitState.RETURNED, finished_at=state.closed_at)
            )
        yield op


def _entries(op: UnitOp) -> Iterator[Entry]:
    """What the ledger says of a node in that state."""
    told = [(EntryKind.TAKEN, op.locked_at), (CLOSINGS.get(op.state), op.finished_at)]
    for kind, at in told:
        if kind is not None and at is not None:
            yield Entry(run=RUN, window=op.window, node=NodeId(op.unit), kind=kind, in_service_before=True, at=at)


def _stopped(op: UnitOp, state: WindowRun) -> UnitOp:
    assert state.closed_at is not None
    since = state.closed_at - timedelta(minutes=20 + op.rank)
    codes = (Code.VERSION_UNKNOWN, Code.REQUIREMENT_UNMET)
    why = Reason(
        code=codes[op.rank % 2],
        sentence=f"{op.unit} reports nic-fw 28.39 after three tries to write 28.43: reseat the card or swap the node.",
    )
    return replace(op, state=UnitState.FAILED, reason=why, tail_since=since, failed_at=since)


def _state_at(step: Step) -> UnitState:
    match step:
        case DrainStep():
            return UnitState.DRAINING
        case VerifyStep():
            return UnitState.VERIFYING
        case RebootStep():
            return UnitState.REBOOTING
        case DeviceApplyStep():
            return UnitState.DRAINED
        case NodeApplyStep():
            return UnitState.APPLYING


def _samples(states: list[WindowRun], now: datetime, nodes: int, every: timedelta) -> Iterator[Sample]:
    at, tail = OPENING, 0
    while at <= now:
        out = sum(s.taken for s in states if s.opened_at and s.opened_at <= at < (s.closed_at or now))
        tail = sum(1 for s in states if s.closed_at and s.closed_at <= at) // 2
        yield Sample(
            at=at, nodes_out=out + tail, in_service=nodes - out - tail, in_tail=tail, windows_open=0, limits=(out,)
        )
        at += every
