"""Where flights fly by what is on record: consent, policy, inventory, and what was rolled back since. Nothing of it is
stored; a plan keeps what it was made from.
"""

from collections.abc import Collection

from fermata.domain.fleet import Fleet
from fermata.domain.flights import NEVER_UNDONE, Undone, as_flown, as_planned
from fermata.domain.ids import PlanId
from fermata.domain.planned_flights import PlannedFlight, find_planned_flights
from fermata.domain.plans import Plan
from fermata.domain.policy import ConsentEntry, Policy
from fermata.domain.updates import Catalogue
from fermata.store import consent, inventory, plans, recovery
from fermata.store.database import Connection, NotStored, recall, remember

_REMEMBERED = "flights of a plan"


def load_flown(conn: Connection, fleet: Fleet, policy: Policy, ledger: Collection[ConsentEntry] | None) -> Catalogue:
    """The catalogue with the flights that fly on `fleet`. `ledger` None: nobody was asked, so that nothing flies."""
    catalogue = inventory.load_catalogue(conn)
    if ledger is None:
        return catalogue
    return as_flown(fleet, catalogue, policy, ledger, load_undone(conn, ledger))


def load_undone(conn: Connection, ledger: Collection[ConsentEntry]) -> Undone:
    """When the flights of the ledger were last rolled back on which node."""
    names = {entry.flight for entry in ledger if entry.flight is not None}
    return recovery.load_undone(conn, names) if names else NEVER_UNDONE


def load_planned(conn: Connection, catalogue: Catalogue, plan: Plan) -> Catalogue:
    """`catalogue` with the flights of a stored plan as they were when it was made; itself if it was made without."""
    try:
        planned = plans.load_snapshot(conn, plan.inputs.updates, Catalogue)
    except NotStored:
        return catalogue
    return as_planned(catalogue, planned)


def planned_flights(conn: Connection, plan_id: PlanId) -> tuple[PlannedFlight, ...]:
    """The flights of a stored plan, which never change: those of the last plan are at hand. Raises NotStored."""
    known: tuple[PlanId, tuple[PlannedFlight, ...]] | None = recall(conn, _REMEMBERED)
    if known is not None and known[0] == plan_id:
        return known[1]
    found = _find_planned(conn, plan_id)
    remember(conn, _REMEMBERED, (plan_id, found))
    return found


def _find_planned(conn: Connection, plan_id: PlanId) -> tuple[PlannedFlight, ...]:
    if not consent.names_flights(conn):
        return ()  # as nearly everywhere: a plan takes a while to read
    plan = plans.load_plan(conn, plan_id)
    try:
        planned = plans.load_snapshot(conn, plan.inputs.updates, Catalogue)
    except NotStored:
        return ()
    return find_planned_flights(plan, planned.flights)
