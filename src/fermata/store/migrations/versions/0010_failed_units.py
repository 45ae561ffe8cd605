"""A unit on which nothing more is tried before its repair is failed; only people stop something."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Renames state and column. Journal lines keep the event `unit.stopped` that they were written with."""
    op.alter_column("unit_op", "stopped_at", new_column_name="failed_at")
    rows = sa.table("unit_op", sa.column("state", sa.String))
    op.execute(rows.update().where(rows.c.state == "stopped").values(state="failed"))
