"""On which server of PostgreSQL a store stands, and in which of its lives: one that was restored to a point in time
goes on in a new timeline, and knows nothing of what the fleet did after that point. So the brake is put on before
anything else is written. SQLite has no such restore of its own: `fermata restore` says so itself.
"""

from datetime import UTC

from sqlalchemy import Column, Connection, Integer, String, Table, insert, select, text, update

from fermata.domain.intents import EVERYWHERE, Intent, ScopeKind
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.run_states import Desired
from fermata.store import intents, journal
from fermata.store.database import LIFE_SEEN
from fermata.store.leases import outdate
from fermata.store.schema import metadata

store_server = Table(
    "store_server",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("life", String, nullable=False),
)

ACTOR = "fermata"
_TIMELINE = text("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), clock_timestamp()")
_MAY_ASK = text("SELECT has_function_privilege('pg_control_system()', 'EXECUTE')")
_SYSTEM = text("SELECT system_identifier::text FROM pg_control_system()")


def look_at_life(conn: Connection) -> Reason | None:
    """Inside of a transaction of PostgreSQL that writes. None where the store is in the life that it was in; else it
    has been restored, or its server replaced: the brake is on, leases of before are outdated, and that is what to say.
    """
    timeline, now = conn.execute(_TIMELINE).one()
    life = str(timeline)
    if conn.execute(_MAY_ASK).scalar_one():
        life = f"{conn.execute(_SYSTEM).scalar_one()}/{life}"
    known = conn.execute(select(store_server.c.life)).scalar_one_or_none()
    found = None
    if known is None:
        conn.execute(insert(store_server).values(one=1, life=life))
    elif known != life:
        conn.execute(update(store_server).values(life=life))
        found = reason(Code.STORE_CAME_BACK)
        outdate(conn)
        at = now.astimezone(UTC)
        why = "restored to a point in time, or on another server: look at the fleet, then release"
        word = Intent(kind=ScopeKind.BRAKE, scope=EVERYWHERE, desired=Desired.PAUSE, actor=ACTOR, why=why, at=at)
        intents.append_intent(conn, word)
        data = {"life": life, "before": known}
        journal.append(
            conn, journal.Entry(at=at, actor=ACTOR, event="store.came_back", subject="store", why=why, data=data)
        )
    else:
        conn.info[LIFE_SEEN] = True
    return found
