"""Which units of a run were changed since somebody read them: each write has a number, and each row that of its last.

Rows that were there have 0; a conductor reads all of them when it begins. On PostgreSQL, who sees a part of the fleet
is shown the columns of rows that it sees, as migration 0045 has it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

SHOWN = """
CREATE FUNCTION fermata_show_parts() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    PERFORM fermata_show_parts_0047();
    GRANT SELECT (moves) ON "run" TO fermata_tenant;
    GRANT SELECT (moved) ON "unit_op" TO fermata_tenant;
END $$
"""
AGAIN = """
DO $$ BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'fermata_tenant') THEN
        PERFORM fermata_show_parts();
    END IF;
END $$
"""


def upgrade() -> None:
    """Adds the numbers, with a default: who still writes with the release before leaves them as they are."""
    op.add_column("run", sa.Column("moves", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("unit_op", sa.Column("moved", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index("ix_unit_op_moved", "unit_op", ["run", "moved"])
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("ALTER FUNCTION fermata_show_parts() RENAME TO fermata_show_parts_0047")
    op.execute(SHOWN)
    op.execute(AGAIN)
