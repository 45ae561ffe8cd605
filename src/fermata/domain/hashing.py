"""Canonical content and its SHA-256: equal inputs hash equal, whatever file format or store they came from."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from fermata.domain.fleet import Fleet

ADDED_LATER = "added_later"  # in the metadata of a field that came when values were hashed and stored already
NOT_HASHED = "not_hashed"  # in the metadata of a field that says how things stand, not what was asked for


def to_plain(value: Any) -> Any:
    """Domain values as JSON-ready data: dataclasses to objects, sets to sorted lists, times to ISO 8601."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kept = (f for f in dataclasses.fields(value) if not _is_unsaid(f, getattr(value, f.name)))
        return {f.name: to_plain(getattr(value, f.name)) for f in kept}
    if isinstance(value, Mapping):
        return {str(key): to_plain(value[key]) for key in sorted(value)}
    if isinstance(value, frozenset | set):
        return sorted((to_plain(item) for item in value), key=str)
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, float) and value.is_integer():
        return int(value)  # 45 and 45.0 minutes are equal, so they must hash equal
    return value


def _is_unsaid(field: "dataclasses.Field[Any]", value: Any) -> bool:
    """True for a field marked as ADDED_LATER that says nothing: what was hashed before there was such a field keeps
    its hash, so that a plan made from it still knows its inputs. And for one that is NOT_HASHED.
    """
    if field.metadata.get(NOT_HASHED):
        return True
    return bool(field.metadata.get(ADDED_LATER)) and value == field.default


def content_sha256(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of a domain value."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def canonical_json(value: Any) -> bytes:
    """One text for each content of a domain value."""
    return json.dumps(to_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def fleet_sha256(fleet: Fleet) -> str:
    """As `content_sha256`, fed line by line so that 20,000 nodes take a fraction of a second.

    GPUs are left out: files do not say them and no plan depends on them.
    """
    digest = hashlib.sha256()
    for cluster_name in sorted(fleet.clusters):
        digest.update(repr(to_plain(fleet.clusters[cluster_name])).encode())
    reported: dict[int, tuple[str, ...]] = {}  # by the mapping, which most nodes share with others
    for node_name in sorted(fleet.nodes):
        n = fleet.nodes[node_name]
        versions = reported.get(id(n.versions))
        if versions is None:
            versions = reported[id(n.versions)] = tuple(f"{k}={n.versions[k]}" for k in sorted(n.versions))
        fields = (n.name, n.cluster, n.rack, n.fault_domain, n.scalable_unit, n.role.value, n.workload, n.state.value)
        digest.update("\x1f".join((*fields, *versions)).encode() + b"\n")
    for device_name in sorted(fleet.devices):
        d = fleet.devices[device_name]
        line = (d.name, d.kind, d.cluster, d.scope.value, d.scope_id, d.component, d.version)
        digest.update("\x1f".join(line).encode() + b"\n")
    return digest.hexdigest()
