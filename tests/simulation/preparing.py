"""A case as its people bring it on its way: imported, approved, planned by the planner, published."""

from tests.simulation.cases import SmallCase, make_case
from tests.simulation.troubles import Customers

from fermata.domain.plans import Plan
from fermata.planning.inputs import Asked, Planned
from fermata.services import consent, inventory, plans
from fermata.services.errors import Refusal
from fermata.store.database import Database


def prepare(seed: int, database: Database, customers: Customers) -> tuple[SmallCase, Plan] | None:
    """The case of that seed with its published plan; an easier one where it has none, None where that has none."""
    for easy in (False, True):
        case = make_case(seed, easy=easy)
        plan = _plan(case, database, customers)
        if plan is not None:
            plans.publish(database, plan.id, now=case.now, actor="operator")
            return case, plan
    return None


def _plan(case: SmallCase, database: Database, customers: Customers) -> Plan | None:
    given = inventory.ImportSet(fleet=case.fleet, catalogue=case.catalogue, policy=case.policy, campaign=case.campaign)
    inventory.import_set(database, given, now=case.now, actor="operator")
    for word in case.words:
        order = consent.Order(scope=word.scope, verdict=word.verdict, terms=word.terms)
        try:
            consent.decide(database, [order], now=case.now, new_id=customers.new_id)
        except Refusal:  # nothing is pending there
            continue
    for node in case.repairs:
        try:
            customers.ask_repair(node, case.now)
        except Refusal:  # it was asked for when the harder case had no plan
            continue
    wanted = plans.Wanted(asked=Asked(seed=case.seed, is_overdue=_always))
    made = plans.make_plan(database, case.campaign.id, now=case.now, new_id=customers.new_id, wanted=wanted)
    return made.plan if isinstance(made, Planned) else None


def _always() -> bool:
    """Any plan will do, the first that the checker passes."""
    return True
