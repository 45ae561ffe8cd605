"""What a site serves, as its conductor said when it started: plans that need more are refused at once."""

from datetime import datetime

from fermata.domain.fleet import Fleet
from fermata.domain.plans import Plan
from fermata.domain.routing import RouteTable, judge_served
from fermata.domain.updates import Catalogue
from fermata.services.errors import Refusal
from fermata.store import journal
from fermata.store.codec import from_plain, to_plain
from fermata.store.database import Connection, Database

SUBJECT = "site:served"


def note_served(db: Database, table: RouteTable, *, now: datetime) -> None:
    """Journals what is served from now on, unless it was so already."""
    with db.begin() as conn:
        if _load(conn) != table:
            line = journal.Entry(
                at=now, actor="conductor", event="site.served", subject=SUBJECT, why="", data=to_plain(table)
            )
            journal.append(conn, line)


def require_served(conn: Connection, plan: Plan, fleet: Fleet, catalogue: Catalogue) -> None:
    """Raises Refusal for a plan of which the site that is conducted, if one is, does not serve all."""
    table = _load(conn)
    lacks = judge_served(plan.id, table, plan.windows, fleet, catalogue) if table is not None else None
    if lacks is not None:
        raise Refusal(lacks)


def _load(conn: Connection) -> RouteTable | None:
    """None: no site was ever conducted here."""
    said = journal.read_last(conn, SUBJECT)
    return from_plain(RouteTable, said.data) if said is not None else None
