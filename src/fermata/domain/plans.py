"""A plan: immutable, checked, with a parent. It names node, update, order and time; execution may only follow it."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

from fermata.domain.fleet import Node
from fermata.domain.ids import CampaignId, ClusterId, DeviceId, NodeId, PlanId, ServiceId, UpdateId, WindowId
from fermata.domain.reasons import Reason

SCHEMA = "fermata.plan/1"


class Mode(StrEnum):
    """Whether a window takes all of a cluster's nodes with work, or a part of them."""

    WHOLE = "whole"
    ROLLING = "rolling"


class ConsentBasis(StrEnum):
    """Where a plan's consent came from. An assumed plan is a draft to ask with: nothing in it may be published."""

    RECORDED = "recorded"
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainStep:
    """Workloads leave all nodes of the window."""

    start: datetime
    end: datetime
    step: Literal["drain"] = "drain"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceApplyStep:
    """One update on shared devices; `batch` of `batches` counts from 1."""

    update: UpdateId
    devices: tuple[DeviceId, ...]
    batch: int
    batches: int
    start: datetime
    end: datetime
    step: Literal["device_apply"] = "device_apply"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeApplyStep:
    """One update on the nodes of one batch. Which nodes: `batch_members`."""

    update: UpdateId
    batch: int
    batches: int
    nodes: int
    start: datetime
    end: datetime
    step: Literal["node_apply"] = "node_apply"


@dataclass(frozen=True, slots=True, kw_only=True)
class RebootStep:
    """One reboot that makes active every rebootful update applied on a node since its last one."""

    nodes: int
    activates: tuple[UpdateId, ...]
    start: datetime
    end: datetime
    step: Literal["reboot"] = "reboot"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyStep:
    """Every node reports its versions and passes its health check, then returns."""

    start: datetime
    end: datetime
    step: Literal["verify"] = "verify"


Step = DrainStep | DeviceApplyStep | NodeApplyStep | RebootStep | VerifyStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Nodes of one cluster on one day, out over `[start, end)`, UTC. `nodes` are sorted by name. `unsure`: why its end
    is less sure than was asked, and what would make it surer; None: it is as sure as that.
    """

    id: WindowId
    cluster: ClusterId
    mode: Mode
    part: int
    parts: int
    start: datetime
    end: datetime
    nodes: tuple[NodeId, ...]
    updates: tuple[UpdateId, ...]
    steps: tuple[Step, ...]
    reboots_per_node: int
    end_confidence: float
    unsure: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplanned:
    """Nodes with pending work that no window takes, and the one reason why."""

    cluster: ClusterId
    nodes: tuple[NodeId, ...]
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Load of so many nodes that are out, carried meanwhile by as many done nodes of `lender` in `to_cluster`."""

    from_cluster: ClusterId
    to_cluster: ClusterId
    lender: ServiceId
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDay:
    """One service in one geo on a calendar day on which nodes of it are out, at the first instant with the most out.

    `nodes` in service at the start, less `out`, plus `lent` makes `remaining`, which is never below `minimum`. `moves`
    say where the lent ones stand.
    """

    service: ServiceId
    geo: str
    day: date
    at: datetime
    nodes: int
    out: int
    lent: int
    remaining: int
    minimum: int
    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveTerm:
    """One preference: what the plan reaches, and what no plan can be better than. Smaller is better.

    The bound is over the plans that the planner considers: its parts, step lengths, grid of starts and spare room.
    """

    term: str
    value: float
    bound: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InputHashes:
    """SHA-256 (hex) of the canonical content of each input: see `domain.hashing`. None: there was none."""

    fleet: str
    updates: str
    policy: str
    campaign: str
    workloads: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SolverNote:
    """How the plan was found. `seconds` is deterministic solver time, so equal inputs give equal bytes."""

    status: str
    seconds: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every in-scope node with pending production-ready work stands in exactly one window or in `unplanned`.

    `services` is empty without a workload map; it is ordered by day, then service and geo.
    """

    id: PlanId
    parent: PlanId | None
    campaign: CampaignId
    created_at: datetime
    inputs: InputHashes
    consent: ConsentBasis
    windows: tuple[Window, ...]
    unplanned: tuple[Unplanned, ...]
    objective: tuple[ObjectiveTerm, ...]
    solver: SolverNote
    services: tuple[ServiceDay, ...] = ()


def batch_members(nodes: Sequence[Node], sizes: Sequence[int]) -> tuple[tuple[Node, ...], ...]:
    """Which nodes each batch of an update takes: those with the update due, ordered by fault domain, then name,
    cut into runs of `sizes`. Planner, checker and conductor all read batches this way; `sizes` sums to len(nodes).
    """
    if sum(sizes) != len(nodes):
        raise ValueError(f"batches hold {sum(sizes)} nodes, the update is due on {len(nodes)}")
    ordered = sorted(nodes, key=lambda node: (node.fault_domain, node.name))
    cuts = [0]
    for size in sizes:
        cuts.append(cuts[-1] + size)
    return tuple(tuple(ordered[a:b]) for a, b in itertools.pairwise(cuts))
