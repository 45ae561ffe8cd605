"""Facts laid out in columns for the database: few wide strings, everything else by number. `views` puts rows together.

A million nodes are a few hundred bytes each here and nothing more: what alike nodes share is stored once, and ids and
JSON are made only where a query asks for them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa

from fermata.domain import arm
from fermata.domain.ids import NodeId
from fermata.domain.scheduled_events import event_type, order_event
from fermata.query import events, items, updates
from fermata.query.facts import Facts

RESOURCES, MAINTENANCE = "resources", "maintenanceresources"
Rows = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, kw_only=True)
class Tables:
    """Arrow tables by name, as `views.STATEMENTS` expects them."""

    tables: Mapping[str, pa.Table]

    @property
    def rows(self) -> int:
        """Of all tables together."""
        return sum(table.num_rows for table in self.tables.values())

    def to_bytes(self) -> dict[str, bytes]:
        """Each as an Arrow IPC stream."""
        return {name: _ipc(table) for name, table in self.tables.items()}


def build_tables(facts: Facts) -> Tables:
    """All tables of the store. The same facts give the same rows in the same order."""
    numbers = {name: number for number, name in enumerate(sorted(facts.clusters))}
    nodes = updates.node_kinds(facts)
    devices, of_device = updates.device_kinds(facts, first=len(nodes))
    kinds = (*nodes, *devices)
    return Tables(
        tables={
            "cluster": _clusters(facts, numbers),
            "node": _nodes(facts, numbers),
            "device": _devices(facts, numbers, of_device),
            "kind": _kinds(kinds),
            "kind_update": _kind_updates(kinds),
            "item": _items(facts),
            "window": _windows(facts),
            "event": _events(facts, numbers),
            "order_event": _order_events(facts, numbers),
            "work": _work(facts, numbers),
        }
    )


def _clusters(facts: Facts, numbers: Mapping[str, int]) -> pa.Table:
    found = [facts.clusters[name] for name in numbers]
    groups = [items.group_of(cluster) for cluster in found]
    texts = ("name", "supercomputer", "customer", "region", "geo", "timezone", "datacenter", "sku", "division")
    columns: dict[str, Any] = {name: _text([getattr(cluster, name) for cluster in found]) for name in texts}
    pairs = list(zip(found, groups, strict=True))
    return pa.table(
        {
            "number": pa.array(range(len(found)), pa.int32()),
            **columns,
            "subscription": _text([arm.subscription_id(cluster.customer) for cluster in found]),
            "id": _text([arm.cluster_id(group, cluster.name) for cluster, group in pairs]),
            "nodes_prefix": _text([arm.nodes_prefix(group) for group in groups]),
            "devices_prefix": _text([arm.devices_prefix(group, cluster.supercomputer) for cluster, group in pairs]),
        }
    )


def _nodes(facts: Facts, numbers: Mapping[str, int]) -> pa.Table:
    columns = facts.nodes.columns
    texts = ("rack", "fault_domain", "scalable_unit", "role", "workload", "state")
    return pa.table(
        {
            "name": _text(columns["name"]),
            "cluster": pa.array([numbers[name] for name in columns["cluster"]], pa.int32()),
            **{name: _text(columns[name]) for name in texts},
            "gpus": pa.array(facts.nodes.gpus, pa.int32()),
            "kind": pa.array(facts.nodes.kinds, pa.int32()),
        }
    )


def _devices(facts: Facts, numbers: Mapping[str, int], of_device: Sequence[int]) -> pa.Table:
    texts = ("name", "scope", "scope_id", "component", "version")
    return pa.table(
        {
            **{name: _text([getattr(device, name) for device in facts.devices]) for name in texts},
            "device_kind": _text([device.kind for device in facts.devices]),
            "cluster": pa.array([numbers[device.cluster] for device in facts.devices], pa.int32()),
            "kind": pa.array(of_device, pa.int32()),
        }
    )


def _kinds(kinds: Sequence[updates.Kind]) -> pa.Table:
    return pa.table(
        {
            "number": pa.array([kind.number for kind in kinds], pa.int32()),
            "versions": _text([kind.versions for kind in kinds]),
            "updates": _text([kind.updates for kind in kinds]),
            "pending": pa.array([len(kind.pending) for kind in kinds], pa.int32()),
        }
    )


def _kind_updates(kinds: Sequence[updates.Kind]) -> pa.Table:
    flat = [(kind.number, item) for kind in kinds for item in kind.pending]
    of_update = ("id", "title", "component", "to_version", "impact", "criticality")
    return pa.table(
        {
            "kind": pa.array([number for number, _ in flat], pa.int32()),
            **{name: _text([str(getattr(item.update, name)) for _, item in flat]) for name in of_update},
            "from_version": _text([item.from_version for _, item in flat]),
            "standing": _text([item.standing for _, item in flat]),
            "request": _text([item.request for _, item in flat]),
            "due_at": _times([item.due_at for _, item in flat]),
        }
    )


def _items(facts: Facts) -> pa.Table:
    found = [(RESOURCES, item) for item in items.list_resources(facts)]
    found += [(MAINTENANCE, item) for item in items.list_maintenance(facts)]
    subscriptions = {customer: arm.subscription_id(customer) for customer in facts.customers}
    texts = ("id", "name", "type", "kind", "location")
    return pa.table(
        {
            "place": _text([place for place, _ in found]),
            **{name: _text([getattr(item, name) for _, item in found]) for name in texts},
            "supercomputer": _text([item.group for _, item in found]),
            "subscription": _text([subscriptions[item.customer] for _, item in found]),
            "properties": _text([orjson.dumps(item.properties).decode() for _, item in found]),
        }
    )


def _windows(facts: Facts) -> pa.Table:
    found = [planned.window for planned in facts.windows]
    return pa.table(
        {
            "number": pa.array(range(len(found)), pa.int32()),
            "id": _text([window.id for window in found]),
            "plan": _text([planned.plan for planned in facts.windows]),
            "run": _text([planned.run.run if planned.run else None for planned in facts.windows]),
            "event_type": _text([event_type(reboots=bool(window.reboots_per_node)).value for window in found]),
            "not_before": _text([arm.rfc1123(window.start) for window in found]),
            "not_before_utc": _text([arm.iso(window.start) for window in found]),
            "end_utc": _text([arm.iso(window.end) for window in found]),
            "seconds": pa.array([int((window.end - window.start).total_seconds()) for window in found], pa.int64()),
            "updates": _text([orjson.dumps(window.updates).decode() for window in found]),
        }
    )


def _events(facts: Facts, numbers: Mapping[str, int]) -> pa.Table:
    planned = facts.windows
    found = [e for e in events.list_events(planned, facts.work) if planned[e.number].window.cluster in numbers]
    return pa.table(
        {
            "window": pa.array([event.number for event in found], pa.int32()),
            "cluster": pa.array([numbers[planned[event.number].window.cluster] for event in found], pa.int32()),
            "node": _text([event.node for event in found]),
            "id": _text([arm.event_id(planned[e.number].window.id, NodeId(e.node)) for e in found]),
            "status": _text([event.status.value for event in found]),
        }
    )


def _order_events(facts: Facts, numbers: Mapping[str, int]) -> pa.Table:
    found = [(o, order_event(o.node, o.work)) for o in facts.ordered if o.cluster in numbers]
    return pa.table(
        {
            "cluster": pa.array([numbers[ordered.cluster] for ordered, _ in found], pa.int32()),
            "node": _text([event.node for _, event in found]),
            "id": _text([event.id for _, event in found]),
            "event_type": _text([event.type.value for _, event in found]),
            "status": _text([event.status.value for _, event in found]),
            "not_before": _text([arm.rfc1123(event.not_before) for _, event in found]),
            "not_before_utc": _text([arm.iso(event.not_before) for _, event in found]),
            "description": _text([event.description for _, event in found]),
            "work_order": _text([ordered.work.order for ordered, _ in found]),
            "request": _text([ordered.work.request for ordered, _ in found]),
            "request_type": _text([ordered.work.kind.value for ordered, _ in found]),
            "answer": _text([ordered.work.answer.value for ordered, _ in found]),
        }
    )


def _work(facts: Facts, numbers: Mapping[str, int]) -> pa.Table:
    found = [work for work in facts.work if work.cluster in numbers]
    texts = ("run", "window", "unit", "kind", "state", "step", "reason_code", "reason")
    return pa.table(
        {
            **{name: _text([getattr(work, name) for work in found]) for name in texts},
            "cluster": pa.array([numbers[work.cluster] for work in found], pa.int32()),
            "attempt": pa.array([work.attempt for work in found], pa.int32()),
            "in_tail": pa.array([work.in_tail for work in found], pa.bool_()),
            "status": _text([events.apply_status(work).value for work in found]),
            "updated_utc": _text([_utc(work.finished_at or work.started_at) for work in found]),
        }
    )


def _utc(instant: Any) -> str | None:
    return arm.iso(instant) if instant else None


def _text(values: Iterable[str | None]) -> pa.Array:
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def _times(values: Sequence[Any]) -> pa.Array:
    naive = [None if value is None else value.replace(tzinfo=None) for value in values]  # UTC, as all our times
    return pa.array(naive, pa.timestamp("us"))


def _ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
