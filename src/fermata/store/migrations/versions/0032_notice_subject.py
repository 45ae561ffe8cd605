"""Notices are found by what they are about: the conductor asks how far its own came."""

from alembic import op

revision = "0032"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the index."""
    op.create_index("ix_notice_subject", "notice", ["subject", "seq"])
