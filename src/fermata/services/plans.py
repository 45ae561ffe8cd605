"""Operator verbs of plans: make one from the store, take one in from a file, check it, put it in force."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fermata.domain.campaign import Campaign
from fermata.domain.freshness import without_evidence
from fermata.domain.hashing import content_sha256, fleet_sha256
from fermata.domain.ids import CampaignId, PlanId, WindowId
from fermata.domain.plan_codes import PlanCode
from fermata.domain.planned_flights import PlannedFlight
from fermata.domain.plans import ConsentBasis, InputHashes, Plan
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.updates import Catalogue
from fermata.formats.ics import calendar_to_bytes
from fermata.planning.checker import check_hashes, check_plan
from fermata.planning.inputs import Asked, Planned, PlanningInput, PlanningOutcome, Violation
from fermata.planning.planner import PlanFaulted, plan_campaign
from fermata.planning.replan_refuse import ParentRefused
from fermata.planning.search import SearchOptions
from fermata.planning.stages import Watch, ignore_stage
from fermata.services.errors import Refusal, refusing_unknown
from fermata.services.observed import observe_plan
from fermata.services.posting import post_published
from fermata.services.site_served import require_served
from fermata.store import consent as consent_store
from fermata.store import inventory, journal, runs, workloads
from fermata.store import plans as plan_store
from fermata.store.database import Connection, Database, NotStored
from fermata.store.flights import load_flown, planned_flights
from fermata.store.inventory_sources import list_stale
from fermata.store.work_orders import held_nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What came of publishing: the plan in force now, and whether it was so already."""

    plan: Plan
    already: bool

    @property
    def line(self) -> "PublishedLine":
        """Without its windows."""
        plan = self.plan
        return PublishedLine(
            plan=plan.id, campaign=plan.campaign, parent=plan.parent, windows=len(plan.windows), already=self.already
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedLine:
    """The plan in force now. `already`: it was so before."""

    plan: PlanId
    campaign: CampaignId
    parent: PlanId | None
    windows: int
    already: bool


DEFAULT_ASKED = Asked()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a new plan is to be. `as_of` None: the campaign's own moment, else now; `watch` is told of stages."""

    as_of: datetime | None = None
    asked: Asked = DEFAULT_ASKED
    watch: Watch = ignore_stage


DEFAULTS = Wanted()


@dataclass(frozen=True, kw_only=True)
class Made:
    """What came of an order to plan, the campaign that was planned, and the flights that the plan brings."""

    campaign: Campaign
    outcome: PlanningOutcome
    flights: tuple[PlannedFlight, ...] = ()


def make_plan(
    db: Database,
    campaign_id: CampaignId,
    *,
    now: datetime,
    new_id: Callable[[str], str],
    wanted: Wanted = DEFAULTS,
) -> PlanningOutcome:
    """Plans a campaign with the consent on record, to follow the plan in force; stores it once the checker passed.

    It is made for the moment that is wanted, else for where the latest run has come, else for the campaign's own
    `planned_as_of`, else for `now`. Solving takes a while and happens outside any transaction; whether the inputs are
    still the same is asked when the plan is published.
    """
    solved = solve(db, campaign_id, now=now, new_id=new_id, wanted=wanted)
    if isinstance(solved.outcome, Planned):
        with db.begin() as conn:
            keep_plan(conn, solved.inputs, solved.outcome.plan, now=now, actor="planner")
    return solved.outcome


@dataclass(frozen=True, kw_only=True)
class Solved:
    """What came of solving, and the inputs that it was solved for. Nothing is stored yet."""

    inputs: PlanningInput
    outcome: PlanningOutcome


def solve(
    db: Database, campaign_id: CampaignId, *, now: datetime, new_id: Callable[[str], str], wanted: Wanted = DEFAULTS
) -> Solved:
    """As `make_plan`, for whoever stores the plan with something of its own."""
    with refusing_unknown(), db.read() as conn:
        gathered = read_inputs(conn, campaign_id, now=now, wanted=wanted)
    inputs = replace(gathered, confidence=wanted.asked.confidence, max_breach=wanted.asked.max_breach)
    outcome = _plan(inputs, new_id("plan"), SearchOptions(is_overdue=wanted.asked.is_overdue, watch=wanted.watch))
    if isinstance(outcome, Planned):
        _refuse_violations(outcome.plan, check_plan(inputs, outcome.plan))
        with db.read() as conn:
            require_served(conn, outcome.plan, inputs.fleet, inputs.catalogue)
    return Solved(inputs=inputs, outcome=outcome)


def read_inputs(
    conn: Connection, campaign_id: CampaignId, *, now: datetime, wanted: Wanted = DEFAULTS
) -> PlanningInput:
    """What a plan that follows the one in force would be made from, with what came of that by then."""
    campaign = inventory.load_campaign(conn, campaign_id)
    parent = plan_store.published_plan(conn, campaign_id)
    moment = wanted.as_of or _moment(conn, campaign, parent) or now
    asked = _Asked(at=now, moment=moment, seed=wanted.asked.seed)
    return _observe(conn, _gather(conn, campaign, asked, parent=parent))


def plan_stored_campaign(
    db: Database,
    campaign: CampaignId,
    *,
    now: datetime,
    new_id: Callable[[str], str],
    wanted: Wanted = DEFAULTS,
) -> Made:
    """As `make_plan`, for whoever shows what came of it. Raises Refusal also when the checker faults what was found."""
    with refusing_unknown(), db.read() as conn:
        of = inventory.load_campaign(conn, campaign)
    with refusing_faulted():
        outcome = make_plan(db, campaign, now=now, new_id=new_id, wanted=wanted)
    with db.read() as conn:
        flights = planned_flights(conn, outcome.plan.id) if isinstance(outcome, Planned) else ()
    return Made(campaign=of, outcome=outcome, flights=flights)


@contextmanager
def refusing_faulted() -> Iterator[None]:
    """A plan of our own that the checker faults becomes a refusal: it is neither stored nor written."""
    try:
        yield
    except PlanFaulted as faulted:
        first = faulted.violations[0]
        fields = {"plan": "The new plan", "count": len(faulted.violations), "rule": first.rule}
        raise Refusal(reason(Code.PLAN_VIOLATES, **fields, sentence=first.sentence)) from faulted


def draw_calendar(db: Database, plan: PlanId) -> bytes:
    """A stored plan as a calendar (iCalendar); windows of its parent that are no more are cancelled."""
    made, inputs = load_plan_inputs(db, plan)
    return calendar_to_bytes(made, inputs.campaign, parent=inputs.parent)


def _moment(conn: Connection, campaign: Campaign, parent: Plan | None) -> datetime | None:
    """What a plan is made for unless that is said: the campaign's own moment, or where the run that is on has come."""
    run = runs.latest_run(conn, campaign.id) if parent is not None else None
    return campaign.planned_as_of if run is None else run.clock_at


def _observe(conn: Connection, inputs: PlanningInput) -> PlanningInput:
    """The inputs with what came of the parent by now."""
    if inputs.parent is None:
        return inputs
    observed = observe_plan(conn, inputs.parent, inputs.fleet, inputs.catalogue, inputs.campaign, inputs.now)
    return replace(inputs, observed=observed)


def _plan(inputs: PlanningInput, plan_id: str, options: SearchOptions) -> PlanningOutcome:
    try:
        return plan_campaign(inputs, new_plan_id=plan_id, hashes=hash_inputs(inputs), options=options)
    except ParentRefused as refused:
        raise Refusal(refused.reason) from refused


def import_plan(db: Database, plan: Plan, *, now: datetime, actor: str) -> bool:
    """Stores a plan made from files, after the checker passed it. False when it was stored already.

    Raises Refusal when the store holds other inputs than it was made from, or another plan of its id.
    """
    with refusing_unknown(), db.begin() as conn:
        if _is_stored(conn, plan):
            return False
        inputs = _inputs_of(conn, plan, at=now, recorded=plan.consent is ConsentBasis.RECORDED)
        _refuse(check_hashes(plan, hash_inputs(inputs)))
        _refuse_violations(plan, check_plan(inputs, plan))
        keep_plan(conn, inputs, plan, now=now, actor=actor)
        return True


def check_stored_plan(
    db: Database, plan_id: PlanId, *, only: frozenset[WindowId] | None = None
) -> tuple[Violation, ...]:
    """What a stored plan breaks now: judged against the fleet, updates and campaign it was made from, and against
    the freezes and the consent of this moment, so that a withdrawal or a new freeze shows. `only` as in `check_plan`.
    """
    plan, inputs = load_plan_inputs(db, plan_id)
    return check_plan(inputs, plan, only=only)


def load_plan_inputs(db: Database, plan_id: PlanId) -> tuple[Plan, PlanningInput]:
    """A stored plan, and the fleet, updates and campaign it was made from with the freezes and the consent of now."""
    with refusing_unknown(), db.read() as conn:
        plan = plan_store.load_plan(conn, plan_id)
        return plan, load_inputs(conn, plan)


def load_inputs(conn: Connection, plan: Plan) -> PlanningInput:
    """What a stored plan was made from, as of its own moment, but with the freezes, the consent and the work orders of
    this one.
    """
    fleet = plan_store.load_fleet_snapshot(conn, plan.inputs.fleet)
    return PlanningInput(
        fleet=fleet,
        catalogue=plan_store.load_snapshot(conn, plan.inputs.updates, Catalogue),
        policy=inventory.load_policy(conn),
        campaign=plan_store.load_snapshot(conn, plan.inputs.campaign, Campaign),
        ledger=consent_store.load_ledger(conn) if plan.consent is ConsentBasis.RECORDED else None,
        now=plan.created_at,
        seed=plan.solver.seed,
        parent=plan_store.load_plan(conn, plan.parent) if plan.parent else None,
        workloads=plan_store.load_workloads_snapshot(conn, plan.inputs.workloads),
        observed=plan_store.load_observed(conn, plan.id),
        held=held_nodes(conn, fleet, plan.created_at) if plan.consent is ConsentBasis.RECORDED else {},
    )


def publish(db: Database, given: PlanId | Plan, *, now: datetime, actor: str, why: str = "") -> Published:
    """Puts a stored plan, or one made from files, which is stored with it, in force in the place of its parent.

    Raises Refusal for a draft that assumes consent, for inputs that changed since, for a plan that breaks a rule,
    outruns the consent of this moment or needs more than the site serves, and for one whose parent is not in force. All
    of it is judged while nobody else can write, so that what is in force was right when it came into force.
    """
    with refusing_unknown(), db.begin() as conn:
        return publish_in(conn, given, now=now, actor=actor, why=why)


def publish_in(conn: Connection, given: PlanId | Plan, *, now: datetime, actor: str, why: str = "") -> Published:
    """As `publish`, within a transaction of the caller's."""
    plan = given if isinstance(given, Plan) else plan_store.load_plan(conn, given)
    is_stored = _is_stored(conn, plan)
    current = plan_store.published_plan_id(conn, plan.campaign)
    if current == plan.id:
        return Published(plan=plan, already=True)
    _refuse(_judge_standing(plan, current) or _judge_evidence(conn, plan, now))
    inputs = _inputs_of(conn, plan, at=now, recorded=True)
    _refuse(check_hashes(plan, hash_inputs(inputs)))
    _refuse_violations(plan, check_plan(inputs, plan))
    require_served(conn, plan, inputs.fleet, inputs.catalogue)
    if not is_stored:
        keep_plan(conn, inputs, plan, now=now, actor=actor)
    plan_store.publish_plan(conn, plan.id, now)
    journal.append(conn, _entry("plan.published", plan, now=now, actor=actor, why=why))
    post_published(conn, plan, now=now, actor=actor)
    return Published(plan=plan, already=False)


def judge_inputs(conn: Connection, solved: "Solved", plan: Plan, now: datetime) -> Reason | None:
    """Why the plan is not to be taken although it was just made, or None: the store holds other inputs by now."""
    current = _inputs_of(conn, plan, at=now, recorded=True)
    changed = check_hashes(plan, hash_inputs(current))
    if changed is None and (current.observed, current.ledger) != (solved.inputs.observed, solved.inputs.ledger):
        return reason(PlanCode.PLAN_INPUTS_CHANGED, plan=plan.id, inputs="what came of its parent, or consent")
    return changed


def _is_stored(conn: Connection, plan: Plan) -> bool:
    """Raises Refusal when the store holds another plan of that id."""
    try:
        stored = plan_store.load_plan(conn, plan.id)
    except NotStored:
        return False
    if stored != plan:
        raise Refusal(reason(Code.PLAN_EXISTS, plan=plan.id))
    return True


def _judge_standing(plan: Plan, current: PlanId | None) -> Reason | None:
    if plan.consent is ConsentBasis.ASSUMED:
        return reason(Code.PLAN_CONSENT_ASSUMED, plan=plan.id)
    if plan.parent != current:
        parent, in_force = plan.parent or "no plan", current or "no plan"
        return reason(Code.PLAN_PARENT_STALE, plan=plan.id, parent=parent, current=in_force)
    return None


def _judge_evidence(conn: Connection, plan: Plan, now: datetime) -> Reason | None:
    """Why nobody knows what some node of the plan runs by now, or None."""
    stale = list_stale(conn, now).nodes
    return next((stale[name] for window in plan.windows for name in window.nodes if name in stale), None)


def _inputs_of(conn: Connection, plan: Plan, *, at: datetime, recorded: bool) -> PlanningInput:
    """The store's inputs as of `at`, for judging `plan` as if it were made from them at its own moment."""
    campaign = inventory.load_campaign(conn, plan.campaign)
    parent = plan_store.load_plan(conn, plan.parent) if plan.parent else None
    asked = _Asked(at=at, moment=plan.created_at, seed=plan.solver.seed)
    return _observe(conn, _gather(conn, campaign, asked, parent=parent, recorded=recorded))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """When somebody asks, by the clock, and for which moment a plan is made."""

    at: datetime
    moment: datetime
    seed: int


def _gather(
    conn: Connection, campaign: Campaign, asked: _Asked, *, parent: Plan | None, recorded: bool = True
) -> PlanningInput:
    """Nothing is known of units that a source of inventory has not confirmed for too long."""
    fleet = without_evidence(inventory.load_fleet(conn), list_stale(conn, asked.at))
    policy, ledger = inventory.load_policy(conn), consent_store.load_ledger(conn) if recorded else None
    return PlanningInput(
        fleet=fleet,
        catalogue=load_flown(conn, fleet, policy, ledger),
        policy=policy,
        campaign=campaign,
        ledger=ledger,
        now=asked.moment,
        seed=asked.seed,
        parent=parent,
        workloads=workloads.find_workloads(conn),
        held=held_nodes(conn, fleet, asked.moment) if recorded else {},
    )


def hash_inputs(inputs: PlanningInput) -> InputHashes:
    """What a plan of these inputs says it was made from."""
    return InputHashes(
        fleet=fleet_sha256(inputs.fleet),
        updates=content_sha256(inputs.catalogue),
        policy=content_sha256(inputs.policy),
        campaign=content_sha256(inputs.campaign),
        workloads=content_sha256(inputs.workloads) if inputs.workloads else None,
    )


def keep_plan(conn: Connection, inputs: PlanningInput, plan: Plan, *, now: datetime, actor: str) -> None:
    """Stores a plan with what it was made from."""
    plan_store.save_plan(conn, plan, now)
    if inputs.observed is not None:
        plan_store.save_observed(conn, plan.id, inputs.observed)
    plan_store.save_snapshot(conn, plan.inputs.fleet, inputs.fleet)
    plan_store.save_snapshot(conn, plan.inputs.updates, inputs.catalogue)
    plan_store.save_snapshot(conn, plan.inputs.policy, inputs.policy)
    plan_store.save_snapshot(conn, plan.inputs.campaign, inputs.campaign)
    if plan.inputs.workloads is not None:
        plan_store.save_snapshot(conn, plan.inputs.workloads, inputs.workloads)
    journal.append(conn, _entry("plan.stored", plan, now=now, actor=actor, why=""))


def _refuse(why: Reason | None) -> None:
    if why is not None:
        raise Refusal(why)


def _refuse_violations(plan: Plan, violations: tuple[Violation, ...]) -> None:
    if violations:
        said = {"count": len(violations), "rule": violations[0].rule, "sentence": violations[0].sentence}
        raise Refusal(reason(Code.PLAN_VIOLATES, plan=plan.id, **said))


def _entry(event: str, plan: Plan, *, now: datetime, actor: str, why: str) -> journal.Entry:
    data: dict[str, Any] = {
        "campaign": plan.campaign,
        "parent": plan.parent,
        "consent": plan.consent.value,
        "windows": len(plan.windows),
        "nodes": sum(len(window.nodes) for window in plan.windows),
        "unplanned": sum(len(left.nodes) for left in plan.unplanned),
    }
    return journal.Entry(at=now, actor=actor, event=event, subject=f"plan:{plan.id}", data=data, why=why)
