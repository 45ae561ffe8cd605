"""The migrations make exactly the tables the code reads, all or nothing, on both databases."""

import importlib
import pkgutil

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from fermata import store
from fermata.domain.workloads import WorkloadMap
from fermata.store import inventory
from fermata.store.database import Database, migrate
from fermata.store.opening import open_database
from fermata.store.schema import metadata
from fermata.store.workloads import find_workloads, save_workloads

NO_SERVICES = WorkloadMap(services={}, assignments={})
for found in pkgutil.iter_modules(store.__path__, "fermata.store."):
    importlib.import_module(found.name)  # its tables register with the metadata


def test_migrated_schema_is_what_the_code_expects(store_url: str) -> None:
    database = Database(store_url)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    database.close()


def test_unique_and_foreign_keys_are_the_expected_ones(store_url: str) -> None:
    database = Database(store_url)
    with database.engine.connect() as connection:
        found = inspect(connection)
        for table in metadata.sorted_tables:
            keys = {(tuple(k["constrained_columns"]), k["referred_table"]) for k in found.get_foreign_keys(table.name)}
            assert keys == {(tuple(k.column_keys), k.referred_table.name) for k in table.foreign_key_constraints}
            assert set(found.get_pk_constraint(table.name)["constrained_columns"]) == {
                column.name for column in table.primary_key
            }
    database.close()


def test_an_empty_database_is_brought_up_to_date_once(empty_store_url: str) -> None:
    for _ in range(2):
        database = open_database(empty_store_url)
        with database.read() as conn:
            assert inventory.load_fleet(conn).nodes == {}
        database.close()


def test_an_up_to_date_store_opens_while_somebody_writes(store_url: str) -> None:
    """It opens at once, sees nothing unfinished, and does not disturb the writer."""
    writer = Database(store_url)
    with writer.begin() as conn:
        assert save_workloads(conn, NO_SERVICES)
        before = MigrationContext.configure(conn).get_current_revision()
        opened = open_database(store_url)
        with opened.read() as reading:
            assert find_workloads(reading) is None
            assert MigrationContext.configure(reading).get_current_revision() == before is not None
    with opened.read() as reading:
        assert find_workloads(reading) == NO_SERVICES
    opened.close()
    writer.close()


def test_a_migration_that_fails_leaves_nothing_behind(empty_store_url: str) -> None:
    database = Database(empty_store_url)
    with database.begin() as conn:
        conn.exec_driver_sql("CREATE TABLE journal (seq INTEGER)")  # in the way of the last table made
    with pytest.raises(Exception, match="journal"):
        migrate(empty_store_url)
    with database.read() as conn:
        assert set(inspect(conn).get_table_names()) <= {"journal", "alembic_version"}
        assert MigrationContext.configure(conn).get_current_revision() is None
    database.close()
