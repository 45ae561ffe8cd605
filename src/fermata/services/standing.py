"""The operator verb of standing plans: make one from what the store holds. Nothing is stored."""

from collections.abc import Sequence
from datetime import datetime

from fermata.planning.standing.outages import Outage, StandingPlan
from fermata.planning.standing.plan import Terms, plan_standing
from fermata.services.errors import refusing_unknown
from fermata.store import inventory
from fermata.store.database import Database

DAYS_MOST = 3 * 365  # no catalogue announces more


def make_standing(db: Database, terms: Terms, *, now: datetime, published: Sequence[Outage] = ()) -> StandingPlan:
    """As `plan_standing`, from the fleet, catalogue and policy on record. Raises Refusal when one is missing."""
    with refusing_unknown(), db.read() as conn:
        fleet = inventory.load_fleet(conn)
        catalogue = inventory.load_catalogue(conn)
        policy = inventory.load_policy(conn)
    return plan_standing(fleet, catalogue, policy, terms, now=now, published=published)
