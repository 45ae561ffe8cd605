"""The first tables: inventory, requests, consent, freezes, plans and the journal.

The journal and the ledger of consent are append-only: the database itself refuses to change or delete a line.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UTC_TIME = sa.DateTime(timezone=True)
APPEND_ONLY = ("journal", "consent_entry")


def upgrade() -> None:
    """Applies the change."""
    create_inventory()
    create_consent()
    create_plans()
    create_journal()
    for table in APPEND_ONLY:
        forbid_changes(table)


def create_inventory() -> None:
    op.create_table(
        "cluster",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("supercomputer", sa.String(), nullable=False),
        sa.Column("customer", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("geo", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("datacenter", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("division", sa.String(), nullable=False),
        sa.Column("rolling_allowed", sa.Boolean(), nullable=False),
        sa.Column("single_placement_group", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "node",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("cluster", sa.String(), sa.ForeignKey("cluster.name"), nullable=False),
        sa.Column("rack", sa.String(), nullable=False),
        sa.Column("fault_domain", sa.String(), nullable=False),
        sa.Column("scalable_unit", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("workload", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("versions", JSON, nullable=False),
    )
    op.create_index("ix_node_cluster", "node", ["cluster"])
    op.create_table(
        "device",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("cluster", sa.String(), sa.ForeignKey("cluster.name"), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("scope_id", sa.String(), nullable=False),
        sa.Column("component", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
    )
    op.create_index("ix_device_cluster", "device", ["cluster"])
    op.create_table(
        "document",
        sa.Column("kind", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
    )


def create_consent() -> None:
    op.create_table(
        "request",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("supercomputer", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("incarnation", SEQUENCE, nullable=False),
        sa.Column("due_at", UTC_TIME, nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
    )
    op.create_table(
        "consent_entry",
        sa.Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(), nullable=False, unique=True),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("incarnation", SEQUENCE, nullable=False),
        sa.Column("updates", JSON, nullable=False),
        sa.Column("scope_level", sa.String(), nullable=False),
        sa.Column("scope_name", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", UTC_TIME, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "freeze",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("customer", sa.String(), nullable=False),
        sa.Column("scope_level", sa.String(), nullable=False),
        sa.Column("scope_name", sa.String(), nullable=False),
        sa.Column("start", UTC_TIME, nullable=False),
        sa.Column("end", UTC_TIME, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
    )
    op.create_table(
        "freeze_ending",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("at", UTC_TIME, nullable=False),
    )


def create_plans() -> None:
    op.create_table(
        "plan",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("parent", sa.String(), nullable=True),
        sa.Column("campaign", sa.String(), nullable=False),
        sa.Column("consent", sa.String(), nullable=False),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("saved_at", UTC_TIME, nullable=False),
        sa.Column("windows", sa.Integer(), nullable=False),
        sa.Column("nodes", sa.Integer(), nullable=False),
        sa.Column("unplanned", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
    )
    op.create_index("ix_plan_campaign", "plan", ["campaign"])
    op.create_table(
        "publication",
        sa.Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("campaign", sa.String(), nullable=False),
        sa.Column("plan", sa.String(), sa.ForeignKey("plan.id"), nullable=False, unique=True),
        sa.Column("parent", sa.String(), nullable=False),
        sa.Column("at", UTC_TIME, nullable=False),
        sa.UniqueConstraint("campaign", "parent"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "snapshot",
        sa.Column("sha256", sa.String(), primary_key=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )


def create_journal() -> None:
    op.create_table(
        "journal",
        sa.Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("at", UTC_TIME, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_journal_subject", "journal", ["subject", "seq"])


def forbid_changes(table: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()"
    )
