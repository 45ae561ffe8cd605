"""Cuts of the journal: lines up to one may go once they are in an archive, and what it carried anchors the rest."""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the table, and lets lines up to the newest cut be deleted; no other, as before."""
    op.create_table(
        "journal_cut",
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("file", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def _guard_sqlite() -> None:
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER journal_cut_no_{verb.lower()} BEFORE {verb} ON journal_cut"
            " BEGIN SELECT RAISE(ABORT, 'journal_cut is append-only'); END"
        )
    op.execute("DROP TRIGGER journal_no_delete")
    op.execute(
        "CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal"
        " WHEN OLD.seq > (SELECT coalesce(max(seq), 0) FROM journal_cut)"
        " BEGIN SELECT RAISE(ABORT, 'journal is append-only'); END"
    )


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION journal_cut_append_only() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'journal_cut is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER journal_cut_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal_cut"
        " FOR EACH STATEMENT EXECUTE FUNCTION journal_cut_append_only()"
    )
    op.execute("DROP TRIGGER journal_append_only ON journal")
    op.execute(
        "CREATE TRIGGER journal_append_only BEFORE UPDATE OR TRUNCATE ON journal"
        " FOR EACH STATEMENT EXECUTE FUNCTION journal_append_only()"
    )
    op.execute(
        "CREATE FUNCTION journal_keep_uncut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF EXISTS (SELECT 1 FROM gone WHERE seq > (SELECT coalesce(max(seq), 0) FROM journal_cut)) THEN"
        " RAISE EXCEPTION 'journal is append-only'; END IF; RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER journal_keep_uncut AFTER DELETE ON journal REFERENCING OLD TABLE AS gone"
        " FOR EACH STATEMENT EXECUTE FUNCTION journal_keep_uncut()"
    )
