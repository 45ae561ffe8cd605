"""Every table says whose its rows are, and one that does not is shown to nobody who sees a part."""

import importlib
import pkgutil

import pytest
from sqlalchemy import text
from tests.tenants import world

from fermata import store
from fermata.domain.identity import NOTHING, Sight
from fermata.store.database import Database, StoreUnavailable
from fermata.store.schema import metadata
from fermata.store.tenancy.owners import OWNERS
from fermata.store.tenancy.walls import NoOwner, with_owners

LUMEN = Sight(customers=frozenset({world.LUMEN}))


def test_every_table_of_the_store_says_whose_its_rows_are() -> None:
    for module in pkgutil.iter_modules(store.__path__, "fermata.store."):
        importlib.import_module(module.name)
    assert set(OWNERS) == {*metadata.tables, "alembic_version"}, "store/tenancy/owners.py has one entry for each table"


def test_a_table_without_an_owner_is_shown_to_nobody_who_sees_a_part(db: Database) -> None:
    with db.begin() as conn:
        conn.execute(text("CREATE TABLE newcomer (name TEXT)"))
        conn.execute(text("INSERT INTO newcomer VALUES ('zqmeridian labs')"))
    view = db.seen_by(LUMEN)
    with pytest.raises(StoreUnavailable), view.read() as conn:
        conn.execute(text("SELECT name FROM newcomer")).all()
    view.close()


def test_what_is_in_sight_of_nobody_is_nothing(db: Database) -> None:
    view = db.seen_by(NOTHING)
    shown = {}
    with view.read() as conn:
        for table in sorted(set(OWNERS) - {"alembic_version", "fleet_change", "plan", "publication", "run", "intent"}):
            shown[table] = conn.execute(text(f'SELECT count(*) FROM "{table}"')).scalar()  # noqa: S608 - our own names
    view.close()
    assert not {table: count for table, count in shown.items() if count}


def test_a_recursive_statement_is_not_guessed_at() -> None:
    with pytest.raises(NoOwner):
        with_owners("WITH RECURSIVE up AS (SELECT name FROM node) SELECT * FROM up")


def test_a_statement_that_begins_with_tables_of_its_own_gets_the_filtered_ones_before_them() -> None:
    asked = with_owners("WITH mine AS (SELECT name FROM node) SELECT * FROM mine")
    assert asked.startswith('WITH "cluster" AS NOT MATERIALIZED (')
    assert asked.endswith(", mine AS (SELECT name FROM node) SELECT * FROM mine")
