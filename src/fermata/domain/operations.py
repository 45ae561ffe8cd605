"""What the conductor remembers: a run, its windows, and one operation per node or device of an open window."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from fermata.domain.ids import CampaignId, ClusterId, NodeId, PlanId, RunId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.plans import Mode
from fermata.domain.readmission import NO_EVIDENCE, Evidence
from fermata.domain.reasons import Reason
from fermata.domain.run_states import Desired, ReplanMode, RunState, WindowState


class Asked(StrEnum):
    """How far the port call of the current action is. Intent is written first, so a restart repeats the same key."""

    NOTHING = "nothing"
    INTENDED = "intended"
    UNSURE = "unsure"
    UNDER_WAY = "under_way"


class Gate(StrEnum):
    """What a parked unit waits for; whoever opens the gate wakes it, and `next_at` is the fallback."""

    DEVICE = "device"
    NODES = "nodes"
    ISOLATION = "isolation"
    TEAM = "team"
    REQUIREMENT = "requirement"
    PACE = "pace"
    TRAIN = "train"
    PAUSE = "pause"
    ABORT = "abort"
    HARD_STOP = "hard_stop"
    PROOF = "proof"
    EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One conducting of one plan. `clock_at` is the last instant that was worked on: a restart goes on from there.

    `baseline_nodes` are the in-scope nodes, `baseline_in_service` those in service when the run started.
    `limits_allowed`: what each limit of the campaign allows, in its own count, in the campaign's order. `replan`: what
    the operator lets the conductor do about its plan.
    """

    id: RunId
    campaign: CampaignId
    plan: PlanId
    state: RunState
    desired: Desired
    started_at: datetime
    ended_at: datetime | None
    clock_at: datetime
    baseline_nodes: int
    baseline_in_service: int
    limits_allowed: tuple[int, ...] = ()
    replan: ReplanMode = ReplanMode.PROPOSE
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Nodes of a window that were not taken when it opened, and why."""

    reason: Reason
    nodes: tuple[NodeId, ...]


def group_left_out(reasons: Mapping[NodeId, Reason]) -> tuple[LeftOut, ...]:
    """Nodes by the reason that they share."""
    groups: dict[Reason, list[NodeId]] = {}
    for name, why in sorted(reasons.items()):
        groups.setdefault(why, []).append(name)
    return tuple(LeftOut(reason=why, nodes=tuple(names)) for why, names in groups.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRun:
    """One window of a run. `recheck_at` None: nothing left to decide about it.

    `back_by` is when capacity was promised back, `hard_stop` when nothing more begins on an untouched node.
    `taken` and `in_service_at_open` count nodes and are 0 until it opens. `behind_minutes`: the forecast against the
    planned end while open, the actual end afterwards; positive is late.
    """

    run: RunId
    window: WindowId
    plan: PlanId
    cluster: ClusterId
    mode: Mode
    part: int
    parts: int
    nodes: int
    planned_start: datetime
    planned_end: datetime
    back_by: datetime
    hard_stop: datetime
    state: WindowState = WindowState.PLANNED
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    taken: int = 0
    in_service_at_open: int = 0
    left_out: tuple[LeftOut, ...] = ()
    reason: Reason | None = None
    recheck_at: datetime | None = None
    behind_minutes: int | None = None
    version: int = 1


@dataclass(frozen=True, kw_only=True)  # without slots: `moving` copies it as one dictionary, and much copies it
class UnitOp:
    """All work on one node or device in one window. `version` fences: only who read the row last may change it.

    step, attempt: the current action and its try, from which the step key is derived. asked: how far its call is.
    applied, active: bit masks over `Window.updates`: written, and observed as running. undo: those that are not to be
    on it, see `undoing`. retries: tries after the first, by step. tries_max grows with every repair. position: index of
    the plan step it is at or waits for.
    begun: something was changed on it. slip_minutes: its last step began late (positive) against the plan.
    next_at None: nothing left to decide. tail_since: on the tail list since then because of `reason`; work may go on.
    drained_at: when it was empty last, by its workload manager's word; None: never yet, in this window.
    failed_at: of a failed unit, nothing is tried until a repair was completed after it. evidence: what its return is
    judged by. astray_since: a node that we hold was seen in service or without our lock, and is not drained anew yet.
    versions_before: what a node reported when it was taken; None where that was not kept.
    taken_again_at: of a node that was back already, when it was taken out again to be rolled back.
    """

    id: int
    run: RunId
    window: WindowId
    unit: str
    kind: UnitKind
    cluster: ClusterId
    fault_domain: str
    rank: int
    in_service_before: bool
    state: UnitState = UnitState.PENDING
    step: str = ""
    attempt: int = 1
    asked: Asked = Asked.NOTHING
    applied: int = 0
    active: int = 0
    position: int = 0
    undo: int = 0
    begun: bool = False
    gate: Gate | None = None
    reason: Reason | None = None
    next_at: datetime | None = None
    step_started_at: datetime | None = None
    limit_at: datetime | None = None
    slip_minutes: int = 0
    retries: Mapping[str, int] = field(default_factory=dict, hash=False)
    tries_max: int = 3
    locked_at: datetime | None = None
    drained_at: datetime | None = None
    failed_at: datetime | None = None
    tail_since: datetime | None = None
    finished_at: datetime | None = None
    taken_again_at: datetime | None = None
    evidence: Evidence = NO_EVIDENCE
    astray_since: datetime | None = None
    version: int = 1
    versions_before: Mapping[str, str] | None = field(default=None, hash=False)

    @property
    def was_drained(self) -> bool:
        """False of a node that may serve still: it was locked, and nothing else was done to it."""
        return self.begun or self.drained_at is not None

    @property
    def is_idle(self) -> bool:
        """True while nothing is asked of the unit itself. What failed, or is with people, has at most a notice that is
        still to be delivered, and nothing waits for that.
        """
        return self.asked is Asked.NOTHING or self.state in (UnitState.FAILED, UnitState.IN_REPAIR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was out at an instant, taken whenever a window opens and from time to time. `limits` follow the campaign."""

    at: datetime
    nodes_out: int
    in_service: int
    in_tail: int
    windows_open: int
    limits: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """How many units of one fault domain of a window write one update right now."""

    window: WindowId
    step: str
    fault_domain: str
    units: int
