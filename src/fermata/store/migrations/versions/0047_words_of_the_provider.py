"""By what a provider of identities ends sessions, its words that were taken already, and in which life of its server a
store stands.

On PostgreSQL, who sees a part of the fleet sees no row of any, as migration 0045 has it for all such tables.
"""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

TABLES = ("sign_in_origin", "logout_token", "store_server")
WHOLE = "current_user <> 'fermata_tenant'"
SHOWN = """
CREATE FUNCTION fermata_show_parts() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    PERFORM fermata_show_parts_0046();
    GRANT SELECT ON "sign_in_origin" TO fermata_tenant;
    GRANT SELECT ON "logout_token" TO fermata_tenant;
    GRANT SELECT ON "store_server" TO fermata_tenant;
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
    """Adds the tables, empty: sessions that began before are ended by people alone."""
    op.create_table(
        "sign_in_origin",
        sa.Column("session", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("sid", sa.String(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("session", name=op.f("pk_sign_in_origin")),
    )
    op.create_index("ix_sign_in_origin_subject", "sign_in_origin", ["issuer", "subject"])
    op.create_index("ix_sign_in_origin_sid", "sign_in_origin", ["issuer", "sid"])
    op.create_table(
        "logout_token",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_logout_token")),
    )
    op.create_table(
        "store_server",
        sa.Column("one", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("life", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_store_server")),
    )
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in TABLES:
        op.execute(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
        op.execute(f'CREATE POLICY fermata_whole ON "{table}" USING ({WHOLE}) WITH CHECK ({WHOLE})')
    op.execute("ALTER FUNCTION fermata_show_parts() RENAME TO fermata_show_parts_0046")
    op.execute(SHOWN)
    op.execute(AGAIN)
