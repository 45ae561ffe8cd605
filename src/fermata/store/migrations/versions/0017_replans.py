"""What became of planning again while a campaign is conducted, and how likely its deadline is missed."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UTC_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Adds the tables. A run that is on already proposes: nothing is published that nobody looked at."""
    op.add_column("run", sa.Column("replan", sa.String(), nullable=False, server_default="propose"))
    op.create_table(
        "replan",
        sa.Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("run", sa.String(), sa.ForeignKey("run.id", name="fk_replan_run_run"), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
    )
    op.create_index("ix_replan_run", "replan", ["run"])
    op.create_table(
        "deadline_risk",
        sa.Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("run", sa.String(), sa.ForeignKey("run.id", name="fk_deadline_risk_run_run"), nullable=False),
        sa.Column("at", UTC_TIME, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
    )
    op.create_index("ix_deadline_risk_run", "deadline_risk", ["run"])
