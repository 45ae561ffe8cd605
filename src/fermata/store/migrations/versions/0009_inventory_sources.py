"""Sources of inventory: who says that a unit is there, how fresh that is, and what waits for a person."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
UTC_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Adds columns to the units, and the two tables."""
    for table in ("cluster", "node", "device"):
        op.add_column(table, sa.Column("source", sa.String(), nullable=True))
    op.add_column("node", sa.Column("gpus", sa.Integer(), nullable=True))
    for table in ("node", "device"):
        op.add_column(table, sa.Column("said", JSON, nullable=True))
    op.create_table(
        "inventory_source",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("stale_after_seconds", sa.Integer(), nullable=False),
        sa.Column("tried_at", UTC_TIME, nullable=False),
        sa.Column("observed_at", UTC_TIME, nullable=True),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("not_taken", sa.Text(), nullable=False),
        sa.Column("losses", JSON, nullable=False),
        sa.Column("dropped_sha256", sa.String(), nullable=True),
    )
    op.create_table(
        "inventory_hold",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("held_at", UTC_TIME, nullable=False),
        sa.Column("decided_at", UTC_TIME, nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
    )
    op.create_index("ix_inventory_hold_source_state", "inventory_hold", ["source", "state"])
