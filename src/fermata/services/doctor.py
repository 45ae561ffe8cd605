"""What a store says of itself to `fermata doctor`. Everything is only read: nothing is upgraded, nothing is made."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fermata.domain.campaign import Campaign
from fermata.domain.doctor_facts import InForce, JournalFacts, StoreFacts, StoreLook
from fermata.domain.fleet import Fleet
from fermata.domain.intents import ScopeKind
from fermata.domain.policy import Policy
from fermata.domain.run_states import LIVE_RUNS
from fermata.services import audit
from fermata.store import intents, inventory, inventory_sources, journal, leases, plans, rights, runs
from fermata.store.database import Connection, Database, NotStored, StoreUnavailable, read_revision
from fermata.store.leases import Lease

NOBODY: tuple[Lease, ...] = ()


def look(url: str, *, now: datetime) -> tuple[StoreLook, tuple[Lease, ...]]:
    """A look at the store at a URL, and the leases that somebody holds in it."""
    db = Database(url)
    is_sqlite = db.engine.dialect.name == "sqlite"
    file = str(db.engine.url.database) if is_sqlite else ""
    place = file or db.engine.url.render_as_string()
    try:
        if is_sqlite and not Path(file).is_file():
            return StoreLook(place=place, file=file, why="there is no such file"), NOBODY
        found, known = read_revision(db)
        if found != known:
            return StoreLook(place=place, file=file, found=found, known=known), NOBODY
        facts = _read(db, now, is_sqlite=is_sqlite)
        with db.read() as conn:
            held = leases.list_held(conn)
    except StoreUnavailable as error:
        return StoreLook(place=place, file=file, why=str(error)), NOBODY
    finally:
        db.close()
    return StoreLook(place=place, file=file, found=found, known=known, facts=facts), held


def _read(db: Database, now: datetime, *, is_sqlite: bool) -> StoreFacts:
    ahead = _measure_clock(db)
    chain = _look_at_journal(db)
    with db.read() as conn:
        fleet, policy = inventory.load_parts(conn), _find_policy(conn)
        unapproved, unruled = _look_at_policy(fleet, policy, conn)
        campaigns = inventory.list_campaigns(conn)
        words = intents.load_intents(conn).words
        return StoreFacts(
            is_sqlite=is_sqlite,
            clock_ahead=ahead,
            role=rights.read_role(conn),
            unguarded=rights.list_changeable(conn, audit.APPEND_ONLY),
            unapproved=unapproved,
            unruled=unruled,
            zones=_find_unknown_zones(fleet, policy, campaigns),
            in_force=tuple(found for one in campaigns if (found := _find_in_force(conn, one, now)) is not None),
            brake=next((word for word in words if word.kind is ScopeKind.BRAKE), None),
            journal=chain,
            sources=tuple(state.last_word for state in inventory_sources.list_sources(conn)),
        )


def _measure_clock(db: Database) -> timedelta | None:
    """How far the database's clock is ahead of ours, by the middle of the question."""
    with db.read() as conn:
        asked = datetime.now(UTC)
        theirs = rights.read_clock(conn)
        answered = datetime.now(UTC)
    return None if theirs is None else theirs - (asked + (answered - asked) / 2)


def _look_at_journal(db: Database) -> JournalFacts:
    with db.read() as conn:
        first, (last, _) = journal.read_first(conn), journal.read_head(conn)
    if first is None:
        return JournalFacts()
    return JournalFacts(lines=last - first.seq + 1, begins=first.at, broken=audit.verify_end(db))


def _find_policy(conn: Connection) -> Policy | None:
    try:
        return inventory.load_stated_policy(conn)
    except NotStored:
        return None


def _look_at_policy(
    fleet: Fleet, policy: Policy | None, conn: Connection
) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...]]:
    """Customers with nodes whose policy names no approver, and those that have no policy, with how many nodes."""
    nodes: dict[str, int] = {}
    for cluster, number in inventory.count_by_cluster(conn).items():
        customer = fleet.clusters[cluster].customer
        nodes[customer] = nodes.get(customer, 0) + number
    ruled = {} if policy is None else {str(name): found for name, found in policy.customers.items()}
    unapproved = tuple(name for name in sorted(nodes) if name in ruled and not ruled[name].approvers)
    return unapproved, tuple((name, nodes[name]) for name in sorted(nodes) if name not in ruled)


def _find_unknown_zones(
    fleet: Fleet, policy: Policy | None, campaigns: tuple[Campaign, ...]
) -> tuple[tuple[str, str], ...]:
    named: dict[str, str] = {}
    for campaign in campaigns:
        named.setdefault(campaign.timezone, f"campaign {campaign.id}")
    for name, cluster in fleet.clusters.items():
        named.setdefault(cluster.timezone, f"cluster {name}")
    for customer in policy.customers.values() if policy is not None else ():
        for window in customer.windows:
            named.setdefault(window.zone, f"the windows of {customer.id}")
    return tuple((zone, what) for zone, what in sorted(named.items()) if not _is_known(zone))


def _is_known(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _find_in_force(conn: Connection, campaign: Campaign, now: datetime) -> InForce | None:
    """None: nothing is in force, or all of it is over."""
    plan = plans.published_plan(conn, campaign.id)
    if plan is None:
        return None
    run = runs.latest_run(conn, campaign.id)
    if run is not None and run.state not in LIVE_RUNS:
        return None
    if run is None and all(window.end <= now for window in plan.windows):
        return None
    return InForce(campaign=campaign.id, plan=plan.id, needs_metrics=bool(campaign.phases.metrics))
