"""The operator verb of standing plans: make one from what the store holds. Nothing is stored."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from fermata.domain.freshness import StaleSource, find_old
from fermata.planning.standing.outages import ClusterStanding, Outage, StandingPlan, Trouble
from fermata.planning.standing.plan import Terms, plan_standing
from fermata.services.errors import refusing_unknown
from fermata.store import inventory
from fermata.store.database import Database
from fermata.store.inventory_sources import stale_sources

DAYS_MOST = 3 * 365  # no catalogue announces more


def make_standing(db: Database, terms: Terms, *, now: datetime, published: Sequence[Outage] = ()) -> StandingPlan:
    """As `plan_standing`, from the fleet, catalogue and policy on record; where the fleet is shown by an old word of
    its source, the cluster says so. Raises Refusal when one is missing.
    """
    with refusing_unknown(), db.read() as conn:
        fleet = inventory.load_fleet(conn)
        catalogue = inventory.load_catalogue(conn)
        policy = inventory.load_policy(conn)
        stale = stale_sources(conn, now)
    made = plan_standing(fleet, catalogue, policy, terms, now=now, published=published)
    return replace(made, clusters=tuple(_with_stale(cluster, stale, now) for cluster in made.clusters))


def _with_stale(cluster: ClusterStanding, stale: Sequence[StaleSource], now: datetime) -> ClusterStanding:
    """With what is planned there by an old word, before its other troubles."""
    old = [
        Trouble(
            cluster=cluster.cluster,
            update=None,
            due=None,
            day=None,
            units=word.nodes + word.devices,
            reason=word.reason,
        )
        for word in find_old(stale, [cluster.cluster], now)
    ]
    return replace(cluster, troubles=(*old, *cluster.troubles)) if old else cluster
