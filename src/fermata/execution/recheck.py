"""The plan checked once more, by the independent checker, just before a window opens; and whether all is served."""

from fermata.domain.operations import WindowRun
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.routing import judge_served
from fermata.execution.stage import Stage
from fermata.planning.case import CheckCase, build_case
from fermata.planning.checker import check_case
from fermata.planning.inputs import PlanningInput
from fermata.store import consent, inventory, plans

JUDGED_LIVE = frozenset(
    {"ALLOWED_WINDOWS", "APPROVED_PER_DAY", "COMPANIONS", "CONSENT", "FLIGHTS", "FREEZE"}
)  # node by node at the opening: a no leaves nodes out, not the window
OF_THE_WHOLE_PLAN = frozenset(
    {
        "DEVICES_APPLIED",
        "NODES_COVERED",
        "NOT_BEFORE_NOW",
        "OBJECTIVE_BOUNDS",
        "OBJECTIVE_VALUES",
        "UNPLANNED_REASON",
        "WHOLE_CLUSTER",
    }
)  # whether the plan does all that it could: consent given or withdrawn later changes that, and harms no window


def find_fault(stage: Stage, row: WindowRun) -> Reason | None:
    """The first rule that the window breaks against the fleet it was planned for and today's policy, or what it needs
    and no adapter of the site serves; None: it may go.
    """
    score = stage.score(row.plan)
    served, window = stage.site.served, stage.script(row.window).window
    lacks = judge_served(row.window, served, [window], score.fleet, score.catalogue) if served is not None else None
    if lacks is not None:
        return lacks
    case = stage.cases.get(row.plan)
    if case is None:
        case = stage.cases[row.plan] = _build(stage, row)
    for violation in check_case(case, score.plan, only=frozenset({row.window})):
        if violation.rule not in JUDGED_LIVE | OF_THE_WHOLE_PLAN:
            return reason(Code.PLAN_FAULTED, window=row.window, rule=violation.rule, fault=violation.sentence)
    return None


def _build(stage: Stage, row: WindowRun) -> CheckCase:
    score = stage.score(row.plan)
    with stage.database.read() as conn:
        policy = inventory.load_policy(conn)
        ledger = consent.load_ledger(conn)
        parent = plans.load_plan(conn, score.plan.parent) if score.plan.parent else None
        observed = plans.load_observed(conn, score.plan.id)
        workloads = plans.load_workloads_snapshot(conn, score.plan.inputs.workloads)
    inputs = PlanningInput(
        fleet=score.fleet,
        catalogue=score.catalogue,
        policy=policy,
        campaign=stage.campaign,
        ledger=ledger,
        now=score.plan.created_at,
        parent=parent,
        observed=observed,
        workloads=workloads,
    )
    return build_case(inputs)
