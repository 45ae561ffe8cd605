"""Rows of the inventory as nodes and devices. What many of them say alike is kept once: of a million nodes, names of
racks and of clusters and the versions that they report would else be most of the memory, and of the time.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
from sqlalchemy import Column, ColumnElement, Text, cast, type_coerce

from fermata.domain.fleet import Device, DeviceScope, Node, NodeState, Role
from fermata.domain.ids import ClusterId, DeviceId, NodeId, RackId

ROWS_AT_ONCE = 10_000  # read ahead of what is made of them
_ROLES = {role.value: role for role in Role}
_STATES = {state.value: state for state in NodeState}
_SCOPES = {scope.value: scope for scope in DeviceScope}


def json_text(column: Column[Any], dialect: str) -> ColumnElement[str]:
    """A column of JSON as its text, by which equal values are known before they are read."""
    return cast(column, Text) if dialect == "postgresql" else type_coerce(column, Text)


def to_nodes(rows: Iterable[Any]) -> Iterator[Node]:
    """From name, cluster, rack, fault domain, scalable unit, role, workload, state, versions as a text of JSON, GPUs.

    Nodes that report the same versions share one mapping, as those that are read from files do.
    """
    texts: dict[str, str] = {}
    mappings: dict[str, Mapping[str, str]] = {}
    once = texts.setdefault
    for name, cluster, rack, fault_domain, scalable_unit, role, workload, state, said, gpus in rows:
        versions = mappings.get(said)
        if versions is None:
            versions = mappings[said] = orjson.loads(said)
        yield Node(
            name=NodeId(name),
            cluster=ClusterId(once(cluster, cluster)),
            rack=RackId(once(rack, rack)),
            fault_domain=once(fault_domain, fault_domain),
            scalable_unit=once(scalable_unit, scalable_unit),
            role=_ROLES[role],
            workload=once(workload, workload),
            state=_STATES[state],
            versions=versions,
            gpus=gpus,
        )


def to_devices(rows: Iterable[Any]) -> Iterator[Device]:
    """From name, kind, cluster, scope, its id, component, version."""
    texts: dict[str, str] = {}
    once = texts.setdefault
    for name, kind, cluster, scope, scope_id, component, version in rows:
        yield Device(
            name=DeviceId(name),
            kind=once(kind, kind),
            cluster=ClusterId(once(cluster, cluster)),
            scope=_SCOPES[scope],
            scope_id=once(scope_id, scope_id),
            component=once(component, component),
            version=once(version, version),
        )
