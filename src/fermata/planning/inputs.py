"""What goes into the planner and the checker, and what comes out. Both are pure functions of these values."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime

from fermata.domain.campaign import Campaign
from fermata.domain.fleet import Fleet
from fermata.domain.ids import NodeId, WindowId
from fermata.domain.plans import Plan
from fermata.domain.policy import ConsentEntry, Policy
from fermata.domain.reasons import Reason
from fermata.domain.updates import Catalogue
from fermata.domain.workloads import WorkloadMap, list_preferences


@dataclass(frozen=True, kw_only=True)
class PlanningInput:
    """Everything a plan depends on. `now` is aware UTC: nothing is planned before it.

    `ledger` None means that no consent is on record because the files stand alone: the plan is then a draft made
    as if everything were approved (ConsentBasis.ASSUMED). An empty tuple means that nothing is approved.
    `policy.freezes` holds every freeze, those added later included. `confidence`: how sure the planned end of a window
    is to be, as a share of its rehearsals; a window that cannot be is planned as sure as its day allows. `max_breach`:
    the most that the simulated probability of exceeding any limit at any instant may be; None does not ask. `workloads`
    None: no service is known.
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

    @property
    def settled(self) -> "PlanningInput":
        """The same with the campaign's preferences as they count: see `domain.workloads.list_preferences`."""
        preferences = list_preferences(self.campaign.preferences, self.workloads)
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
    know, such as a search cut short.
    """

    plan: Plan
    days: tuple[Daywork, ...] = ()
    notes: tuple[Reason, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Infeasible:
    """No plan exists: a smallest set of rules that clash, and the cheapest changes that each resolve it."""

    clashes: tuple[Violation, ...]
    relaxations: tuple[Relaxation, ...]


PlanningOutcome = Planned | Infeasible
