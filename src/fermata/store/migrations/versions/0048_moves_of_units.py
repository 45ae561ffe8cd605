"""Which units of a run were changed since somebody read them: each write has a number, and each row that of its last.

Rows that were there have 0; a conductor reads all of them when it begins.
"""

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the numbers, with a default: who still writes with the release before leaves them as they are."""
    op.add_column("run", sa.Column("moves", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("unit_op", sa.Column("moved", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index("ix_unit_op_moved", "unit_op", ["run", "moved"])
