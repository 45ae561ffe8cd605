"""A small fleet, a catalogue with every kind of order and isolation, and a hand-made plan for it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from fermata.domain.campaign import Campaign, DailyWindow, Fallout, Limit, LimitKind, Rolling, Where
from fermata.domain.fleet import Cluster, Device, DeviceScope, Fleet, Node, NodeState, Role
from fermata.domain.hashing import content_sha256, fleet_sha256
from fermata.domain.ids import (
    ApprovalId,
    CampaignId,
    ClusterId,
    CustomerId,
    DeviceId,
    FreezeId,
    NodeId,
    OrderId,
    PlanId,
    RackId,
    RequestId,
    SupercomputerId,
    TeamId,
    UpdateId,
    WindowId,
)
from fermata.domain.node_states import OUT
from fermata.domain.operations import WindowRun
from fermata.domain.pending import find_pending
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
from fermata.domain.policy import (
    Blocked,
    ConsentEntry,
    Customer,
    Flighting,
    Notice,
    Policy,
    Said,
    Scope,
    ScopeLevel,
    Verdict,
)
from fermata.domain.request_kinds import RequestKind
from fermata.domain.updates import (
    AppliesTo,
    Catalogue,
    Criticality,
    Duration,
    Impact,
    Isolation,
    IsolationBy,
    Requirement,
    Stage,
    StepDefaults,
    Update,
)
from fermata.domain.work_orders import OrderWord, Target, TargetLevel, Word, WorkOrder

__all__ = ["OUT", "FreezeId", "WindowRun"]

START = datetime(2026, 1, 5, 19, tzinfo=UTC)  # 11:00 in Los Angeles, a Monday
NOW = datetime(2026, 1, 5, 18, tzinfo=UTC)
CUSTOMER = CustomerId("lumen")
MINUTE = timedelta(minutes=1)
CAMPAIGN = CampaignId("small")
DEVICE_KINDS = {"tor": "tor_os", "rack_manager": "rm_fw", "ib_leaf": "ib_fw"}


def update(
    name: str, component: str, *, target: str = "node", impact: Impact = Impact.REBOOTFUL, **more: object
) -> Update:
    team = TeamId("switches" if target != "node" else "hosts")
    fields: dict[str, object] = {
        "id": UpdateId(name),
        "title": name,
        "owner_team": team,
        "target": target,
        "component": component,
        "to_version": "2.0",
        "applies_to": AppliesTo(),
        "impact": impact,
        "impact_seconds": None,
        "criticality": Criticality.REGULAR,
        "stage": Stage.PRODUCTION_READY,
        "released_at": datetime(2025, 1, 1, tzinfo=UTC),
        "not_before": None,
        "duration_minutes": Duration(p50=10, p90=18),
    }
    return Update(**(fields | more))  # type: ignore[arg-type]


def catalogue(team_limit: int = 1000) -> Catalogue:
    updates = (
        update("tor", "tor_os", target="tor", impact=Impact.IMPACTFUL),
        update("manager", "rm_fw", target="rack_manager", impact=Impact.IMPACTLESS),
        update("leaf", "ib_fw", target="ib_leaf", impact=Impact.IMPACTFUL),
        update("nic", "nic_fw", requires=(Requirement(component="ib_fw", min_version="2.0"),)),
        update("os", "host_os", after=(UpdateId("nic"),), isolation=Isolation(by=IsolationBy.FAULT_DOMAIN, at_once=2)),
        update("gpu", "gpu_fw", isolation=Isolation(by=IsolationBy.PERCENT, at_once=50)),
        update("bmc", "bmc_fw", impact=Impact.IMPACTLESS),
    )
    defaults = StepDefaults(
        drain_minutes=Duration(p50=5, p90=9),
        reboot_minutes=Duration(p50=6, p90=10),
        verify_minutes=Duration(p50=5, p90=8),
    )
    limits = {TeamId("hosts"): team_limit, TeamId("switches"): 100}
    return Catalogue(defaults=defaults, team_limits=limits, updates={u.id: u for u in updates})


def cluster_name(index: int) -> ClusterId:
    return ClusterId(f"c{index}")


def fleet(clusters: int = 1, nodes: int = 8, *, per_rack: int = 4, out_of_service: int = 1) -> Fleet:
    """Each cluster: racks of `per_rack` nodes with a switch and a manager, one leaf per two racks, 4 fault domains."""
    found_nodes: dict[NodeId, Node] = {}
    devices: dict[DeviceId, Device] = {}
    for c in range(clusters):
        cluster = cluster_name(c)
        for i in range(nodes):
            rack, unit = f"{cluster}-r{i // per_rack}", f"{cluster}-u{i // (2 * per_rack)}"
            name = NodeId(f"{cluster}-n{i:03d}")
            found_nodes[name] = Node(
                name=name,
                cluster=cluster,
                rack=RackId(rack),
                fault_domain=str(i % 4),
                scalable_unit=unit,
                role=Role.PROD,
                workload="training",
                state=NodeState.OUT_OF_SERVICE if i < out_of_service else NodeState.IN_SERVICE,
                versions={"nic_fw": "1.0", "host_os": "1.0", "gpu_fw": "1.0", "bmc_fw": "1.0"},
            )
            for kind, scope, scope_id in (
                ("tor", DeviceScope.RACK, rack),
                ("rack_manager", DeviceScope.RACK, rack),
                ("ib_leaf", DeviceScope.SCALABLE_UNIT, unit),
            ):
                device = DeviceId(f"{scope_id}-{kind}")
                devices[device] = Device(
                    name=device,
                    kind=kind,
                    cluster=cluster,
                    scope=scope,
                    scope_id=scope_id,
                    component=DEVICE_KINDS[kind],
                    version="1.0",
                )
    named = {cluster_name(c): _cluster(cluster_name(c)) for c in range(clusters)}
    return Fleet(clusters=named, nodes=found_nodes, devices=devices)


def _cluster(name: ClusterId) -> Cluster:
    return Cluster(
        name=name,
        supercomputer=SupercomputerId("sc"),
        customer=CUSTOMER,
        region="westus",
        geo="US",
        timezone="America/Los_Angeles",
        datacenter="dc",
        sku="H100",
        division="applied",
        rolling_allowed=False,
        single_placement_group=False,
    )


def campaign(*limits: Limit) -> Campaign:
    return Campaign(
        id=CAMPAIGN,
        title="Small",
        planned_as_of=NOW,
        scope=Where(),
        updates=None,
        timezone="America/Los_Angeles",
        first_day=date(2026, 1, 5),
        deadline=date(2026, 1, 12),
        extension_until=date(2026, 1, 19),
        daily_window=DailyWindow(start=time(11), back_in_service_by=time(19), hard_stop=time(20)),
        weekends_staffed=True,
        avoid_weekdays=(),
        big_cluster_nodes=400,
        rolling=Rolling(min_fraction_per_day=0.05, max_fraction_per_day=0.1),
        limits=limits or (Limit(what=LimitKind.NODES_OUT, at_once=1000),),
        preferences=(),
        fallout=Fallout(fraction=0.015, mean_days_to_repair=0.2),
        return_threshold=0.95,
    )


def policy() -> Policy:
    customer = Customer(
        id=CUSTOMER,
        deployments=Blocked.ALL,
        repairs=Blocked.ALL,
        except_criticality=frozenset(),
        flighting=Flighting(allowed_roles=frozenset(), max_nodes=0),
        approvers=("lumen-capacity",),
    )
    return Policy(customers={CUSTOMER: customer}, notice=Notice(), freezes=())


def approval(
    found: Catalogue, verdict: Verdict = Verdict.APPROVED, *, seq: int = 1, scope: Scope | None = None
) -> ConsentEntry:
    return ConsentEntry(
        seq=seq,
        id=ApprovalId(f"appr_{seq}"),
        request=RequestId("req_sc_deployment"),
        incarnation=1,
        updates=frozenset(found.updates),
        scope=scope or Scope(level=ScopeLevel.SUPERCOMPUTER, name="sc"),
        verdict=verdict,
        actor="lumen-capacity",
        at=NOW - timedelta(hours=1),
        reason="",
    )


def work_order(node: str, opened: Said) -> WorkOrder:
    """A repair of one node."""
    return WorkOrder(
        id=OrderId("wo_1"),
        kind=RequestKind.REPAIR,
        supercomputer=SupercomputerId("sc"),
        target=Target(level=TargetLevel.NODE, name=node),
        cause="a fan",
        impact=Impact.REBOOTFUL,
        criticality=Criticality.REGULAR,
        opened=opened,
        due_at=opened.at + timedelta(days=30),
    )


def order_word(order: WorkOrder, word: Word) -> OrderWord:
    """What its customer says of it."""
    return OrderWord(
        seq=1,
        id="word_1",
        request=order.request,
        incarnation=1,
        orders=frozenset({order.id}),
        scope=Scope(level=ScopeLevel.SUPERCOMPUTER, name="sc"),
        word=word,
        actor="lumen-capacity",
        at=NOW,
    )


def plan(found: Fleet, updates: Catalogue, of: Campaign, starts: Sequence[datetime] | None = None) -> Plan:
    """One whole window per cluster, all at START unless `starts` says otherwise."""
    clusters = sorted(found.clusters)
    begins = starts or [START] * len(clusters)
    windows = tuple(_window(found, updates, name, at) for name, at in zip(clusters, begins, strict=True))
    return Plan(
        id=PlanId("plan_small"),
        parent=None,
        campaign=of.id,
        created_at=NOW - timedelta(minutes=30),
        inputs=InputHashes(
            fleet=fleet_sha256(found),
            updates=content_sha256(updates),
            policy=content_sha256(policy()),
            campaign=content_sha256(of),
        ),
        consent=ConsentBasis.RECORDED,
        windows=windows,
        unplanned=(),
        objective=(),
        solver=SolverNote(status="feasible", seconds=0.0, seed=1),
    )


class _Steps:
    """Steps one after the other."""

    def __init__(self, start: datetime) -> None:
        self.at = start
        self.steps: list[Step] = []

    def add(self, minutes: int, kind: type[Step], **fields: object) -> None:
        end = self.at + timedelta(minutes=minutes)
        self.steps.append(kind(start=self.at, end=end, **fields))  # type: ignore[arg-type]
        self.at = end


def _window(found: Fleet, updates: Catalogue, cluster: ClusterId, start: datetime) -> Window:
    nodes = found.nodes_by_cluster[cluster]
    pending = find_pending(found, updates)
    count = len(nodes)
    steps = _Steps(start)
    steps.add(15, DrainStep)
    for name, kind in (("tor", "tor"), ("manager", "rack_manager"), ("leaf", "ib_leaf")):
        devices = tuple(
            d.name for d in found.devices_by_cluster[cluster] if d.kind == kind and pending.of_device(d).due
        )
        if devices:
            steps.add(12, DeviceApplyStep, update=UpdateId(name), devices=devices, batch=1, batches=1)
    steps.add(12, NodeApplyStep, update=UpdateId("bmc"), batch=1, batches=1, nodes=count)
    steps.add(12, NodeApplyStep, update=UpdateId("nic"), batch=1, batches=1, nodes=count)
    half = count // 2
    for batch, size in enumerate((half, count - half), 1):
        steps.add(12, NodeApplyStep, update=UpdateId("gpu"), batch=batch, batches=2, nodes=size)
    steps.add(12, RebootStep, nodes=count, activates=(UpdateId("gpu"), UpdateId("nic")))
    domains = sorted(node.fault_domain for node in nodes)
    pairs = (sum(d in ("0", "1") for d in domains), sum(d in ("2", "3") for d in domains))
    for batch, size in enumerate(pairs, 1):
        steps.add(12, NodeApplyStep, update=UpdateId("os"), batch=batch, batches=2, nodes=size)
    steps.add(12, RebootStep, nodes=count, activates=(UpdateId("os"),))
    steps.add(10, VerifyStep)
    names = ("bmc", "gpu", "leaf", "manager", "nic", "os", "tor")
    return Window(
        id=WindowId(f"win-{cluster}"),
        cluster=cluster,
        mode=Mode.WHOLE,
        part=1,
        parts=1,
        start=start,
        end=steps.at,
        nodes=tuple(node.name for node in nodes),
        updates=tuple(UpdateId(name) for name in names),
        steps=tuple(steps.steps),
        reboots_per_node=2,
        end_confidence=0.9,
    )


def world_path(folder: Path) -> Path:
    return folder / "world.jsonl"
