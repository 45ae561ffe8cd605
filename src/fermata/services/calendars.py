"""The published schedule as calendars: of a customer, a cluster, an update team, or of all."""

from collections.abc import Iterable
from enum import StrEnum

from fermata.domain.reasons import Code, reason
from fermata.domain.schedule import choose
from fermata.domain.updates import Catalogue
from fermata.formats.schedule_ics import schedule_to_bytes
from fermata.services.errors import Refusal, nearest
from fermata.store import inventory, schedules
from fermata.store.database import Database


class FeedOf(StrEnum):
    """Whose calendar it is."""

    CUSTOMER = "customer"
    CLUSTER = "cluster"
    TEAM = "team"


def draw_feed(db: Database, of: FeedOf | None = None, name: str = "") -> bytes:
    """The schedule of all campaigns as iCalendar: what concerns the customer, cluster or team of that name, and nothing
    of others; without one, all of it. Raises Refusal when there is none of that name.
    """
    with db.read() as conn:
        sites = schedules.list_sites(conn)
        catalogue = inventory.find_document(conn, "catalogue", "", Catalogue)
        schedule = schedules.load_schedule(conn)
    clusters = updates = None
    match of:
        case FeedOf.CUSTOMER:
            _require(of, name, {site.customer for site in sites.values()})
            clusters = frozenset(cluster for cluster, site in sites.items() if site.customer == name)
        case FeedOf.CLUSTER:
            _require(of, name, sites)
            clusters = frozenset(cluster for cluster in sites if cluster == name)
        case FeedOf.TEAM:
            known = catalogue.updates.values() if catalogue is not None else ()
            _require(of, name, {update.owner_team for update in known})
            updates = frozenset(update.id for update in known if update.owner_team == name)
        case None:
            pass
    chosen = choose(schedule, clusters=clusters, updates=updates)
    title = f"Maintenance: {name}" if of is not None else "Maintenance"
    return schedule_to_bytes(chosen, title=title, zones={name: site.timezone for name, site in sites.items()})


def _require(of: FeedOf, name: str, known: Iterable[str]) -> None:
    names = sorted(known)
    if name not in names:
        raise Refusal(reason(Code.SCOPE_UNKNOWN, level=of.value, name=name, nearest=nearest(name, names)))
