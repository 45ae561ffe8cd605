"""How two states of a fleet differ, unit by unit and field by field: told by imports and by syncs of inventory."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fermata.domain.fleet import Cluster, Device, Fleet, Node

Unit = Cluster | Node | Device

KINDS = ("cluster", "node", "device")
PLACE = frozenset({"cluster", "rack", "fault_domain", "scalable_unit", "scope", "scope_id"})


class Difference(StrEnum):
    """What became of a unit. One that stands elsewhere moved, whatever else of it changed."""

    ADDED = "added"
    GONE = "gone"
    MOVED = "moved"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitChange:
    """One unit that was added, changed or removed. `fields` maps what changed to (before, after), for a removed unit
    all it was; it is empty for an added one. A component's version is the field `versions.NAME`.
    """

    kind: str
    name: str
    action: str
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict, hash=False)

    @property
    def difference(self) -> Difference:
        """The same in the words of inventory, which tells moves apart."""
        if self.action == "changed":
            return Difference.CHANGED if PLACE.isdisjoint(self.fields) else Difference.MOVED
        return Difference.GONE if self.action == "removed" else Difference.ADDED


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetDiff:
    """What changed, ordered by kind and name; empty when nothing did."""

    changes: tuple[UnitChange, ...]

    def names(self, kind: str, action: str) -> tuple[str, ...]:
        """Names of the units of `kind` (cluster, node, device) that were "added", "changed" or "removed"."""
        return tuple(c.name for c in self.changes if c.kind == kind and c.action == action)

    def counts(self) -> dict[str, dict[str, int]]:
        """How many of each kind were added, changed and removed."""
        found = {kind: {"added": 0, "changed": 0, "removed": 0} for kind in KINDS}
        for change in self.changes:
            found[change.kind][change.action] += 1
        return found

    def differences(self) -> dict[str, dict[str, int]]:
        """How many of each kind were added, are gone, moved and changed."""
        found = {kind: {difference.value: 0 for difference in Difference} for kind in KINDS}
        for change in self.changes:
            found[change.kind][change.difference] += 1
        return found


def diff_fleets(before: Fleet, after: Fleet) -> FleetDiff:
    """What makes `after` of `before`."""
    pairs: tuple[tuple[str, Mapping[Any, Unit], Mapping[Any, Unit]], ...] = (
        ("cluster", before.clusters, after.clusters),
        ("node", before.nodes, after.nodes),
        ("device", before.devices, after.devices),
    )
    return FleetDiff(changes=tuple(change for pair in pairs for change in _diff(*pair)))


def to_row(unit: Unit) -> dict[str, Any]:
    """The unit's fields by name."""
    row = {name: getattr(unit, name) for name in unit.__slots__}
    if isinstance(unit, Node):
        row["versions"] = dict(unit.versions)
    return row


def _diff(kind: str, before: Mapping[Any, Unit], after: Mapping[Any, Unit]) -> Iterator[UnitChange]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old is None:
            yield UnitChange(kind=kind, name=name, action="added")
        elif new is None:
            lost = {field: (value, None) for field, value in _flat(old).items()}
            yield UnitChange(kind=kind, name=name, action="removed", fields=lost)
        elif old != new:
            yield UnitChange(kind=kind, name=name, action="changed", fields=_fields(old, new))


def _fields(old: Unit, new: Unit) -> dict[str, tuple[Any, Any]]:
    before, after = _flat(old), _flat(new)
    names = sorted(before.keys() | after.keys())
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def _flat(unit: Unit) -> dict[str, Any]:
    """A field that says nothing (None) is left out."""
    row = to_row(unit)
    versions = row.pop("versions", {})
    told = {name: value for name, value in row.items() if value is not None}
    return told | {f"versions.{component}": version for component, version in versions.items()}
