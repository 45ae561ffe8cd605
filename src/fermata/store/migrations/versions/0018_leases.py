"""Who conducts what: a lease for the lead of every run and for every cohort of units."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the table; what is live belongs to the first worker that looks."""
    op.create_table(
        "lease",
        sa.Column("run", sa.String(), sa.ForeignKey("run.id"), primary_key=True),
        sa.Column("window", sa.String(), primary_key=True),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rouse", sa.Integer(), nullable=False),
    )
