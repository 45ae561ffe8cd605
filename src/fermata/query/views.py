"""The tables that a query may name, as SQL views over what `tables` lays out in the schema `raw`."""

from collections.abc import Mapping
from dataclasses import dataclass

from fermata.domain.arm import TENANT_ID, MaintenanceType, ResourceType
from fermata.query.tables import MAINTENANCE, RESOURCES

PENDING_UPDATES = "pendingupdates"
ARG_COLUMNS = (
    "id", "name", "type", "tenantId", "kind", "location", "resourceGroup", "subscriptionId", "managedBy", "sku", "plan",
    "properties", "tags", "identity", "zones", "extendedLocation",
)  # fmt: skip
PENDING_COLUMNS = (
    "supercomputer", "cluster", "customer", "location", "sku", "unit", "unitType", "rack", "role", "workload",
    "updateId", "title", "component", "fromVersion", "toVersion", "impact", "criticality", "standing", "dueAt",
    "requestId", "resourceId",
)  # fmt: skip
COLUMNS: Mapping[str, tuple[str, ...]] = {
    RESOURCES: ARG_COLUMNS,
    MAINTENANCE: ARG_COLUMNS,
    PENDING_UPDATES: PENDING_COLUMNS,
}
JSON_COLUMNS: Mapping[str, tuple[str, ...]] = {"kind": ("versions", "updates"), "item": ("properties",)}
_NODE_KIND, _DEVICE_KIND = "microsoft.compute/virtualmachines", "microsoft.supercomputerinfrastructure/supercomputers"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """The SQL of one branch's columns; `c` is the cluster that its rows stand in."""

    id: str
    name: str
    type: str
    kind: str
    properties: str
    sku: str = "NULL"
    tags: str = "NULL"
    location: str = "c.region"
    group: str = "c.supercomputer"
    subscription: str = "c.subscription"

    def __str__(self) -> str:
        null = "CAST(NULL AS JSON)"
        columns = (
            self.id, self.name, self.type, f"'{TENANT_ID}'", self.kind, f"lower({self.location})",
            f"lower({self.group})", self.subscription, "''", f"CAST({self.sku} AS JSON)", null, self.properties,
            f"CAST({self.tags} AS JSON)", null, null, null,
        )  # fmt: skip
        return "SELECT " + ", ".join(f'{sql} AS "{name}"' for name, sql in zip(ARG_COLUMNS, columns, strict=True))


def _items(place: str) -> str:
    head = _Row(
        id="i.id",
        name="i.name",
        type="i.type",
        kind="i.kind",
        properties="i.properties",
        location="i.location",
        group="i.supercomputer",
        subscription="i.subscription",
    )
    return f"{head} FROM raw.item i WHERE i.place = '{place}'"


_NODES = (
    str(
        _Row(
            id="c.nodes_prefix || n.name",
            name="n.name",
            type=f"'{ResourceType.NODES}'",
            kind=f"'{_NODE_KIND}'",
            properties="""json_object('supercomputer', c.supercomputer, 'customer', c.customer, 'cluster', c.name,
    'clusterId', c.id, 'rack', n.rack, 'scalableUnit', n.scalable_unit, 'faultDomain', n.fault_domain, 'role', n.role,
    'workload', n.workload, 'state', n.state, 'gpus', n.gpus, 'sku', c.sku, 'geo', c.geo, 'datacenter', c.datacenter,
    'timezone', c.timezone, 'division', c.division, 'versions', k.versions, 'pendingUpdates', k.pending)""",
            sku="json_object('name', c.sku)",
            tags="json_object('role', n.role, 'workload', n.workload)",
        )
    )
    + " FROM raw.node n JOIN raw.cluster c ON c.number = n.cluster JOIN raw.kind k ON k.number = n.kind"
)
_DEVICES = (
    str(
        _Row(
            id="c.devices_prefix || d.name",
            name="d.name",
            type=f"'{ResourceType.DEVICES}'",
            kind=f"'{_DEVICE_KIND}/devices'",
            properties="""json_object('supercomputer', c.supercomputer, 'customer', c.customer, 'cluster', c.name,
    'clusterId', c.id, 'deviceKind', d.device_kind, 'scope', d.scope, 'scopeId', d.scope_id, 'component', d.component,
    'version', d.version, 'pendingUpdates', k.pending)""",
        )
    )
    + " FROM raw.device d JOIN raw.cluster c ON c.number = d.cluster JOIN raw.kind k ON k.number = d.kind"
)


def _updates(table: str, alias: str, prefix: str, type_: ResourceType) -> str:
    """The row that says what is pending on a unit. It is named by the unit's own id, which queries join on."""
    unit = f"c.{prefix} || {alias}.name"
    head = _Row(
        id=f"{unit} || '/providers/{MaintenanceType.UPDATES}'",
        name=unit,
        type=f"'{MaintenanceType.UPDATES}'",
        kind=f"'{type_}'",
        properties="k.updates",
    )
    joined = f"JOIN raw.cluster c ON c.number = {alias}.cluster JOIN raw.kind k ON k.number = {alias}.kind"
    return f"{head} FROM raw.{table} {alias} {joined} WHERE k.pending > 0"


_EVENTS = (
    str(
        _Row(
            id=f"c.nodes_prefix || e.node || '/providers/{MaintenanceType.SCHEDULED_EVENTS}/' || e.id",
            name="e.id",
            type=f"'{MaintenanceType.SCHEDULED_EVENTS}'",
            kind="''",
            properties="""json_object('EventId', e.id, 'EventType', w.event_type, 'ResourceType', 'VirtualMachine',
    'Resources', json_array(e.node), 'EventStatus', e.status,
    'NotBefore', CASE WHEN e.status IN ('Started', 'Completed') THEN '' ELSE w.not_before END,
    'NotBeforeUtc', w.not_before_utc, 'Description', 'Planned maintenance of ' || c.name || ', window ' || w.id,
    'EventSource', 'Platform', 'DurationInSeconds', w.seconds, 'ScheduledEventApiVersion', '2020-07-01',
    'TargetResourceId', c.nodes_prefix || e.node, 'EndUtc', w.end_utc, 'Cluster', c.name, 'WindowId', w.id,
    'PlanId', w.plan, 'RunId', w.run, 'Updates', CAST(w.updates AS JSON))""",
        )
    )
    + ' FROM raw.event e JOIN raw."window" w ON w.number = e."window" JOIN raw.cluster c ON c.number = e.cluster'
)
_ORDER_EVENTS = (
    str(
        _Row(
            id=f"c.nodes_prefix || e.node || '/providers/{MaintenanceType.SCHEDULED_EVENTS}/' || e.id",
            name="e.id",
            type=f"'{MaintenanceType.SCHEDULED_EVENTS}'",
            kind="''",
            properties="""json_object('EventId', e.id, 'EventType', e.event_type, 'ResourceType', 'VirtualMachine',
    'Resources', json_array(e.node), 'EventStatus', e.status,
    'NotBefore', CASE WHEN e.status IN ('Started', 'Completed') THEN '' ELSE e.not_before END,
    'NotBeforeUtc', e.not_before_utc, 'Description', e.description, 'EventSource', 'Platform',
    'DurationInSeconds', -1, 'ScheduledEventApiVersion', '2020-07-01',
    'TargetResourceId', c.nodes_prefix || e.node, 'Cluster', c.name, 'WorkOrder', e.work_order,
    'RequestId', e.request, 'RequestType', e.request_type, 'Answer', e.answer)""",
        )
    )
    + " FROM raw.order_event e JOIN raw.cluster c ON c.number = e.cluster"
)
_TARGET = "CASE w.kind WHEN 'node' THEN c.nodes_prefix ELSE c.devices_prefix END || w.unit"
_WORK = (
    str(
        _Row(
            id=f"{_TARGET} || '/providers/{MaintenanceType.APPLY_UPDATES}/' || w.run || ':' || w.\"window\"",
            name="""w.run || ':' || w."window\"""",
            type=f"'{MaintenanceType.APPLY_UPDATES}'",
            kind=f"CASE w.kind WHEN 'node' THEN '{ResourceType.NODES}' ELSE '{ResourceType.DEVICES}' END",
            properties=f"""json_object('status', w.status, 'resourceId', {_TARGET}, 'maintenanceScope',
    CASE w.kind WHEN 'node' THEN 'Host' ELSE 'Resource' END, 'lastUpdateTime', w.updated_utc, 'state', w.state,
    'step', w.step, 'attempt', w.attempt, 'inTail', w.in_tail, 'reasonCode', w.reason_code, 'reason', w.reason,
    'cluster', c.name, 'runId', w.run, 'windowId', w."window")""",
        )
    )
    + " FROM raw.work w JOIN raw.cluster c ON c.number = w.cluster"
)


def _pending(table: str, alias: str, prefix: str, of_node: Mapping[str, str]) -> str:
    places = ", ".join(f'{value} AS "{name}"' for name, value in of_node.items())
    columns = f"""c.supercomputer AS "supercomputer", c.name AS "cluster", c.customer AS "customer",
    lower(c.region) AS "location", c.sku AS "sku", {alias}.name AS "unit", '{table}' AS "unitType", {places},
    u.id AS "updateId", u.title AS "title", u.component AS "component", u.from_version AS "fromVersion",
    u.to_version AS "toVersion", u.impact AS "impact", u.criticality AS "criticality", u.standing AS "standing",
    u.due_at AS "dueAt", u.request AS "requestId", c.{prefix} || {alias}.name AS "resourceId" """
    joined = f"JOIN raw.cluster c ON c.number = {alias}.cluster JOIN raw.kind_update u ON u.kind = {alias}.kind"
    return f"SELECT {columns} FROM raw.{table} {alias} {joined}"  # noqa: S608 - all of it stands in this module


_NODE_PLACES = {"rack": "n.rack", "role": "n.role", "workload": "n.workload"}
_DEVICE_PLACES = {"rack": "CASE d.scope WHEN 'rack' THEN d.scope_id ELSE '' END", "role": "''", "workload": "''"}
VIEWS: Mapping[str, tuple[str, ...]] = {
    RESOURCES: (_items(RESOURCES), _NODES, _DEVICES),
    MAINTENANCE: (
        _items(MAINTENANCE),
        _updates("node", "n", "nodes_prefix", ResourceType.NODES),
        _updates("device", "d", "devices_prefix", ResourceType.DEVICES),
        _EVENTS,
        _ORDER_EVENTS,
        _WORK,
    ),
    PENDING_UPDATES: (
        _pending("node", "n", "nodes_prefix", _NODE_PLACES),
        _pending("device", "d", "devices_prefix", _DEVICE_PLACES),
    ),
}


def create_statements() -> tuple[str, ...]:
    """What makes the views, once the tables stand in `raw`."""
    return tuple(f"CREATE VIEW {name} AS {' UNION ALL '.join(branches)}" for name, branches in VIEWS.items())
