"""What no statement through a view gets past, whoever wrote it."""
# ruff: noqa: S608 - texts of our own alone: who looks stands in a table or in a setting

from collections.abc import Iterator

import pytest
from sqlalchemy import select, text
from tests.tenants import world

from fermata.domain.identity import EVERYTHING, Sight
from fermata.domain.ids import ClusterId
from fermata.store import inventory, runs
from fermata.store.asking import ask_value
from fermata.store.database import Database, SeesOnly, StoreUnavailable, recall, remember
from fermata.store.tenancy.owners import OWNERS

MERIDIAN = Sight(customers=frozenset({world.MERIDIAN}))
OTHERS = tuple(word.encode() for word in world.WORDS[world.LUMEN])


@pytest.fixture
def view(db: Database) -> Iterator[Database]:
    shown = db.seen_by(MERIDIAN)
    yield shown
    shown.close()


def test_who_sees_everything_reads_the_store_itself(db: Database) -> None:
    assert db.seen_by(EVERYTHING) is db


def test_no_table_shows_a_name_of_another_customer(view: Database) -> None:
    with view.read() as conn:
        for table in OWNERS:
            rows = conn.execute(text(f'SELECT * FROM "{table}"')).all()
            leaks = [row for row in rows if any(word in repr(tuple(row)).encode() for word in OTHERS)]
            if table in ("unit_op", "window_run"):
                assert rows, "there is something to see"
            assert not leaks, table


@pytest.mark.databases("postgresql")
def test_the_second_wall_stands_where_the_first_is_passed(view: Database) -> None:
    with view.read() as conn:
        cursor = conn.connection.driver_connection.cursor()  # type: ignore[union-attr]
        for table, owner in OWNERS.items():
            names = cursor.execute(
                "SELECT column_name FROM information_schema.column_privileges"
                " WHERE table_name = %s AND grantee = 'fermata_tenant'",
                (table,),
            ).fetchall()
            shown = ", ".join(f'"{name}"' for (name,) in names if name not in owner.instead) or "1"
            rows = cursor.execute(f'SELECT {shown} FROM "{table}"').fetchall()
            assert not [row for row in rows if any(word in repr(row).encode() for word in OTHERS)], table
        assert {name for (name,) in cursor.execute('SELECT name FROM "cluster"').fetchall()} == {"zqbeta", "zqgamma"}


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize(
    "hidden",
    [
        "plan.body",
        "request.body",
        "order_word.orders",
        "journal.data",
        "node.said",
        "room_line.body",
        "notice.facts",
        "freeze.reason",
    ],
)
def test_no_body_of_several_customers_is_read_past_the_first_wall(view: Database, hidden: str) -> None:
    table, column = hidden.split(".")
    with pytest.raises(Exception, match="permission denied"), view.read() as conn:
        conn.connection.driver_connection.cursor().execute(f'SELECT {column} FROM "{table}"')  # type: ignore[union-attr]


@pytest.mark.databases("postgresql")
def test_without_a_sight_the_second_wall_shows_no_row(view: Database) -> None:
    with view.read() as conn:
        cursor = conn.connection.driver_connection.cursor()  # type: ignore[union-attr]
        cursor.execute("SELECT set_config('fermata.sight', '', false)")
        for table in ("cluster", "node", "device", "unit_op", "request", "notice", "consent_entry", "work_order"):
            assert cursor.execute(f'SELECT count(*) FROM "{table}"').fetchone() == (0,), table


@pytest.mark.databases("postgresql")
def test_the_policies_are_those_of_the_query_layer(db: Database) -> None:
    with db.read() as conn:
        found = conn.execute(text("SELECT tablename FROM pg_policies WHERE policyname = 'fermata_sight'")).scalars()
        walled = conn.execute(text("SELECT relname FROM pg_class WHERE relrowsecurity")).scalars().all()
    open_to_some = {table for table, owner in OWNERS.items() if owner.rows != "1 = 0"} - {"alembic_version"}
    assert set(found) == open_to_some
    assert set(walled) == set(OWNERS) - {"alembic_version"}


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM main.node",
        "WITH mine AS (SELECT * FROM main.node) SELECT * FROM mine",
        "ATTACH ':memory:' AS beside",
        "DROP VIEW temp.node",
        "CREATE TEMP VIEW node AS SELECT * FROM main.node",
        "PRAGMA query_only=OFF",
        "DELETE FROM main.node",
        "INSERT INTO temp.fermata_sight VALUES ('customer', 'zqlumen')",
        "UPDATE temp.fermata_sight SET name = 'zqlumen'",
    ],
)
def test_what_goes_round_the_views_is_not_carried_out(view: Database, statement: str) -> None:
    with pytest.raises(StoreUnavailable), view.read() as conn:
        conn.execute(text(statement))


def test_nothing_is_written_through_a_view(view: Database) -> None:
    with pytest.raises(SeesOnly), view.begin():
        pass
    with pytest.raises(StoreUnavailable), view.read() as conn:
        conn.execute(text("DELETE FROM node"))


def test_a_change_that_was_allowed_is_decided_over_all_rows_and_read_in_part(db: Database, view: Database) -> None:
    both = view.written_whole(db)
    count = text("SELECT count(*) FROM node")
    with both.begin() as conn:
        assert conn.execute(count).scalar() == 7
    with both.read() as conn:
        assert conn.execute(count).scalar() == 4


def test_statements_that_are_handed_to_the_driver_are_filtered_too(view: Database) -> None:
    seen = select(inventory.node.c.name).order_by(inventory.node.c.name)
    with view.read() as conn:
        assert ask_value(conn, seen) == "zqbeta-n0"


def test_what_one_view_remembers_is_told_to_no_other(db: Database, view: Database) -> None:
    with view.read() as conn:
        remember(conn, "canary", "zqmeridian")
    other = db.seen_by(Sight(clusters=frozenset({ClusterId("zqalpha")})))
    with other.read() as conn:
        assert recall(conn, "canary") is None
    with db.read() as conn:
        assert recall(conn, "canary") is None
    other.close()


def test_what_comes_into_the_fleet_later_is_seen_by_whom_it_belongs_to(db: Database, view: Database) -> None:
    with view.read() as conn:
        assert len(inventory.load_fleet(conn).nodes) == 4
    with db.begin() as conn:
        conn.execute(text("UPDATE node SET cluster = 'zqgamma' WHERE name = 'zqalpha-n0'"))
    with view.read() as conn:
        assert "zqalpha-n0" in inventory.load_fleet(conn).nodes


def test_figures_of_a_run_are_counted_on_what_is_in_sight(view: Database) -> None:
    with view.read() as conn:
        run = runs.load_run(conn, world.RUN)
    assert run is not None
    assert (run.baseline_nodes, run.baseline_in_service) == (4, 4)
