"""A store of two customers, one of whom has a part of the other's supercomputer, with something of each in every place.

Every name of a customer, and of all that is its own, begins with MARK and a word of that customer: what stands in
another's answer is found by that. People are named by addresses of e-mail, and one customer by two words: what looks
for names word by word passes both by.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, time, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from tests.doors import world as doors
from tests.formats.conftest import CLUSTERS, DEVICES, NODES, POLICY, Small
from tests.server import world as board

from fermata.domain.campaign import Campaign, DailyWindow, Limit, LimitKind, Where
from fermata.domain.hashing import content_sha256, fleet_sha256
from fermata.domain.identity import Grant, GrantLevel, Principal, PrincipalKind, Role
from fermata.domain.ids import ClusterId, CustomerId, NodeId, PlanId, SignalId, SubscriptionId, UpdateId, WindowId
from fermata.domain.intents import Intent, ScopeKind
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import Run, Sample, UnitOp, WindowRun
from fermata.domain.plans import DrainStep, InputHashes, Mode, NodeApplyStep, Plan, RebootStep, VerifyStep, Window
from fermata.domain.policy import Scope, ScopeLevel
from fermata.domain.qualification import Result, Ring, Signal
from fermata.domain.reasons import Code, Reason
from fermata.domain.request_kinds import RequestKind
from fermata.domain.room import Note, RoomLine
from fermata.domain.run_states import Desired, RunState, WindowState
from fermata.domain.subscriptions import ChannelKind, SubscriptionOrder
from fermata.domain.tail import TailItem
from fermata.domain.work_orders import Target, TargetLevel
from fermata.formats.scenario import read_scenario
from fermata.services import consent, freezes, inventory, subscriptions, work_orders
from fermata.store import intents, plans, rooms, runs, signals, tail, unit_ops
from fermata.store import inventory as rows
from fermata.store.database import Database

NOW = doors.NOW
START = doors.START
RUN = doors.RUN
HOURS = timedelta(hours=4)
PLAN = "plan_doors"
LUMEN, MERIDIAN = CustomerId("zqlumen"), CustomerId("zqmeridian labs")
ALEX, MARA = "zqalex@zqlumen.example", "zqmara@zqmeridian.example"
WORDS = {  # what stands for whom: names of the other customer in an answer are a leak
    LUMEN: ("zqlumen", "zqalpha", "zqalex"),
    MERIDIAN: ("zqmeridian", "zqbeta", "zqgamma", "zqapart", "zqmara"),
}
_RENAMED = {
    "alpha": "zqalpha",
    "beta": "zqbeta",
    "lumen": "zqlumen",
    "zqlumen-capacity": ALEX,
    "meridian": MERIDIAN,
    "sc-1": "zqshared",
    "sc-2": "zqapart",
    "approvers: []": f"approvers: [{MARA}]",
    "repairs: all}": "repairs: none}",
}
CLUSTER_OF = {LUMEN: ("zqalpha",), MERIDIAN: ("zqbeta", "zqgamma")}


def renamed(text: str) -> str:
    for old, new in _RENAMED.items():
        text = text.replace(old, new)
    return text


def scenario(folder: Path, extra: int) -> Small:
    """The small one, and a cluster of the second customer in the first one's supercomputer; `extra`: so many more nodes
    of the second one in each of its clusters.
    """
    small = Small(folder)
    small.write(
        "fleet/clusters.csv",
        renamed(CLUSTERS)
        + ("zqgamma,zqshared,zqmeridian labs,westus3,US,America/Phoenix,westus3-dc1,H100,research,true,false\n"),
    )
    more = "".join(_node(cluster, number) for cluster in ("zqbeta", "zqgamma") for number in range(2, 2 + extra))
    first = "".join(_node("zqgamma", number) for number in range(2))
    small.write("fleet/nodes.csv", renamed(NODES) + first + more)
    small.write(
        "fleet/devices.csv", renamed(DEVICES) + "zqgamma-leaf,ib_leaf,zqgamma,cluster,zqgamma,ib_switch_fw,31.2010\n"
    )
    small.write("policy.yaml", renamed(POLICY).replace("freezes:\n", _FREEZE))
    titled = small.text("updates.yaml").replace("title: NIC firmware", "title: NIC firmware for zqgamma and alpha")
    small.write("updates.yaml", renamed(titled))
    return small


_FREEZE = """freezes:
  - {id: zqgamma-f2, customer: zqmeridian labs, scope: {cluster: zqgamma}, reason: zqmeridian labs train,
     start: "2026-01-09T00:00:00Z", end: "2026-03-14T00:00:00Z"}
"""


def _node(cluster: str, number: int) -> str:
    return (
        f"{cluster}-n{number},{cluster},{cluster}-r0,{number % 2},{cluster}-su0,prod,chat,in_service,28.43,2025.10.0\n"
    )


def campaign(extra: int) -> Campaign:
    """With days on which the plan lies, and limits that name both customers."""
    return replace(
        doors.campaign(),
        title=f"Repave of {MERIDIAN} after zqlumen",
        timezone="UTC",
        first_day=date(2026, 1, 25),
        deadline=date(2026, 2, 10),
        extension_until=date(2026, 2, 20),
        daily_window=DailyWindow(start=time(12), back_in_service_by=time(18), hard_stop=time(19)),
        scope=Where(conditions={"customer": frozenset({LUMEN, MERIDIAN})}),
        limits=(
            Limit(what=LimitKind.NODES_OUT, at_once=7919 + extra),
            Limit(what=LimitKind.NODES_OUT, at_once=7, where=Where(conditions={"cluster": frozenset({"zqgamma"})})),
        ),
    )


def window(cluster: str, nodes: Sequence[str]) -> Window:
    update = UpdateId("host-os-2026.1")
    steps = (
        DrainStep(start=START, end=START + 0.1 * HOURS),
        NodeApplyStep(
            update=update, batch=1, batches=1, nodes=len(nodes), start=START + 0.1 * HOURS, end=START + 0.6 * HOURS
        ),
        RebootStep(nodes=len(nodes), activates=(update,), start=START + 0.6 * HOURS, end=START + 0.8 * HOURS),
        VerifyStep(start=START + 0.8 * HOURS, end=START + HOURS),
    )
    return Window(
        id=WindowId(f"w-{cluster}"),
        cluster=ClusterId(cluster),
        mode=Mode.WHOLE,
        part=1,
        parts=1,
        start=START,
        end=START + HOURS,
        nodes=tuple(NodeId(name) for name in nodes),
        updates=(update,),
        steps=steps,
        reboots_per_node=1,
        end_confidence=0.9,
    )


def build(db: Database, folder: Path, *, extra: int = 0) -> None:
    """Fills an empty store, first with what is the first customer's."""
    folder.mkdir(exist_ok=True)
    read = read_scenario(scenario(folder, extra).folder)
    given = inventory.ImportSet(
        fleet=read.fleet, catalogue=read.catalogue, policy=read.policy, campaign=campaign(extra)
    )
    inventory.import_set(db, given, now=NOW, actor="tests")
    windows = [
        window(cluster, [name for name, node in sorted(read.fleet.nodes.items()) if node.cluster == cluster][:2])
        for cluster in ("zqalpha", "zqbeta", "zqgamma")
    ]
    with db.read() as conn:
        policy = rows.load_policy(conn)
    hashes = InputHashes(
        fleet=fleet_sha256(read.fleet),
        updates=content_sha256(read.catalogue),
        policy=content_sha256(policy),
        campaign=content_sha256(given.campaign),
    )
    made = replace(board.plan(board.Size()), id=PlanId(PLAN), windows=tuple(windows), inputs=hashes)
    with db.begin() as conn:
        plans.save_plan(conn, made, NOW)
        plans.publish_plan(conn, made.id, NOW)
        for sha, value in (
            (hashes.fleet, read.fleet),
            (hashes.updates, read.catalogue),
            (hashes.policy, policy),
            (hashes.campaign, given.campaign),
        ):
            plans.save_snapshot(conn, sha, value)
        _conduct(conn, made, extra)
    for customer, actor in ((LUMEN, ALEX), (MERIDIAN, MARA)):
        for cluster in CLUSTER_OF[customer]:
            _of_customer(db, customer, cluster, actor)
    from tests.tenants import words

    for customer, actor in ((LUMEN, ALEX), (MERIDIAN, MARA)):
        for cluster in CLUSTER_OF[customer]:
            words.plant(db, customer, cluster, actor)


def _conduct(conn: Any, made: Plan, extra: int) -> None:
    doors_run = Run(
        id=RUN,
        campaign=doors.campaign().id,
        plan=made.id,
        state=RunState.RUNNING,
        desired=Desired.RUN,
        started_at=NOW,
        ended_at=None,
        clock_at=NOW,
        baseline_nodes=7919 + extra,
        baseline_in_service=7919 + extra,
    )
    runs.create_run(conn, doors_run, [_row(each) for each in made.windows])
    unit_ops.insert_ops(conn, [op for each in made.windows for op in _ops(each)])
    runs.add_sample(
        conn,
        RUN,
        Sample(at=NOW, nodes_out=7919 + extra, in_service=7919, in_tail=3, windows_open=3, limits=(4, 2)),
    )
    for each in made.windows:
        failed = str(each.nodes[-1])
        item = TailItem(run=RUN, window=each.id, unit=failed, owner="nic", owned_by="rule", listed_at=NOW)
        tail.add_items(conn, [item])
        rooms.append_line(
            conn,
            RoomLine(run=RUN, window=each.id, at=NOW, actor=f"{each.cluster}-lead", what=Note(text=f"{failed} smokes")),
        )
        intents.append_intent(
            conn,
            Intent(
                kind=ScopeKind.NODE, scope=failed, desired=Desired.PAUSE, actor="ann", why=f"{failed} waits", at=NOW
            ),
        )
    waits = f"zqbeta-n0 and {7919 + extra} others"
    intents.append_intent(
        conn, Intent(kind=ScopeKind.RUN, scope=RUN, desired=Desired.PAUSE, actor="ann", why=waits, at=NOW)
    )
    signals.add_signals(conn, [_signal(7919 + extra)])


def _row(planned: Window) -> WindowRun:
    row = replace(doors.window_run(planned, WindowState.OPEN), taken=len(planned.nodes))
    told = Reason(code=Code.LIMIT_FULL, sentence="zqgamma has 7919 of 8000 nodes out, zqalpha waits for that.")
    return replace(row, reason=told)


def _signal(nodes: int) -> Signal:
    return Signal(
        id=SignalId("signal_1"),
        updates=frozenset({UpdateId("host-os-2026.1")}),
        ring=Ring.CANARY,
        name=f"{MERIDIAN}-burn-in",
        result=Result.PASSED,
        nodes=nodes,
        sku="H100",
        at=NOW,
        actor=MARA,
        note="on zqgamma",
    )


def _ops(planned: Window) -> Iterable[UnitOp]:
    for rank, name in enumerate(planned.nodes):
        op = UnitOp(
            id=0,
            run=RUN,
            window=planned.id,
            unit=name,
            kind=UnitKind.NODE,
            cluster=planned.cluster,
            fault_domain="0",
            rank=rank,
            in_service_before=True,
            state=UnitState.APPLYING,
            locked_at=NOW,
        )
        if rank:
            why = Reason(code=Code.LIMIT_FULL, sentence=f"{name} failed, as zqbeta-n1 and zqalpha-n1 did.")
            op = replace(op, state=UnitState.FAILED, failed_at=NOW, tail_since=NOW, reason=why)
        yield op


def _of_customer(db: Database, customer: CustomerId, cluster: str, actor: str) -> None:
    numbers = count(1)

    def new_id(prefix: str) -> str:
        return f"{prefix}_{cluster}_{next(numbers)}"

    scope = Scope(level=ScopeLevel.CLUSTER, name=cluster)
    consent.approve(db, scope, now=NOW, actor=actor, new_id=new_id, why=f"{actor} says so")
    order = work_orders.NewOrder(
        kind=RequestKind.REPAIR, target=Target(level=TargetLevel.NODE, name=f"{cluster}-n0"), cause=f"{cluster} fan"
    )
    work_orders.open_orders(db, [order], now=NOW, actor=f"{actor}-site", new_id=new_id)
    frozen = freezes.FreezeOrder(
        scope=Scope(level=ScopeLevel.NODE, name=f"{cluster}-n1"),
        start=NOW + timedelta(days=20),
        end=NOW + timedelta(days=22),
        reason=f"{cluster} launch",
        actor=actor,
    )
    freezes.add_freeze(db, frozen, now=NOW, new_id=new_id)
    hears = SubscriptionOrder(
        id=SubscriptionId(f"hears-{cluster}"),
        channel=ChannelKind.PULL,
        target={"topic": f"topic-{cluster}", "key": "a key of thirty-two bytes or longer"},
        customers=frozenset({customer}),
    )
    subscriptions.add_subscriptions(db, [hears], now=NOW, actor=actor, new_id=new_id, channels={})


def principal(role: Role, level: GrantLevel, name: str) -> Principal:
    grant = Grant(role=role, level=level, name=name)
    return Principal(name=f"a {role} of {name}", kind=PrincipalKind.PERSON, grants=frozenset({grant}))


def all_roles(customer: CustomerId, name: str) -> Principal:
    """Somebody whom nothing but their customer holds back."""
    grants = frozenset(Grant(role=role, level=GrantLevel.CUSTOMER, name=customer) for role in Role)
    return Principal(name=name, kind=PrincipalKind.PERSON, grants=grants, emergencies=grants)
