"""Windows have rooms: what is said in them is kept line by line."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Adds the table. Windows that are open already get their room with the conductor's next look."""
    op.create_table(
        "room_line",
        sa.Column("seq", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("run", sa.String(), sa.ForeignKey("run.id", name="fk_room_line_run_run"), nullable=False),
        sa.Column("window", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("body", JSON, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_room_line")),
        sa.UniqueConstraint("run", "window", "number", name=op.f("uq_room_line_run_window_number")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_room_line_run_window", "room_line", ["run", "window", "seq"])
    forbid_changes()


def forbid_changes() -> None:
    """What was said stays said."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER room_line_no_{verb.lower()} BEFORE {verb} ON room_line"
                " BEGIN SELECT RAISE(ABORT, 'room_line is append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION room_line_append_only() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'room_line is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER room_line_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON room_line"
        " FOR EACH STATEMENT EXECUTE FUNCTION room_line_append_only()"
    )
