"""Walks of a small fleet through changes, for properties about what is remembered from one step to the next.

alpha and beta are one supercomputer of lumen, gamma another of meridian, for whom work goes on after its due date. Tor
switches drain, managers do not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from hypothesis import strategies as st
from tests.constraints import world as w

from fermata.domain.fleet import Cluster, Device, DeviceScope, Fleet, Node, NodeState, Role, place_of
from fermata.domain.ids import ApprovalId, ClusterId, CustomerId, DeviceId, NodeId, RackId, SupercomputerId, UpdateId
from fermata.domain.notified import Notified
from fermata.domain.policy import (
    AfterDue,
    Conditions,
    ConsentEntry,
    Policy,
    PolicyRule,
    Scope,
    ScopeLevel,
    Stance,
    Verdict,
)
from fermata.domain.request_kinds import request_id
from fermata.domain.updates import Impact

DAY = timedelta(days=1)
CATALOGUE = w.catalogue()
UPDATES = tuple(sorted(CATALOGUE.updates))
LUMEN, MERIDIAN = CustomerId("lumen"), CustomerId("meridian")
ONE, TWO = SupercomputerId("sc-one"), SupercomputerId("sc-two")
HOMES = {"alpha": (ONE, LUMEN), "beta": (ONE, LUMEN), "gamma": (TWO, MERIDIAN)}
CLUSTERS: Mapping[ClusterId, Cluster] = {
    ClusterId(name): replace(w.cluster(name), supercomputer=supercomputer, customer=customer)
    for name, (supercomputer, customer) in HOMES.items()
}
NAMES = tuple(CLUSTERS)
VERSIONS = {"nic_fw": ("1.0", "2.0", ""), "host_os": ("1.0", "2.0"), "agent": ("1.0", "2.0")}
NODES, RACKS = 9, 2


def node(number: int, cluster: str, rack: int) -> Node:
    found = replace(w.node(cluster, number, NODES), name=NodeId(f"n{number}"), rack=RackId(f"{cluster}-r{rack}"))
    return replace(found, role=Role.TEST if number % 4 == 0 else Role.PROD)


def _devices() -> Iterable[Device]:
    for name in NAMES:
        for rack in range(RACKS):
            yield w.device("tor", name, DeviceScope.RACK, f"{name}-r{rack}", "4.11")
            yield w.device("mgr", name, DeviceScope.RACK, f"{name}-r{rack}", "2.0")
        yield w.device("mgr", name, DeviceScope.CLUSTER, name, "2.0")
        yield w.device("tor", name, DeviceScope.SCALABLE_UNIT, f"{name}-su0", "4.11")


DEVICES = tuple(_devices())


@dataclass(frozen=True)
class Put:
    """A node stands there now, wherever it was, and reports that."""

    number: int
    cluster: str
    rack: int
    versions: Mapping[str, str]
    state: NodeState

    def apply(self, nodes: dict[NodeId, Node | None], devices: dict[DeviceId, Device | None]) -> None:
        made = node(self.number, self.cluster, self.rack)
        nodes[made.name] = replace(made, versions={**made.versions, **self.versions}, state=self.state)


@dataclass(frozen=True)
class Wire:
    """A device reports that version; None: it is gone."""

    number: int
    is_old: bool | None

    def apply(self, nodes: dict[NodeId, Node | None], devices: dict[DeviceId, Device | None]) -> None:
        device = DEVICES[self.number]
        old = "4.9" if device.kind == "tor" else "1.0"
        devices[device.name] = None if self.is_old is None else replace(device, version=old) if self.is_old else device


@dataclass(frozen=True)
class Take:
    """A node is gone."""

    number: int

    def apply(self, nodes: dict[NodeId, Node | None], devices: dict[DeviceId, Device | None]) -> None:
        nodes[NodeId(f"n{self.number}")] = None


Change = Put | Wire | Take
versions = st.fixed_dictionaries({}, optional={name: st.sampled_from(known) for name, known in VERSIONS.items()})
puts = st.builds(
    Put,
    number=st.integers(0, NODES - 1),
    cluster=st.sampled_from(NAMES),
    rack=st.integers(0, RACKS - 1),
    versions=versions,
    state=st.sampled_from(NodeState),
)
wires = st.builds(Wire, number=st.integers(0, len(DEVICES) - 1), is_old=st.sampled_from([True, True, False, None]))
takes = st.builds(Take, number=st.integers(0, NODES - 1))
changes = st.lists(st.one_of(puts, puts, wires, wires, takes), min_size=1, max_size=3)


@dataclass(frozen=True)
class Word:
    """Something that is said; `seq` and ids are given when it is."""

    entry: ConsentEntry

    def numbered(self, seq: int) -> ConsentEntry:
        return replace(self.entry, seq=seq, id=ApprovalId(f"apr_{seq}"))


YES = tuple(
    Word(
        ConsentEntry(
            seq=0,
            id=ApprovalId(""),
            request=request_id(home),
            incarnation=1,
            updates=frozenset(UPDATES) - {UpdateId("nic")},
            scope=Scope(level=ScopeLevel.SUPERCOMPUTER, name=home),
            verdict=Verdict.APPROVED,
            actor="somebody",
            at=w.NOW,
            reason="",
        )
    )
    for home in (ONE, TWO)
)  # to everything but the one update that is not due at first
scopes = st.one_of(
    st.sampled_from([Scope(level=ScopeLevel.SUPERCOMPUTER, name=name) for name in (ONE, TWO)]),
    st.sampled_from([Scope(level=ScopeLevel.CLUSTER, name=name) for name in NAMES]),
    st.sampled_from([Scope(level=ScopeLevel.RACK, name=f"{name}-r{rack}") for name in NAMES for rack in range(RACKS)]),
    st.sampled_from([Scope(level=ScopeLevel.NODE, name=f"n{number}") for number in range(NODES)]),
)
some_updates = st.frozensets(st.sampled_from(UPDATES), min_size=1)
conditions = st.builds(
    Conditions,
    not_before=st.sampled_from([None, None, w.NOW + DAY]),
    with_updates=st.one_of(st.just(frozenset[UpdateId]()), some_updates),
    with_scope=st.one_of(st.none(), scopes),
)


@st.composite
def words(draw: st.DrawFn) -> Word:
    verdict = draw(st.sampled_from([Verdict.APPROVED, Verdict.APPROVED, Verdict.APPROVED, *Verdict]))
    updates = draw(st.one_of(st.just(frozenset(UPDATES)), some_updates))
    group = draw(st.sampled_from([None, None, *DEVICES]))
    scope = Scope(level=ScopeLevel.GROUP, name=group.name) if group is not None else draw(scopes)
    approved, declined = verdict is Verdict.APPROVED, verdict is Verdict.DECLINED
    return Word(
        ConsentEntry(
            seq=0,
            id=ApprovalId(""),
            request=request_id(draw(st.sampled_from([ONE, TWO]))),
            incarnation=1,
            updates=updates,
            scope=scope,
            verdict=verdict,
            actor="somebody",
            at=w.NOW,
            reason="",
            is_part=draw(st.booleans()),
            flight=draw(st.sampled_from([None, None, None, min(updates)])),
            place=place_of(group) if group is not None else None,
            conditions=draw(conditions) if approved else Conditions(),
            until=w.NOW + draw(st.integers(1, 3)) * DAY if declined else None,
            then=draw(st.sampled_from([None, *AfterDue])) if declined else None,
        )
    )


def policy(*, told: bool) -> Policy:
    """`told`: customers know of one update on each supercomputer; else nobody keeps record of what they know."""
    lumen = replace(
        w.customer(),
        rules=(
            PolicyRule(id="no-gpu", stance=Stance.BLOCK, scope=Scope(level=ScopeLevel.RACK, name="beta-r1")),
            PolicyRule(id="free", stance=Stance.ALLOW, impacts=frozenset({Impact.IMPACTLESS})),
        ),
    )
    meridian = replace(w.customer(), id=MERIDIAN, after_due=AfterDue.PROCEED)
    known = tuple(
        Notified(customer=customer, supercomputer=home, update=UpdateId("os"), impact=Impact.REBOOTFUL, at=w.NOW)
        for home, customer in ((ONE, LUMEN), (TWO, MERIDIAN))
    )
    return replace(w.scenario().policy, customers={LUMEN: lumen, MERIDIAN: meridian}, notified=known if told else None)


@dataclass
class Walk:
    """A fleet as the changes so far make it."""

    nodes: dict[NodeId, Node] = field(default_factory=dict)
    devices: dict[DeviceId, Device] = field(default_factory=dict)

    def take(self, made: Iterable[Change]) -> tuple[dict[NodeId, Node | None], dict[DeviceId, Device | None]]:
        """Units as they are after the changes; None: gone."""
        nodes: dict[NodeId, Node | None] = {}
        devices: dict[DeviceId, Device | None] = {}
        for change in made:
            change.apply(nodes, devices)
        self.nodes = {name: unit for name, unit in {**self.nodes, **nodes}.items() if unit is not None}
        self.devices = {name: unit for name, unit in {**self.devices, **devices}.items() if unit is not None}
        return nodes, devices

    def fleet(self) -> Fleet:
        """Made anew."""
        return Fleet(
            clusters=dict(CLUSTERS),
            nodes={name: self.nodes[name] for name in sorted(self.nodes)},
            devices={name: self.devices[name] for name in sorted(self.devices)},
        )
