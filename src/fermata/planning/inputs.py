"""What goes into the planner and the checker, and what comes out. Both are pure functions of these values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property

from fermata.domain.campaign import Campaign
from fermata.domain.fleet import Fleet
from fermata.domain.ids import NodeId, WindowId
from fermata.domain.observed import Observed
from fermata.domain.pending import FleetPending, find_pending
from fermata.domain.plan_diff import PlanDiff
from fermata.domain.plans import Plan
from fermata.domain.policy import ConsentEntry, Policy
from fermata.domain.reasons import Reason
from fermata.domain.replanning import NO_PARENT, Standing, advance_fleet, find_standing, lead_time
from fermata.domain.updates import Catalogue
from fermata.domain.workloads import WorkloadMap, list_preferences


@dataclass(frozen=True, kw_only=True)
class PlanningInput:
    """Everything a plan depends on. `now` is aware UTC: nothing is planned before it.

    `ledger` None means that no consent is on record because the files stand alone: the plan is then a draft made
    as if everything were approved (ConsentBasis.ASSUMED). An empty tuple means that nothing is approved.
    `policy.freezes` holds every freeze, those added later included. `confidence`: how sure the planned end of a window
    is to be, as a share of its rehearsals; a window that cannot be is planned as sure as its day allows. `max_breach`:
    the most that the simulated probability of exceeding any limit at any instant may be; None does not ask.
    With a `parent` this is a re-plan as of `now`: what ran of it stays and what was published moves only if it must.
    `observed` None: nothing was told, which the planner takes only as long as nothing of the parent has begun.
    `workloads` None: no service is known. `held`: nodes that work orders keep for themselves, each with why.
    """

    fleet: Fleet
    catalogue: Catalogue
    policy: Policy
    campaign: Campaign
    ledger: tuple[ConsentEntry, ...] | None
    now: datetime
    seed: int = 1
    parent: Plan | None = None
    confidence: float = 0.9
    max_breach: float | None = None
    workloads: WorkloadMap | None = None
    observed: Observed | None = None
    held: Mapping[NodeId, Reason] = field(default_factory=dict)

    @cached_property
    def lead(self) -> timedelta:
        """How long before its start a published window is settled: see `replanning.lead_time`."""
        return lead_time(self.policy)

    @cached_property
    def standing(self) -> Standing:
        """What of the parent still stands at `now`; nothing without a parent."""
        if self.parent is None:
            return NO_PARENT
        return find_standing(self.parent, self.observed, self.fleet, self.pending_now, now=self.now, lead=self.lead)

    @cached_property
    def pending_now(self) -> FleetPending:
        """What is due by the inventory as it stands."""
        return find_pending(self.fleet, self.catalogue, self.campaign.updates)

    @cached_property
    def fleet_to_come(self) -> Fleet:
        """The fleet as if what ran, or is running, of the parent had ended well: what is due on it is left to plan."""
        if not self.standing.history:
            return self.fleet
        return advance_fleet(self.fleet, self.standing, self.pending_now, self.observed)

    @cached_property
    def pending_to_come(self) -> FleetPending:
        """What is due on `fleet_to_come`. Planner and checker both ask, once is enough."""
        if self.fleet_to_come is self.fleet:
            return self.pending_now
        return find_pending(self.fleet_to_come, self.catalogue, self.campaign.updates)

    @property
    def settled(self) -> "PlanningInput":
        """The same with the campaign's preferences as they count: see `domain.workloads.list_preferences`."""
        preferences = list_preferences(self.campaign.preferences, self.workloads)
        if preferences == self.campaign.preferences:
            return self
        return replace(self, campaign=replace(self.campaign, preferences=preferences))


def never() -> bool:
    """A search that takes as long as it needs."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What whoever asks for a plan may choose, beside the files: as in PlanningInput."""

    seed: int = 1
    confidence: float = 0.9
    max_breach: float | None = None
    is_overdue: Callable[[], bool] = never


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One broken rule: the rule's code (its file in `planning/constraints`), where, and what an operator reads."""

    rule: str
    sentence: str
    window: WindowId | None = None
    nodes: tuple[NodeId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """One change that alone makes a plan possible, in the words of the files: a plan with it was found and checked."""

    rule: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Daywork:
    """What solving all windows of one day together brought. `proven`: no sum of their ends is less on that day.

    `minutes_saved`: by how much earlier its windows end, added up.
    """

    day: date
    windows: int
    proven: bool
    minutes_saved: int


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A plan that the checker passed, and how each of its days was timed. `notes`: what whoever asked for it should
    know, such as a search cut short. `diff`: of a re-plan, how it differs from the plan that it follows.
    """

    plan: Plan
    days: tuple[Daywork, ...] = ()
    notes: tuple[Reason, ...] = ()
    diff: PlanDiff | None = None


@dataclass(frozen=True, kw_only=True)
class Infeasible:
    """No plan exists: a smallest set of rules that clash, and the cheapest changes that each resolve it."""

    clashes: tuple[Violation, ...]
    relaxations: tuple[Relaxation, ...]


PlanningOutcome = Planned | Infeasible
