"""Who sees a part of the fleet reads PostgreSQL as a role of its own, which is shown rows of that part alone.

The policies say what `store/tenancy/owners.py` said when this was written. They hold for that role alone, so
conductors, workers and backups read as before. What is in sight is a setting of the session; without
it no row is shown. Where the role cannot be made, nobody is shown a part: see docs/tenants.md. SQLite has no roles.
"""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

SIGHT = """
CREATE VIEW fermata_sight AS
SELECT shown ->> 0 AS level, shown ->> 1 AS name
FROM jsonb_array_elements(coalesce(nullif(current_setting('fermata.sight', true), ''), '[]')::jsonb) AS shown
"""
SHARED = """
CREATE FUNCTION fermata_is_shared(of text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT AS $$
SELECT EXISTS (
    SELECT 1 FROM "cluster" c WHERE c.supercomputer = of AND NOT EXISTS (
        SELECT 1 FROM fermata_sight s
        WHERE (s.level = 'customer' AND s.name = c.customer)
        OR (s.level = 'supercomputer' AND s.name = c.supercomputer)
        OR (s.level = 'cluster' AND s.name = c.name)
    )
)
$$
"""
ROLE = """
DO $$ BEGIN
    BEGIN
        CREATE ROLE fermata_tenant NOLOGIN;
    EXCEPTION
        WHEN duplicate_object OR unique_violation THEN NULL;
        WHEN insufficient_privilege THEN RAISE NOTICE 'the role fermata_tenant has to be made by an administrator';
    END;
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'fermata_tenant') THEN
        IF NOT pg_has_role(current_user, 'fermata_tenant', 'MEMBER') THEN
            GRANT fermata_tenant TO CURRENT_USER;
        END IF;
        PERFORM fermata_show_parts();
    END IF;
END $$
"""
WHOLE = "current_user <> 'fermata_tenant'"  # a server may have a role that is not the owner's: fermata audit grants
POLICIES: dict[str, str] = {
    "cluster": (
        "EXISTS (SELECT 1 FROM fermata_sight s WHERE (s.level = 'customer' "
        "AND s.name = \"cluster\".customer) OR (s.level = 'supercomputer' "
        'AND s.name = "cluster".supercomputer) OR (s.level = \'cluster\' AND s.name = "cluster".name))'
    ),
    "node": 'node.cluster IN (SELECT "cluster".name FROM "cluster")',
    "device": 'device.cluster IN (SELECT "cluster".name FROM "cluster")',
    "last_good": "last_good.name IN (SELECT node.name FROM node)",
    "device_last_good": "device_last_good.name IN (SELECT device.name FROM device)",
    "fleet_change": "1 = 1",
    "plan": "1 = 1",
    "publication": "1 = 1",
    "window_run": 'window_run.cluster IN (SELECT "cluster".name FROM "cluster")',
    "unit_op": 'unit_op.cluster IN (SELECT "cluster".name FROM "cluster")',
    "train": 'train.cluster IN (SELECT "cluster".name FROM "cluster")',
    "rider": 'rider.cluster IN (SELECT "cluster".name FROM "cluster")',
    "run": "1 = 1",
    "forecast": (
        "EXISTS (SELECT 1 FROM window_run WHERE window_run.run = forecast.run "
        'AND window_run."window" = forecast."window")'
    ),
    "capacity_entry": (
        "EXISTS (SELECT 1 FROM window_run WHERE window_run.run = capacity_entry.run "
        'AND window_run."window" = capacity_entry."window")'
    ),
    "gate_failure": (
        "EXISTS (SELECT 1 FROM window_run WHERE window_run.run = gate_failure.run "
        'AND window_run."window" = gate_failure."window")'
    ),
    "handover": (
        "EXISTS (SELECT 1 FROM window_run WHERE window_run.run = handover.run "
        'AND window_run."window" = handover."window")'
    ),
    "recovery_order": (
        "EXISTS (SELECT 1 FROM window_run WHERE window_run.run = recovery_order.run "
        'AND window_run."window" = recovery_order."window")'
    ),
    "repair_spell": 'repair_spell.cluster IN (SELECT "cluster".name FROM "cluster")',
    "repair_window": (
        "EXISTS (SELECT 1 FROM window_run WHERE window_run.run = repair_window.run "
        'AND window_run."window" = repair_window."window")'
    ),
    "room_line": (
        "EXISTS (SELECT 1 FROM window_run WHERE window_run.run = room_line.run "
        'AND window_run."window" = room_line."window")'
    ),
    "tail_item": (
        "EXISTS (SELECT 1 FROM window_run WHERE window_run.run = tail_item.run "
        'AND window_run."window" = tail_item."window")'
    ),
    "window_account": 'window_account.cluster IN (SELECT "cluster".name FROM "cluster")',
    "window_jobs": (
        "EXISTS (SELECT 1 FROM window_run WHERE window_run.run = window_jobs.run "
        'AND window_run."window" = window_jobs."window")'
    ),
    "request": 'request.supercomputer IN (SELECT "cluster".supercomputer FROM "cluster")',
    "request_state": "request_state.id IN (SELECT request.id FROM request)",
    "consent_entry": (
        "consent_entry.request IN (SELECT request.id FROM request) "
        "AND ((consent_entry.scope_level = 'supercomputer' "
        'AND consent_entry.scope_name IN (SELECT "cluster".supercomputer FROM "cluster")) '
        "OR (consent_entry.scope_level = 'cluster' "
        'AND consent_entry.scope_name IN (SELECT "cluster".name FROM "cluster")) '
        "OR (consent_entry.scope_level = 'rack' AND consent_entry.scope_name IN (SELECT node.rack "
        "FROM node)) OR (consent_entry.scope_level = 'node' "
        "AND consent_entry.scope_name IN (SELECT node.name FROM node)) "
        "OR (consent_entry.scope_level = 'group' AND consent_entry.scope_name IN (SELECT device.name "
        "FROM device)))"
    ),
    "order_word": (
        "order_word.request IN (SELECT request.id FROM request) "
        "AND ((order_word.scope_level = 'supercomputer' "
        'AND order_word.scope_name IN (SELECT "cluster".supercomputer FROM "cluster")) '
        "OR (order_word.scope_level = 'cluster' AND order_word.scope_name IN (SELECT \"cluster\".name "
        "FROM \"cluster\")) OR (order_word.scope_level = 'rack' "
        "AND order_word.scope_name IN (SELECT node.rack FROM node)) "
        "OR (order_word.scope_level = 'node' AND order_word.scope_name IN (SELECT node.name "
        "FROM node)) OR (order_word.scope_level = 'group' "
        "AND order_word.scope_name IN (SELECT device.name FROM device)))"
    ),
    "freeze": (
        '"freeze".customer IN (SELECT "cluster".customer FROM "cluster") '
        "AND ((\"freeze\".scope_level = 'supercomputer' "
        'AND "freeze".scope_name IN (SELECT "cluster".supercomputer FROM "cluster")) '
        'OR ("freeze".scope_level = \'cluster\' AND "freeze".scope_name IN (SELECT "cluster".name '
        'FROM "cluster")) OR ("freeze".scope_level = \'rack\' '
        'AND "freeze".scope_name IN (SELECT node.rack FROM node)) OR ("freeze".scope_level = \'node\' '
        'AND "freeze".scope_name IN (SELECT node.name FROM node)) OR ("freeze".scope_level = \'group\' '
        'AND "freeze".scope_name IN (SELECT device.name FROM device)))'
    ),
    "intent": (
        "intent.kind IN ('fleet', 'brake', 'run') OR (intent.kind = 'node' "
        "AND intent.scope IN (SELECT node.name FROM node)) OR (intent.kind = 'window' "
        "AND EXISTS (SELECT 1 FROM window_run "
        "WHERE window_run.run || '/' || window_run.\"window\" = intent.scope))"
    ),
    "journal": (
        "journal.subject IN (SELECT 'node:' || node.name FROM node) "
        "OR journal.subject IN (SELECT 'device:' || device.name FROM device) "
        "OR journal.subject IN (SELECT 'group:' || device.name FROM device) "
        "OR journal.subject IN (SELECT 'rack:' || node.rack FROM node) "
        'OR journal.subject IN (SELECT \'cluster:\' || "cluster".name FROM "cluster") '
        'OR journal.subject IN (SELECT \'supercomputer:\' || "cluster".supercomputer FROM "cluster") '
        "OR journal.subject IN (SELECT 'window:' || window_run.\"window\" FROM window_run) "
        "OR journal.subject IN (SELECT 'request:' || request.id FROM request) "
        'OR journal.subject IN (SELECT \'freeze:\' || "freeze".id FROM "freeze")'
    ),
    "maintenance_plan": (
        "EXISTS (SELECT 1 FROM fermata_sight s WHERE s.level = 'guid' "
        "AND substr(maintenance_plan.path, 1, 51) = '/subscriptions/' || s.name)"
    ),
    "maintenance_request": (
        "EXISTS (SELECT 1 FROM fermata_sight s WHERE s.level = 'guid' "
        "AND substr(maintenance_request.path, 1, 51) = '/subscriptions/' || s.name)"
    ),
    "system_topic": (
        "EXISTS (SELECT 1 FROM fermata_sight s WHERE s.level = 'guid' "
        "AND substr(system_topic.path, 1, 51) = '/subscriptions/' || s.name)"
    ),
    "notice": (
        'notice.customer IN (SELECT "cluster".customer FROM "cluster") '
        'AND notice.supercomputer IN (SELECT "cluster".supercomputer FROM "cluster")'
    ),
    "notified": (
        'notified.customer IN (SELECT "cluster".customer FROM "cluster") '
        'AND notified.supercomputer IN (SELECT "cluster".supercomputer FROM "cluster")'
    ),
    "delivery": (
        "delivery.notice IN (SELECT notice.seq FROM notice WHERE notice.customer IN (SELECT s.name "
        "FROM fermata_sight s WHERE s.level = 'customer'))"
    ),
}
CLOSED = (
    "document",
    "snapshot",
    "run_sample",
    "deadline_risk",
    "replan",
    "gate",
    "signal",
    "lease",
    "sign_in",
    "api_token",
    "break_glass",
    "journal_cut",
    "request_key",
    "work_order",
    "freeze_ending",
    "freeze_exemption",
    "inventory_hold",
    "inventory_source",
    "subscription",
)
UNREAD: dict[str, tuple[str, ...]] = {
    "cluster": ("source",),
    "node": ("said", "source"),
    "device": ("said", "source"),
    "fleet_change": ("kind", "name"),
    "plan": ("body", "nodes", "unplanned", "windows"),
    "window_run": ("left_out",),
    "run": ("baseline_in_service", "baseline_nodes", "limits_allowed"),
    "request": ("body",),
    "order_word": ("orders",),
    "journal": ("data", "hash", "why"),
    "delivery": ("why",),
}


def upgrade() -> None:
    """Nothing on SQLite."""
    bind = op.get_bind()
    if bind.dialect.name != "postgresql":
        return
    op.execute(SIGHT)
    op.execute(SHARED)
    grants = ["GRANT SELECT ON alembic_version, fermata_sight TO fermata_tenant;"]
    for table in (*POLICIES, *CLOSED):
        op.execute(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
        op.execute(f'CREATE POLICY fermata_whole ON "{table}" USING ({WHOLE}) WITH CHECK ({WHOLE})')
        names = [column["name"] for column in sa.inspect(bind).get_columns(table)]
        shown = ", ".join(f'"{name}"' for name in names if name not in UNREAD.get(table, ()))
        grants.append(f'GRANT SELECT ({shown}) ON "{table}" TO fermata_tenant;')
    for table, rows in POLICIES.items():
        op.execute(sa.text(f'CREATE POLICY fermata_sight ON "{table}" FOR SELECT USING ({escaped(rows)})'))
    op.execute(
        "CREATE FUNCTION fermata_show_parts() RETURNS void LANGUAGE plpgsql AS $$ BEGIN\n"
        "EXECUTE format('GRANT USAGE ON SCHEMA %I TO fermata_tenant', current_schema());\n"
        + "\n".join(grants)
        + "\nEND $$"
    )
    op.execute(ROLE)


def escaped(rows: str) -> str:
    """A colon would name a parameter."""
    return rows.replace(":", "\\:")
