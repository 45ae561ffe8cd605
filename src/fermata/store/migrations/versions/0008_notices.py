"""Notices: what is told, to whom it is delivered, who subscribed, and since when customers know."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UTC_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Creates the tables."""
    _create_notice()
    _create_subscription()
    _create_delivery()
    op.create_table(
        "notified",
        sa.Column("customer", sa.String(), primary_key=True),
        sa.Column("supercomputer", sa.String(), primary_key=True),
        sa.Column("update", sa.String(), primary_key=True),
        sa.Column("impact", sa.String(), primary_key=True),
        sa.Column("at", UTC_TIME, nullable=False),
    )
    op.create_table(
        "system_topic",
        sa.Column("path", sa.String(), primary_key=True),
        sa.Column("body", JSON, nullable=False),
    )


def _create_notice() -> None:
    op.create_table(
        "notice",
        sa.Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("at", UTC_TIME, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("customer", sa.String(), nullable=False),
        sa.Column("supercomputer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("facts", JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notice_customer", "notice", ["customer", "seq"])


def _create_subscription() -> None:
    op.create_table(
        "subscription",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("next_greeting_at", UTC_TIME, nullable=True),
        sa.Column("not_before", UTC_TIME, nullable=True),
        sa.Column("body", JSON, nullable=False),
    )


def _create_delivery() -> None:
    op.create_table(
        "delivery",
        sa.Column("id", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("notice", SEQUENCE, sa.ForeignKey("notice.seq", name="fk_delivery_notice_notice"), nullable=False),
        sa.Column("subscription", sa.String(), nullable=False),
        sa.Column("thread", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("first_at", UTC_TIME, nullable=True),
        sa.Column("next_at", UTC_TIME, nullable=True),
        sa.Column("delivered_at", UTC_TIME, nullable=True),
        sa.Column("lock", sa.String(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_delivery_state", "delivery", ["state", "subscription", "thread", "id"])
    op.create_index("ix_delivery_notice", "delivery", ["notice"])
