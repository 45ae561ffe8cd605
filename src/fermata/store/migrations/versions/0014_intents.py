"""What operators want stands in rows of its own, by scope; a unit remembers what it reported when it was taken."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0017"
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
