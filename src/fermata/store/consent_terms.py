"""What an entry of the consent ledger says beside yes and no, as JSON: only what was said is written."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from fermata.domain.fleet import DeviceScope, Place
from fermata.domain.ids import ApprovalId, ClusterId, UpdateId
from fermata.domain.policy import NO_CONDITIONS, AfterDue, Conditions, ConsentEntry, Scope, ScopeLevel


def is_plain(entry: ConsentEntry) -> bool:
    """True of a word that says nothing more: most of a ledger."""
    more = (entry.is_part, entry.excluded, entry.flight, entry.place, entry.until, entry.then, entry.offer)
    return entry.conditions is NO_CONDITIONS and not any(more)


def write_terms(entry: ConsentEntry) -> dict[str, Any] | None:
    """None when the entry says nothing more."""
    if is_plain(entry):
        return None
    said = {
        "excluded": sorted(entry.excluded),
        "is_part": entry.is_part,
        "flight": entry.flight,
        "place": list(entry.place) if entry.place else None,
        "conditions": _write_conditions(entry.conditions) if entry.conditions != NO_CONDITIONS else None,
        "until": _write_time(entry.until),
        "then": entry.then,
        "offer": entry.offer,
    }
    return {name: value for name, value in said.items() if value} or None


def read_terms(plain: ConsentEntry, said: Mapping[str, Any]) -> ConsentEntry:
    """The entry with what was written of it."""
    place = said.get("place")
    return replace(
        plain,
        excluded=frozenset(UpdateId(name) for name in said.get("excluded", ())),
        is_part=bool(said.get("is_part")),
        flight=UpdateId(said["flight"]) if said.get("flight") else None,
        place=_read_place(*place) if place else None,
        conditions=_read_conditions(said["conditions"]) if said.get("conditions") else NO_CONDITIONS,
        until=_read_time(said.get("until")),
        then=AfterDue(said["then"]) if said.get("then") else None,
        offer=ApprovalId(said["offer"]) if said.get("offer") else None,
    )


def _write_conditions(conditions: Conditions) -> dict[str, Any]:
    said = {
        "not_before": _write_time(conditions.not_before),
        "not_after": _write_time(conditions.not_after),
        "nodes_per_day": conditions.nodes_per_day,
        "with_updates": sorted(conditions.with_updates),
        "with_scope": [conditions.with_scope.level, conditions.with_scope.name] if conditions.with_scope else None,
    }
    return {name: value for name, value in said.items() if value}


def _read_conditions(said: Mapping[str, Any]) -> Conditions:
    scope = said.get("with_scope")
    return Conditions(
        not_before=_read_time(said.get("not_before")),
        not_after=_read_time(said.get("not_after")),
        nodes_per_day=said.get("nodes_per_day"),
        with_updates=frozenset(UpdateId(name) for name in said.get("with_updates", ())),
        with_scope=Scope(level=ScopeLevel(scope[0]), name=scope[1]) if scope else None,
    )


def _read_place(cluster: str, scope: str, name: str) -> Place:
    return ClusterId(cluster), DeviceScope(scope), name


def _write_time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _read_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
