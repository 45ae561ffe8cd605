"""The database notes which units of the fleet changed."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
READ = {  # columns that are read as the fleet; `source` and `said` are not
    "cluster": (
        "name", "supercomputer", "customer", "region", "geo", "timezone", "datacenter", "sku", "division",
        "rolling_allowed", "single_placement_group",
    ),
    "node": (
        "name", "cluster", "rack", "fault_domain", "scalable_unit", "role", "workload", "state", "versions", "gpus",
    ),
    "device": ("name", "kind", "cluster", "scope", "scope_id", "component", "version"),
}  # fmt: skip


def upgrade() -> None:
    """Adds the table and its triggers. What is stored already has not changed since."""
    op.create_table(
        "fleet_change",
        sa.Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.UniqueConstraint("kind", "name", name="uq_fleet_change_kind_name"),
        sqlite_autoincrement=True,
    )
    note = _note_on_sqlite if op.get_bind().dialect.name == "sqlite" else _note_on_postgresql
    for table in READ:
        note(table)


def _note_on_sqlite(table: str) -> None:
    for verb, when, row in (
        ("INSERT", "INSERT", "NEW"),
        ("UPDATE", f"UPDATE OF {', '.join(READ[table])}", "NEW"),
        ("DELETE", "DELETE", "OLD"),
    ):
        op.execute(
            f"CREATE TRIGGER {table}_note_{verb.lower()} AFTER {when} ON {table} BEGIN"  # noqa: S608 - our own names
            f" DELETE FROM fleet_change WHERE kind = '{table}' AND name = {row}.name;"
            f" INSERT INTO fleet_change (kind, name) VALUES ('{table}', {row}.name); END"
        )


def _note_on_postgresql(table: str) -> None:
    """By statement: a trigger for each of many thousand rows would take longer than the rows."""
    op.execute(
        f"CREATE FUNCTION {table}_note_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"  # noqa: S608 - our own names
        f" INSERT INTO fleet_change (kind, name) SELECT '{table}', name FROM noted"
        " ON CONFLICT (kind, name) DO UPDATE SET seq = nextval(pg_get_serial_sequence('fleet_change', 'seq'));"
        " RETURN NULL; END $$"
    )
    for verb, rows in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
        op.execute(
            f"CREATE TRIGGER {table}_note_{verb.lower()} AFTER {verb} ON {table}"
            f" REFERENCING {rows} TABLE AS noted FOR EACH STATEMENT EXECUTE FUNCTION {table}_note_change()"
        )
