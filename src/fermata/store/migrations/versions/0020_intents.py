"""What operators want stands in rows of its own, by scope; a unit remembers what it reported when it was taken."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UTC_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """What is wanted of runs that go on becomes their first word."""
    op.create_table(
        "intent",
        sa.Column("seq", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("desired", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_intent")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_intent_kind_scope", "intent", ["kind", "scope", "seq"])
    op.add_column("unit_op", sa.Column("versions_before", JSON, nullable=True))
    run = sa.table("run", sa.column("id", sa.String), sa.column("desired", sa.String), sa.column("clock_at", UTC_TIME))
    columns = ("kind", "scope", "desired", "actor", "why", "at")
    intent = sa.table("intent", *(sa.column(name, UTC_TIME if name == "at" else sa.String) for name in columns))
    said = sa.select(
        sa.literal("run"), run.c.id, run.c.desired, sa.literal("operator"), sa.literal(""), run.c.clock_at
    ).where(run.c.desired != "run")
    op.execute(intent.insert().from_select(columns, said))
    _create_trains()


def _create_trains() -> None:
    op.create_table(
        "train",
        sa.Column("run", sa.String(), sa.ForeignKey("run.id", name="fk_train_run_run"), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("cluster", sa.String(), nullable=False),
        sa.Column("updates", JSON, nullable=False),
        sa.Column("cluster_nodes", sa.Integer(), nullable=False),
        sa.Column("riders", sa.Integer(), nullable=False),
        sa.Column("opened_at", UTC_TIME, nullable=False),
        sa.Column("due_by", UTC_TIME, nullable=False),
        sa.Column("closed_at", UTC_TIME, nullable=True),
        sa.PrimaryKeyConstraint("run", "id", name=op.f("pk_train")),
    )
    op.create_table(
        "rider",
        sa.Column("id", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("run", sa.String(), sa.ForeignKey("run.id", name="fk_rider_run_run"), nullable=False),
        sa.Column("train", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("cluster", sa.String(), nullable=False),
        sa.Column("fault_domain", sa.String(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("due", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("asked", sa.String(), nullable=False),
        sa.Column("active", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("gate", sa.String(), nullable=True),
        sa.Column("reason_code", sa.String(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("next_at", UTC_TIME, nullable=True),
        sa.Column("step_started_at", UTC_TIME, nullable=True),
        sa.Column("limit_at", UTC_TIME, nullable=True),
        sa.Column("retries", JSON, nullable=False),
        sa.Column("tries_max", sa.Integer(), nullable=False),
        sa.Column("failed_at", UTC_TIME, nullable=True),
        sa.Column("tail_since", UTC_TIME, nullable=True),
        sa.Column("finished_at", UTC_TIME, nullable=True),
        sa.Column("versions_before", JSON, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.UniqueConstraint("run", "train", "node", name="uq_rider_run_train_node"),
    )
    working = sa.text("finished_at IS NULL")
    op.create_index("ix_rider_working", "rider", ["run", "train"], sqlite_where=working, postgresql_where=working)
    op.create_index("ix_rider_state", "rider", ["state"])
