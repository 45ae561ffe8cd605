"""A store of PostgreSQL that comes back in another life has its brake on before anything is written."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from fermata.domain.intents import EVERYWHERE, Intent, ScopeKind
from fermata.domain.run_states import Desired
from fermata.store import intents, journal
from fermata.store.database import CameBack, Database
from fermata.store.opening import open_database
from fermata.store.servers import store_server

NOW = datetime(2026, 1, 9, 19, tzinfo=UTC)


def is_braked(database: Database) -> bool:
    with database.read() as conn:
        return any(word.kind is ScopeKind.BRAKE for word in intents.load_intents(conn).words)


def come_back(url: str) -> None:
    """As a restore leaves it: what is written of its life is of the one before."""
    plain = Database(url)
    with plain.begin() as conn:
        conn.execute(update(store_server).values(life="1/00000001"))
    plain.close()


def test_a_store_that_came_back_is_braked_once_and_nothing_is_done_before(store_url: str) -> None:
    database = open_database(store_url)
    with database.begin():
        pass
    assert not is_braked(database)
    come_back(store_url)
    database.engine.dispose()  # a server that is restarted ends all connections
    if store_url.startswith("sqlite"):
        with database.begin():
            pass
        assert not is_braked(database), "SQLite is restored by fermata restore alone, which brakes by itself"
        database.close()
        return
    with pytest.raises(CameBack, match="Look at the fleet"), database.begin():
        pytest.fail("it is written to before a person has looked")
    assert is_braked(database)
    with database.read() as conn:
        assert [line.event for line in journal.read(conn)] == ["store.came_back"]
    off = Intent(kind=ScopeKind.BRAKE, scope=EVERYWHERE, desired=Desired.RUN, actor="ann", why="looked", at=NOW)
    with database.begin() as conn:
        intents.append_intent(conn, off)
    database.engine.dispose()
    with database.begin():
        pass
    assert not is_braked(database), "who looked released it, and it stays released"
    database.close()
