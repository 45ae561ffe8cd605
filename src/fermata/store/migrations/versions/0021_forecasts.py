"""Forecasts of windows and runs are kept, one of each half hour."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
UTC_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Makes the table. Runs that are under way get their first forecast within ten minutes."""
    op.create_table(
        "forecast",
        sa.Column("run", sa.String, sa.ForeignKey("run.id"), primary_key=True),
        sa.Column("window", sa.String, primary_key=True),
        sa.Column("slot", UTC_TIME, primary_key=True),
        sa.Column("at", UTC_TIME, nullable=False),
        sa.Column("body", JSON, nullable=False),
    )


def downgrade() -> None:
    """Forgets every forecast."""
    op.drop_table("forecast")
