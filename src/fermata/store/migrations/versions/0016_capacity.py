"""Capacity has a ledger, the tail has owners, repairs are timed."""

from collections import defaultdict

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
UTC_TIME = sa.DateTime(timezone=True)
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
CLOSINGS = {"returned": "returned", "kept_out": "kept_out", "left_out": "untouched"}
THRESHOLD = 0.95  # of windows that opened before: what campaigns ask for unless they say otherwise


def upgrade() -> None:
    """Makes the tables, and fills them from the windows and units on record."""
    account = op.create_table(
        "window_account",
        sa.Column("run", sa.String, sa.ForeignKey("run.id"), primary_key=True),
        sa.Column("window", sa.String, primary_key=True),
        sa.Column("cluster", sa.String, nullable=False),
        sa.Column("customer", sa.String, nullable=False),
        sa.Column("supercomputer", sa.String, nullable=False),
        sa.Column("sku", sa.String, nullable=False),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("opened_at", UTC_TIME, nullable=False),
        sa.Column("baseline", JSON, nullable=False),
        sa.Column("capacity_taken", sa.Integer, nullable=False),
        sa.Column("threshold", sa.Float, nullable=False),
        sa.Column("ready_at", UTC_TIME, nullable=True),
    )
    op.create_table(
        "capacity_entry",
        sa.Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("run", sa.String, sa.ForeignKey("run.id"), nullable=False),
        sa.Column("window", sa.String, nullable=False),
        sa.Column("node", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("in_service_before", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("at", UTC_TIME, nullable=False),
        sa.UniqueConstraint("run", "window", "kind", "node"),
    )
    _make_tail()
    _make_handovers()
    _fill_entries()
    op.execute(
        'INSERT INTO tail_item (run, "window", unit, owner, owned_by, listed_at, tries, retry_why)'
        " SELECT run, \"window\", unit, 'conductor', 'rule', tail_since, 0, '' FROM unit_op"
        " WHERE tail_since IS NOT NULL AND finished_at IS NULL"
    )
    _fill_accounts(account)


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


def _fill_entries() -> None:
    columns = 'run, "window", node, kind, in_service_before, at'
    common = "FROM unit_op WHERE kind = 'node' AND locked_at IS NOT NULL"
    op.execute(
        f"INSERT INTO capacity_entry ({columns})"
        f" SELECT run, \"window\", unit, 'taken', in_service_before, locked_at {common}"
    )
    for state, kind in CLOSINGS.items():
        op.execute(
            f"INSERT INTO capacity_entry ({columns})"
            f" SELECT run, \"window\", unit, '{kind}', in_service_before, finished_at {common}"
            f" AND finished_at IS NOT NULL AND state = '{state}'"
        )


def _fill_accounts(account: sa.Table) -> None:
    """The baseline of what opened before holds the nodes that were taken: who else was in service is not on record."""
    conn = op.get_bind()
    windows = sa.table("window_run", *(sa.column(c) for c in ("run", "window", "cluster", "in_service_at_open")))
    opened_at = sa.column("opened_at", UTC_TIME)
    clusters = sa.table("cluster", *(sa.column(c) for c in ("name", "customer", "supercomputer", "sku", "region")))
    units = sa.table("unit_op", *(sa.column(c) for c in ("run", "window", "unit", "kind", "in_service_before")))
    named = {row.name: row for row in conn.execute(sa.select(clusters))}
    served: dict[tuple[str, str], list[str]] = defaultdict(list)
    query = sa.select(units.c.run, units.c.window, units.c.unit).where(
        units.c.kind == "node", units.c.in_service_before == sa.true()
    )
    for run, window, unit in conn.execute(query):
        served[run, window].append(unit)
    for row in conn.execute(sa.select(windows, opened_at).where(opened_at.is_not(None))).all():
        cluster = named.get(row.cluster)
        conn.execute(
            account.insert().values(
                run=row.run,
                window=row.window,
                cluster=row.cluster,
                customer=cluster.customer if cluster else "",
                supercomputer=cluster.supercomputer if cluster else "",
                sku=cluster.sku if cluster else "",
                region=cluster.region if cluster else "",
                opened_at=row.opened_at,
                baseline=sorted(served[row.run, row.window]),
                capacity_taken=row.in_service_at_open,
                threshold=THRESHOLD,
            )
        )
