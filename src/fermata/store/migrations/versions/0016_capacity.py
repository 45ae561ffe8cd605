"""Capacity has a ledger: an account for every window that opened, and what was taken and given back."""

from collections import defaultdict

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0014"
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
    _fill_entries()
    _fill_accounts(account)


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
