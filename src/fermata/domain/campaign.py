"""A campaign: what is to be serviced, when windows may lie, under which limits, and what is preferred."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import StrEnum
from typing import Literal

from fermata.domain.fleet import Cluster, Node
from fermata.domain.hashing import ADDED_LATER
from fermata.domain.ids import CampaignId, UpdateId
from fermata.domain.phases import DEFAULT_PHASES, Phases

OPEN_CONFIDENCE = 0.8  # one late evening in five is what a day's promise may cost before the window is put off
SCOPE_KEYS = ("cluster", "supercomputer", "customer", "region", "geo", "datacenter", "sku", "division")
NODE_KEYS = ("role", "workload", "rack", "scalable_unit", "fault_domain", "node")


class LimitKind(StrEnum):
    """What a limit counts."""

    NODES_OUT = "nodes_out"
    WHOLE_BIG_CLUSTERS = "whole_big_clusters"
    CLUSTER_WINDOWS = "cluster_windows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Conditions on a cluster's or node's columns, all of which must hold; a value is one of a set."""

    conditions: Mapping[str, frozenset[str]] = field(default_factory=dict, hash=False)

    def matches_cluster(self, cluster: Cluster) -> bool:
        """True when every condition on a cluster column holds; conditions on node columns are not asked."""
        return all(
            _cluster_value(cluster, key) in allowed for key, allowed in self.conditions.items() if key in SCOPE_KEYS
        )

    def matches(self, node: Node, cluster: Cluster) -> bool:
        """True when every condition holds for `node` of `cluster`."""
        if not self.matches_cluster(cluster):
            return False
        return all(_node_value(node, key) in allowed for key, allowed in self.conditions.items() if key in NODE_KEYS)

    def select(self, nodes: Sequence[Node], cluster: Cluster) -> Sequence[Node]:
        """Those of `nodes`, all of `cluster`, for which every condition holds, in their order."""
        if not self.matches_cluster(cluster):
            return ()
        for key, allowed in self.conditions.items():
            if key in NODE_KEYS:
                column = "name" if key == "node" else key
                nodes = [node for node in nodes if getattr(node, column) in allowed]
        return nodes


def _cluster_value(cluster: Cluster, key: str) -> str:
    return str(cluster.name if key == "cluster" else getattr(cluster, key))


def _node_value(node: Node, key: str) -> str:
    return str(node.name if key == "node" else getattr(node, key))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One capacity limit. Exactly one of `at_once`, `at_once_fraction`, `per_day` is set.

    nodes_out: nodes out at any instant, or the share (rounded down) of all in-scope nodes that match `where`.
    whole_big_clusters: whole windows of big clusters per calendar day within `first_day`..`last_day`, both included.
    cluster_windows: windows, of clusters that match `where`, open at any instant.
    """

    what: LimitKind
    at_once: int | None = None
    at_once_fraction: float | None = None
    per_day: int | None = None
    where: Where = Where()
    first_day: date | None = None
    last_day: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishByDeadline:
    """Fewest node-days after the deadline: nodes of a window times the calendar days its day lies after it."""

    term: Literal["finish_by_deadline"] = "finish_by_deadline"


@dataclass(frozen=True, slots=True, kw_only=True)
class FewestWindows:
    """Fewest windows."""

    term: Literal["fewest_windows"] = "fewest_windows"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderClasses:
    """Fewest pairs of windows of different classes that start in the wrong order, e.g. ("small research", ...)."""

    classes: tuple[str, ...]
    term: Literal["order"] = "order"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadEvenly:
    """Over calendar days: least difference between the largest and smallest share of its own nodes any geo has out."""

    where: Where
    over: str
    term: Literal["spread_evenly"] = "spread_evenly"


@dataclass(frozen=True, slots=True, kw_only=True)
class AvoidWeekday:
    """Fewest windows on that weekday; Monday is 0."""

    weekday: int
    term: Literal["avoid"] = "avoid"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadOrder:
    """Fewest pairs of windows that start in the wrong order of what they carry; counts only with a workload map.

    A cluster ranks as the highest ranked service on its nodes; one that carries none takes no part.
    """

    term: Literal["workload_order"] = "workload_order"


Preference = FinishByDeadline | FewestWindows | OrderClasses | SpreadEvenly | AvoidWeekday | WorkloadOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyWindow:
    """Local times of the campaign's zone. `hard_stop` bounds execution, not the plan."""

    start: time
    back_in_service_by: time
    hard_stop: time


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolling:
    """Bounds of every part but the last, as a share of the cluster's nodes with work; the last only at most."""

    min_fraction_per_day: float
    max_fraction_per_day: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallout:
    """Nodes that do not come back at once: share, and mean days to repair (exponential)."""

    fraction: float
    mean_days_to_repair: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """Everything in `campaign.yaml`. `updates` None means all production-ready ones; weekday 0 is Monday.

    `open_confidence`: a window that is late opens only if enough of its nodes are back by `back_in_service_by` in that
    share of rehearsals, or in as many as the plan had; 0: always.
    """

    id: CampaignId
    title: str
    planned_as_of: datetime | None
    scope: Where
    updates: frozenset[UpdateId] | None
    timezone: str
    first_day: date
    deadline: date
    extension_until: date
    daily_window: DailyWindow
    weekends_staffed: bool
    avoid_weekdays: tuple[int, ...]
    big_cluster_nodes: int
    rolling: Rolling
    limits: tuple[Limit, ...]
    preferences: tuple[Preference, ...]
    fallout: Fallout
    return_threshold: float
    open_confidence: float = field(default=OPEN_CONFIDENCE, metadata={ADDED_LATER: True})
    phases: Phases = field(default=DEFAULT_PHASES, metadata={ADDED_LATER: True})
