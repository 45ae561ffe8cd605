"""Who sees a part of the fleet reads no free words of a row, and the journal's story of its own windows and orders.

On PostgreSQL alone, as 0045: words are read whole and cut, so the role is shown no column of them, and the policy of
the journal lets pass what `store/tenancy/owners.py` said when this was written.
"""

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

UNREAD: dict[str, tuple[str, ...]] = {
    "consent_entry": ("reason",),
    "forecast": ("body",),
    "freeze": ("reason",),
    "intent": ("why",),
    "notice": ("facts", "why"),
    "order_word": ("reason",),
    "recovery_order": ("why",),
    "room_line": ("body",),
    "tail_item": ("retry_why",),
    "window_jobs": ("body",),
}
OWN_ORDER = """
CREATE FUNCTION fermata_is_own_order(line bigint) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT AS $$
WITH seen AS (
    SELECT c.name FROM "cluster" c WHERE EXISTS (
        SELECT 1 FROM fermata_sight s
        WHERE (s.level = 'customer' AND s.name = c.customer)
        OR (s.level = 'supercomputer' AND s.name = c.supercomputer)
        OR (s.level = 'cluster' AND s.name = c.name)
    )
), said AS (
    SELECT split_part(j.data ->> 'target', ' ', 1) AS level, split_part(j.data ->> 'target', ' ', 2) AS name
    FROM journal j WHERE j.seq = line
)
SELECT EXISTS (
    SELECT 1 FROM said WHERE (said.level = 'cluster' AND said.name IN (SELECT seen.name FROM seen))
    OR (said.level = 'node' AND EXISTS (
        SELECT 1 FROM node n WHERE n.name = said.name AND n.cluster IN (SELECT seen.name FROM seen)))
    OR (said.level = 'rack' AND EXISTS (
        SELECT 1 FROM node n WHERE n.rack = said.name AND n.cluster IN (SELECT seen.name FROM seen)))
    OR (said.level = 'device' AND EXISTS (
        SELECT 1 FROM device d WHERE d.name = said.name AND d.cluster IN (SELECT seen.name FROM seen)))
)
$$
"""
JOURNAL = (
    "journal.subject IN (SELECT 'node:' || node.name FROM node) "
    "OR journal.subject IN (SELECT 'device:' || device.name FROM device) "
    "OR journal.subject IN (SELECT 'group:' || device.name FROM device) "
    "OR journal.subject IN (SELECT 'rack:' || node.rack FROM node) "
    'OR journal.subject IN (SELECT \'cluster:\' || "cluster".name FROM "cluster") '
    'OR journal.subject IN (SELECT \'supercomputer:\' || "cluster".supercomputer FROM "cluster") '
    "OR journal.subject IN (SELECT 'window:' || window_run.\"window\" FROM window_run) "
    "OR journal.subject IN (SELECT 'request:' || request.id FROM request) "
    'OR journal.subject IN (SELECT \'freeze:\' || "freeze".id FROM "freeze") '
    "OR (substr(journal.event, 1, 6) = 'order.' AND fermata_is_own_order(journal.seq)) "
    "OR (journal.event = 'plan.published' AND journal.subject IN "
    "(SELECT 'plan:' || window_run.plan FROM window_run)) "
    "OR (journal.event IN ('run.asked_to_abort', 'run.asked_to_pause', 'run.asked_to_run', 'run.asked_to_stop', "
    "'run.finished', 'run.paused', 'run.running', 'run.started', 'run.stopped', 'run.stopping') "
    "AND journal.subject IN (SELECT 'run:' || window_run.run FROM window_run)) "
    "OR (substr(journal.event, 1, 7) = 'window.' AND journal.subject IN "
    "(SELECT 'window:' || window_run.run || '/' || window_run.\"window\" FROM window_run)) "
    "OR (substr(journal.event, 1, 6) = 'train.' AND journal.subject IN (SELECT 'train:' || train.id FROM train))"
)


def upgrade() -> None:
    """Nothing on SQLite."""
    bind = op.get_bind()
    if bind.dialect.name != "postgresql":
        return
    op.execute(OWN_ORDER)
    op.execute("DROP POLICY fermata_sight ON journal")
    op.execute(
        sa.text(f"CREATE POLICY fermata_sight ON journal FOR SELECT USING ({JOURNAL.replace(':', chr(92) + ':')})")
    )
    revoked = "\n".join(
        f'REVOKE SELECT ({", ".join(columns)}) ON "{table}" FROM fermata_tenant;'  # noqa: S608 - our own names
        for table, columns in UNREAD.items()
    )
    op.execute("ALTER FUNCTION fermata_show_parts() RENAME TO fermata_show_parts_0045")
    op.execute(
        "CREATE FUNCTION fermata_show_parts() RETURNS void LANGUAGE plpgsql AS $$ BEGIN\n"
        f"PERFORM fermata_show_parts_0045();\n{revoked}\nEND $$"
    )
    op.execute(
        "DO $$ BEGIN\n"
        "IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'fermata_tenant') THEN\n"
        "PERFORM fermata_show_parts();\nEND IF;\nEND $$"
    )
