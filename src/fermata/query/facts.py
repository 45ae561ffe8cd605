"""What the tables are made from, in columns: as the store reads it, or as files give it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fermata.domain.fleet import Cluster, Device, Fleet
from fermata.domain.ids import CustomerId, NodeId, RequestId
from fermata.domain.operations import WindowRun
from fermata.domain.plans import Window
from fermata.domain.policy import Policy
from fermata.domain.request_states import RequestState
from fermata.domain.requests import Request
from fermata.domain.scheduled_events import OrderedWork
from fermata.domain.updates import Catalogue

NODE_COLUMNS = ("name", "cluster", "rack", "fault_domain", "scalable_unit", "role", "workload", "state")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeColumns:
    """Nodes, one list per column, all of one length. Nodes of a cluster that report the same versions share a kind:
    `kinds` holds each node's index into `versions`, whose entries are (cluster, versions by component). `gpus` holds
    None where nobody said how many.
    """

    columns: Mapping[str, Sequence[str]]
    gpus: Sequence[int | None]
    kinds: Sequence[int]
    versions: Sequence[tuple[str, Mapping[str, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitWork:
    """What is done to one unit (`kind` node or device) in one window of a run, as far as it came. Times are UTC."""

    run: str
    window: str
    unit: str
    kind: str
    cluster: str
    state: str
    step: str
    attempt: int
    reason_code: str | None
    reason: str | None
    in_tail: bool
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWindow:
    """A window of a plan in force, or of one that its run followed; `run` is how far it came, None before a start."""

    plan: str
    window: Window
    run: WindowRun | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedNode:
    """A work order on one node of `cluster`, as far as it came there."""

    node: NodeId
    cluster: str
    work: OrderedWork


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything the tables tell. `catalogue` and `policy` None: not imported yet, so nothing is pending. `states`: in
    which state each request was last seen, and since when; files remember none, and no work order either.
    """

    clusters: Mapping[str, Cluster]
    nodes: NodeColumns
    devices: Sequence[Device]
    catalogue: Catalogue | None = None
    policy: Policy | None = None
    requests: Sequence[Request] = ()
    states: Mapping[RequestId, tuple[RequestState, datetime]] = field(default_factory=dict)
    windows: Sequence[PlannedWindow] = ()
    work: Sequence[UnitWork] = field(default=())
    ordered: Sequence[OrderedNode] = ()

    @property
    def customers(self) -> frozenset[CustomerId]:
        """Every customer that holds a cluster."""
        return frozenset(cluster.customer for cluster in self.clusters.values())


def nodes_of_fleet(fleet: Fleet) -> NodeColumns:
    """The nodes of a fleet that is in memory already, by name."""
    columns: dict[str, list[str]] = {name: [] for name in NODE_COLUMNS}
    sorter = KindSorter()
    for node in (fleet.nodes[name] for name in sorted(fleet.nodes)):
        for name in NODE_COLUMNS:
            columns[name].append(getattr(node, name))
        sorter.add(node.cluster, tuple(sorted(node.versions.items())), node.versions)
    gpus = [fleet.nodes[name].gpus for name in sorted(fleet.nodes)]
    return NodeColumns(columns=columns, gpus=gpus, kinds=sorter.kinds, versions=sorter.versions)


class KindSorter:
    """Finds the nodes that are alike. `key` is whatever tells versions apart at little cost."""

    def __init__(self) -> None:
        self.kinds: list[int] = []
        self.versions: list[tuple[str, Mapping[str, str]]] = []
        self._known: dict[tuple[str, object], int] = {}

    def add(self, cluster: str, key: object, versions: Mapping[str, str]) -> None:
        """One more node."""
        kind = self.find(cluster, key)
        if kind is None:
            kind = self.learn(cluster, key, versions)
        self.kinds.append(kind)

    def find(self, cluster: str, key: object) -> int | None:
        """The kind of such nodes, None for one not seen yet."""
        return self._known.get((cluster, key))

    def learn(self, cluster: str, key: object, versions: Mapping[str, str]) -> int:
        """A new kind."""
        kind = self._known[cluster, key] = len(self.versions)
        self.versions.append((cluster, versions))
        return kind


def only_customers(facts: Facts, customers: Iterable[str]) -> Facts:
    """What those customers may see: their clusters, with the nodes, devices, windows, work and policy of these. A
    request that they share with others is theirs too. Whatever names another customer is left out before loading.
    """
    allowed = frozenset(customers)
    clusters = {name: c for name, c in facts.clusters.items() if c.customer in allowed}
    of_node = facts.nodes.columns["cluster"]
    kept = [index for index, cluster in enumerate(of_node) if cluster in clusters]
    supercomputers = {c.supercomputer for c in clusters.values()}
    return Facts(
        clusters=clusters,
        nodes=NodeColumns(
            columns={name: [column[i] for i in kept] for name, column in facts.nodes.columns.items()},
            gpus=[facts.nodes.gpus[i] for i in kept],
            kinds=[facts.nodes.kinds[i] for i in kept],
            versions=facts.nodes.versions,
        ),
        devices=[device for device in facts.devices if device.cluster in clusters],
        catalogue=facts.catalogue,
        policy=_only_policy(facts.policy, allowed),
        requests=[r for r in facts.requests if r.supercomputer in supercomputers and allowed & set(r.customers)],
        states=facts.states,
        windows=[planned for planned in facts.windows if planned.window.cluster in clusters],
        work=[work for work in facts.work if work.cluster in clusters],
        ordered=[ordered for ordered in facts.ordered if ordered.cluster in clusters],
    )


def _only_policy(policy: Policy | None, allowed: frozenset[str]) -> Policy | None:
    if policy is None:
        return None
    return Policy(
        customers={name: customer for name, customer in policy.customers.items() if name in allowed},
        notice=policy.notice,
        freezes=tuple(freeze for freeze in policy.freezes if freeze.customer in allowed),
    )
