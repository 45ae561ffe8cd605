"""The tail has owners, repairs are timed, work orders are taken into windows."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UTC_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Adds the tables. Whoever is on the tail list is the conductor's, as with every new item."""
    _make_tail()
    _make_handovers()
    op.execute(
        'INSERT INTO tail_item (run, "window", unit, owner, owned_by, listed_at, tries, retry_why)'
        " SELECT run, \"window\", unit, 'conductor', 'rule', tail_since, 0, '' FROM unit_op"
        " WHERE tail_since IS NOT NULL AND finished_at IS NULL"
    )


def _make_tail() -> None:
    op.create_table(
        "tail_item",
        sa.Column("run", sa.String, sa.ForeignKey("run.id"), primary_key=True),
        sa.Column("window", sa.String, primary_key=True),
        sa.Column("unit", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("owned_by", sa.String, nullable=False),
        sa.Column("listed_at", UTC_TIME, nullable=False),
        sa.Column("promised_at", UTC_TIME, nullable=True),
        sa.Column("order", sa.String, nullable=True),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("retry_by", sa.String, nullable=True),
        sa.Column("retry_at", UTC_TIME, nullable=True),
        sa.Column("retry_why", sa.Text, nullable=False),
        sa.Column("closed_at", UTC_TIME, nullable=True),
    )
    is_open = sa.text("closed_at IS NULL")
    op.create_index("ix_tail_item_open", "tail_item", ["run"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_table(
        "repair_spell",
        sa.Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("run", sa.String, sa.ForeignKey("run.id"), nullable=False),
        sa.Column("window", sa.String, nullable=False),
        sa.Column("unit", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("cause", sa.String, nullable=False),
        sa.Column("cluster", sa.String, nullable=False),
        sa.Column("customer", sa.String, nullable=False),
        sa.Column("sku", sa.String, nullable=False),
        sa.Column("since", UTC_TIME, nullable=False),
        sa.Column("ended_at", UTC_TIME, nullable=True),
    )
    op.create_index("ix_repair_spell_unit", "repair_spell", ["run", "window", "unit"])


def _make_handovers() -> None:
    op.create_table(
        "handover",
        sa.Column("run", sa.String, sa.ForeignKey("run.id"), primary_key=True),
        sa.Column("window", sa.String, primary_key=True),
        sa.Column("unit", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("order", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("joined_at", UTC_TIME, nullable=False),
        sa.Column("due_after", sa.Integer, nullable=True),
    )
    op.create_table(
        "repair_window",
        sa.Column("run", sa.String, sa.ForeignKey("run.id"), primary_key=True),
        sa.Column("window", sa.String, primary_key=True),
        sa.Column("order", sa.String, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
