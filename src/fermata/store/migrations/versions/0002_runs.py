"""Runs, their windows, the operations in them and samples of what was out."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UTC_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Creates the tables."""
    _create_run()
    _create_window_run()
    _create_unit_op()
    op.create_table(
        "run_sample",
        sa.Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("run", sa.String(), sa.ForeignKey("run.id", name="fk_run_sample_run_run"), nullable=False),
        sa.Column("at", UTC_TIME, nullable=False),
        sa.Column("nodes_out", sa.Integer(), nullable=False),
        sa.Column("in_service", sa.Integer(), nullable=False),
        sa.Column("in_tail", sa.Integer(), nullable=False),
        sa.Column("windows_open", sa.Integer(), nullable=False),
        sa.Column("limits", JSON, nullable=False),
    )
    op.create_index("ix_run_sample_run", "run_sample", ["run"])


def _create_run() -> None:
    op.create_table(
        "run",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("campaign", sa.String(), nullable=False),
        sa.Column("plan", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("desired", sa.String(), nullable=False),
        sa.Column("started_at", UTC_TIME, nullable=False),
        sa.Column("ended_at", UTC_TIME, nullable=True),
        sa.Column("clock_at", UTC_TIME, nullable=False),
        sa.Column("baseline_nodes", sa.Integer(), nullable=False),
        sa.Column("baseline_in_service", sa.Integer(), nullable=False),
        sa.Column("limits_allowed", JSON, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    )
    op.create_index("ix_run_campaign", "run", ["campaign"])


def _create_window_run() -> None:
    op.create_table(
        "window_run",
        sa.Column("run", sa.String(), sa.ForeignKey("run.id", name="fk_window_run_run_run"), primary_key=True),
        sa.Column("window", sa.String(), primary_key=True),
        sa.Column("plan", sa.String(), nullable=False),
        sa.Column("cluster", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("nodes", sa.Integer(), nullable=False),
        sa.Column("planned_start", UTC_TIME, nullable=False),
        sa.Column("planned_end", UTC_TIME, nullable=False),
        sa.Column("back_by", UTC_TIME, nullable=False),
        sa.Column("hard_stop", UTC_TIME, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("opened_at", UTC_TIME, nullable=True),
        sa.Column("closed_at", UTC_TIME, nullable=True),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.Column("in_service_at_open", sa.Integer(), nullable=False),
        sa.Column("left_out", JSON, nullable=False),
        sa.Column("reason_code", sa.String(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("recheck_at", UTC_TIME, nullable=True),
        sa.Column("behind_minutes", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
    )


def _create_unit_op() -> None:
    op.create_table(
        "unit_op",
        sa.Column("id", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("run", sa.String(), sa.ForeignKey("run.id", name="fk_unit_op_run_run"), nullable=False),
        sa.Column("window", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("cluster", sa.String(), nullable=False),
        sa.Column("fault_domain", sa.String(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("in_service_before", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("asked", sa.String(), nullable=False),
        sa.Column("applied", sa.Integer(), nullable=False),
        sa.Column("active", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("begun", sa.Boolean(), nullable=False),
        sa.Column("gate", sa.String(), nullable=True),
        sa.Column("reason_code", sa.String(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("next_at", UTC_TIME, nullable=True),
        sa.Column("step_started_at", UTC_TIME, nullable=True),
        sa.Column("limit_at", UTC_TIME, nullable=True),
        sa.Column("slip_minutes", sa.Integer(), nullable=False),
        sa.Column("retries", JSON, nullable=False),
        sa.Column("tries_max", sa.Integer(), nullable=False),
        sa.Column("locked_at", UTC_TIME, nullable=True),
        sa.Column("stopped_at", UTC_TIME, nullable=True),
        sa.Column("tail_since", UTC_TIME, nullable=True),
        sa.Column("finished_at", UTC_TIME, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.UniqueConstraint("run", "window", "unit", name="uq_unit_op_run_window_unit"),
    )
    working = sa.text("finished_at IS NULL")
    columns = ["run", "window"]
    op.create_index("ix_unit_op_working", "unit_op", columns, sqlite_where=working, postgresql_where=working)
    op.create_index("ix_unit_op_state", "unit_op", ["state", "kind"])
    op.create_index("ix_unit_op_unit", "unit_op", ["unit"])
