"""Why a plan of the store treats a window, a cluster or a node as it does."""

from fermata.domain.ids import CampaignId, PlanId
from fermata.domain.plan_codes import PlanCode
from fermata.domain.plans import Plan
from fermata.domain.reasons import Code, reason
from fermata.planning.inputs import PlanningInput
from fermata.planning.why import Explanation, explain_name, list_names
from fermata.services import plans, runs
from fermata.services.errors import Refusal, nearest, refusing_unknown
from fermata.store import plans as plan_store
from fermata.store.database import Database


def explain_stored(db: Database, name: str, *, plan: PlanId | None, campaign: CampaignId | None) -> Explanation:
    """By that plan, else by the one in force for the campaign, else for the only campaign on record. Freezes and
    consent are those of this moment. Raises Refusal for an unknown name and where no plan is in force.
    """
    asked = campaign if plan or campaign else runs.only_campaign(db)
    with refusing_unknown(), db.read() as conn:
        made = plan_store.load_plan(conn, plan) if plan else None
        if made is None and asked is not None:
            made = plan_store.published_plan(conn, asked)
        if made is None:
            raise Refusal(reason(Code.NOT_PUBLISHED, campaign=asked))
        inputs = plans.load_inputs(conn, made)
    return explain(inputs, made, name)


def explain(inputs: PlanningInput, plan: Plan, name: str) -> Explanation:
    """By a plan at hand and what it was made from. Raises Refusal, with the nearest name, for an unknown one."""
    answer = explain_name(inputs, plan, name)
    if answer is None:
        near = nearest(name, list_names(inputs, plan))
        raise Refusal(reason(PlanCode.WHY_UNKNOWN, plan=plan.id, name=name, nearest=near))
    return answer
