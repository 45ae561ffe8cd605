"""Roll-backs, and the last known good of every node."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Adds the tables and columns; nothing was rolled back before."""
    op.create_table(
        "last_good",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("versions", JSON, nullable=False),
        sa.Column("before", JSON, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "recovery_order",
        sa.Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("run", sa.String(), sa.ForeignKey("run.id"), nullable=False),
        sa.Column("window", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("update", sa.String(), nullable=False),
        sa.Column("to_version", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_recovery_order_run", "recovery_order", ["run"])
    op.add_column("unit_op", sa.Column("undo", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("unit_op", sa.Column("taken_again_at", sa.DateTime(timezone=True), nullable=True))
