"""Maintenance requests that clients put are kept under their names."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
UTC_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Adds the table. Of two requests at one path at most one was not deleted."""
    op.create_table(
        "maintenance_request",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("made_at", UTC_TIME, nullable=False),
        sa.Column("deleted_at", UTC_TIME, nullable=True),
        sa.Column("asked", JSON, nullable=False),
        sa.Column("orders", JSON, nullable=False),
    )
    is_live = sa.text("deleted_at IS NULL")
    op.create_index(
        "uq_maintenance_request_path",
        "maintenance_request",
        ["path"],
        unique=True,
        sqlite_where=is_live,
        postgresql_where=is_live,
    )
