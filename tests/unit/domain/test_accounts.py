"""Where nodes stand: one outcome for each, and a reason wherever something is owed."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest

from fermata.domain.accounts import Books, account_for_nodes, account_for_versions, outages_of
from fermata.domain.campaign import Campaign, DailyWindow, Fallout, Limit, LimitKind, Rolling, Where
from fermata.domain.capacity import measure_capacity
from fermata.domain.fleet import Cluster, Device, DeviceScope, Fleet, Node, NodeState, Role
from fermata.domain.ids import (
    CampaignId,
    ClusterId,
    CustomerId,
    DeviceId,
    NodeId,
    PlanId,
    RackId,
    RunId,
    SupercomputerId,
    TeamId,
    UpdateId,
    WindowId,
)
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import LeftOut, UnitOp, WindowRun
from fermata.domain.pending import find_pending
from fermata.domain.plans import ConsentBasis, InputHashes, Mode, Plan, SolverNote, Unplanned, Window
from fermata.domain.reasons import Code, Reason
from fermata.domain.report import NodeLine, Outcome
from fermata.domain.run_states import WindowState
from fermata.domain.updates import (
    AppliesTo,
    Catalogue,
    Criticality,
    Duration,
    Impact,
    Stage,
    StepDefaults,
    Update,
)
from fermata.domain.usage import OpenWindow, measure_limits
from fermata.domain.windows import Interval

START = datetime(2026, 1, 3, 19, tzinfo=UTC)
NOW = START + timedelta(hours=10)
CLUSTER, PLAN, WINDOW, RUN = ClusterId("c1"), PlanId("plan_1"), WindowId("w1"), RunId("run_1")
NAMES = [NodeId(f"n{number}") for number in range(4)]
STUCK = Reason(code=Code.NO_ROOM, sentence="stuck")


def update(name: str, target: str, component: str) -> Update:
    return Update(
        id=UpdateId(name), title=name, owner_team=TeamId("t"), target=target, component=component, to_version="2",
        applies_to=AppliesTo(), impact=Impact.REBOOTFUL if target == "node" else Impact.IMPACTFUL, impact_seconds=None,
        criticality=Criticality.REGULAR, stage=Stage.PRODUCTION_READY, released_at=START, not_before=None,
        duration_minutes=Duration(p50=10, p90=20),
    )  # fmt: skip


def make_fleet() -> Fleet:
    cluster = Cluster(
        name=CLUSTER, supercomputer=SupercomputerId("sc"), customer=CustomerId("cu"), region="r", geo="US",
        timezone="UTC", datacenter="d", sku="H100", division="applied", rolling_allowed=True,
        single_placement_group=False,
    )  # fmt: skip
    nodes = [
        Node(
            name=name,
            cluster=CLUSTER,
            rack=RackId("r1"),
            fault_domain="0",
            scalable_unit="s",
            role=Role.PROD,
            workload="api",
            state=NodeState.IN_SERVICE,
            versions={"nic": "1", "os": "2" if name == "n3" else "1"},
        )
        for name in NAMES
    ]
    tor = Device(
        name=DeviceId("t1"), kind="tor", cluster=CLUSTER, scope=DeviceScope.RACK, scope_id="r1", component="tor_os",
        version="1",
    )  # fmt: skip
    return Fleet(clusters={CLUSTER: cluster}, nodes={n.name: n for n in nodes}, devices={tor.name: tor})


def make_books(*ops: UnitOp, window: WindowRun | None = None, plans: tuple[Plan, ...] | None = None) -> Books:
    fixed = Duration(p50=1, p90=1)
    updates = [update("nic-2", "node", "nic"), update("os-2", "node", "os"), update("tor-2", "tor", "tor_os")]
    catalogue = Catalogue(
        defaults=StepDefaults(drain_minutes=fixed, reboot_minutes=fixed, verify_minutes=fixed),
        team_limits={TeamId("t"): 10},
        updates={u.id: u for u in updates},
    )
    campaign = Campaign(
        id=CampaignId("camp"), title="Camp", planned_as_of=None, scope=Where(), updates=None, timezone="UTC",
        first_day=date(2026, 1, 3), deadline=date(2026, 1, 4), extension_until=date(2026, 1, 5),
        daily_window=DailyWindow(start=time(11), back_in_service_by=time(19), hard_stop=time(20)),
        weekends_staffed=True, avoid_weekdays=(), big_cluster_nodes=2,
        rolling=Rolling(min_fraction_per_day=0.1, max_fraction_per_day=0.5),
        limits=(Limit(what=LimitKind.NODES_OUT, at_once=3), Limit(what=LimitKind.WHOLE_BIG_CLUSTERS, per_day=1)),
        preferences=(), fallout=Fallout(fraction=0.01, mean_days_to_repair=2), return_threshold=0.9,
    )  # fmt: skip
    fleet = make_fleet()
    return Books(
        campaign=campaign, catalogue=catalogue, fleet=fleet, pending=find_pending(fleet, catalogue),
        plans=(make_plan(),) if plans is None else plans, windows=(window or conducted(),), ops=ops, as_of=NOW,
    )  # fmt: skip


def make_plan(*, nodes: tuple[NodeId, ...] = tuple(NAMES), unplanned: tuple[Unplanned, ...] = ()) -> Plan:
    window = Window(
        id=WINDOW, cluster=CLUSTER, mode=Mode.WHOLE, part=1, parts=1, start=START, end=START + timedelta(hours=4),
        nodes=nodes, updates=(UpdateId("tor-2"), UpdateId("nic-2"), UpdateId("os-2")), steps=(), reboots_per_node=1,
        end_confidence=0.9,
    )  # fmt: skip
    return Plan(
        id=PLAN, parent=None, campaign=CampaignId("camp"), created_at=START,
        inputs=InputHashes(fleet="", updates="", policy="", campaign=""), consent=ConsentBasis.RECORDED,
        windows=(window,), unplanned=unplanned, objective=(), solver=SolverNote(status="optimal", seconds=1, seed=1),
    )  # fmt: skip


def conducted(state: WindowState = WindowState.OPEN) -> WindowRun:
    opened = state in {WindowState.OPEN, WindowState.CLOSED}
    return WindowRun(
        run=RUN, window=WINDOW, plan=PLAN, cluster=CLUSTER, mode=Mode.WHOLE, part=1, parts=1, nodes=4,
        planned_start=START, planned_end=START + timedelta(hours=4), back_by=START + timedelta(hours=8),
        hard_stop=START + timedelta(hours=9), state=state, opened_at=START if opened else None,
    )  # fmt: skip


def op(
    name: str, state: UnitState, *, active: int = 0, hours: float | None = None, kind: UnitKind = UnitKind.NODE
) -> UnitOp:
    return UnitOp(
        id=1, run=RUN, window=WINDOW, unit=name, kind=kind, cluster=CLUSTER, fault_domain="0", rank=0,
        in_service_before=state is not UnitState.KEPT_OUT, state=state, active=active,
        locked_at=None if state is UnitState.PENDING else START, reason=STUCK if state is UnitState.FAILED else None,
        finished_at=None if hours is None else START + timedelta(hours=hours),
    )  # fmt: skip


def line_of(books: Books, name: str = "n0") -> NodeLine:
    return next(line for line in account_for_nodes(books) if line.node == name)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (UnitState.RETURNED, Outcome.RETURNED),
        (UnitState.KEPT_OUT, Outcome.RETURNED),
        (UnitState.FAILED, Outcome.TAIL),
        (UnitState.APPLYING, Outcome.OUT),
        (UnitState.PENDING, Outcome.PLANNED),
    ],
)
def test_outcome_follows_what_was_done_last(state: UnitState, expected: Outcome) -> None:
    line = line_of(make_books(op("n0", state)))
    assert line.outcome is expected
    assert line.as_found is (state is UnitState.KEPT_OUT)
    assert (line.reason is STUCK) is (expected is Outcome.TAIL)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (WindowState.PLANNED, Outcome.PLANNED),
        (WindowState.MISSED, Outcome.NOT_TAKEN),
        (WindowState.WAITING, Outcome.PLANNED),
    ],
)
def test_outcome_before_any_work_follows_the_window(state: WindowState, expected: Outcome) -> None:
    assert line_of(make_books(window=conducted(state))).outcome is expected


def test_node_left_out_of_its_window_is_not_taken_and_says_why() -> None:
    window = replace(conducted(), left_out=(LeftOut(reason=STUCK, nodes=(NAMES[0],)),))
    line = line_of(make_books(window=window))
    assert (line.outcome, line.reason) == (Outcome.NOT_TAKEN, STUCK)


def test_node_without_a_window_is_not_taken_and_says_why() -> None:
    left = Unplanned(cluster=CLUSTER, nodes=(NAMES[0],), reason=STUCK)
    line = line_of(make_books(plans=(make_plan(nodes=tuple(NAMES[1:]), unplanned=(left,)),)))
    assert (line.outcome, line.reason) == (Outcome.NOT_TAKEN, STUCK)


def test_proof_counts_only_versions_that_were_seen_to_run() -> None:
    books = make_books(op("n0", UnitState.RETURNED, active=0b110), op("n1", UnitState.RETURNED, active=0b010))
    assert line_of(books, "n0").proven == line_of(books, "n0").targets == {"nic": "2", "os": "2"}
    assert line_of(books, "n1").proven == {"nic": "2"}


def test_node_that_already_ran_a_target_does_not_have_it_as_one() -> None:
    assert line_of(make_books(op("n3", UnitState.RETURNED, active=0b010)), "n3").targets == {"nic": "2"}


def test_versions_count_nodes_and_devices() -> None:
    books = make_books(
        op("n0", UnitState.RETURNED, active=0b110), op("t1", UnitState.PROVEN, active=0b001, kind=UnitKind.DEVICE)
    )
    counted = {line.update: (line.due, line.proven) for line in account_for_versions(books)}
    assert counted == {"nic-2": (4, 1), "os-2": (3, 1), "tor-2": (1, 1)}


def test_capacity_counts_the_tail_as_out_until_now() -> None:
    books = make_books(
        op("n0", UnitState.RETURNED, hours=2), op("n1", UnitState.FAILED), op("n2", UnitState.KEPT_OUT, hours=1)
    )
    capacity = measure_capacity(books, None, outages_of(books))
    assert capacity.actual_node_hours == pytest.approx(2 + 10 + 1)
    assert capacity.planned_node_hours == pytest.approx(4 * 4)
    assert (capacity.returned, capacity.owed, capacity.nodes_out_max) == (1, 1, 3)


def test_limits_see_every_held_node_and_every_big_cluster() -> None:
    books = make_books(*(op(name, UnitState.FAILED) for name in NAMES))
    windows = [OpenWindow(cluster=CLUSTER, mode=Mode.WHOLE, open=Interval(START, NOW))]
    nodes_out, big = measure_limits(books.campaign, books.fleet, outages_of(books), windows)
    assert (nodes_out.observed, nodes_out.allowed, nodes_out.exceeded) == (4, 3, True)
    assert (big.observed, big.at, big.exceeded) == (1, date(2026, 1, 3), False)
