"""What the return of a node is judged by: when it was changed, checked and read, and when out of our hands."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
UTC_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Adds the columns. Rows of before have no evidence: whoever is not back yet is read and checked anew."""
    for name in ("changed_at", "checked_at", "astray_since", "drained_at"):
        op.add_column("unit_op", sa.Column(name, UTC_TIME, nullable=True))
    op.add_column("unit_op", sa.Column("reading", JSON, nullable=True))
    op.add_column("unit_op", sa.Column("healthy", sa.Boolean(), nullable=True))
