"""A catalogue in the words of `updates.yaml`, and updates that are added to one that is on record."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from fermata.domain.updates import Catalogue, Duration, Isolation, IsolationBy, Update
from fermata.formats.faults import FaultLog, raise_faults
from fermata.formats.fields import Document, Fields
from fermata.formats.spots import Kind, Spot
from fermata.formats.updates import decode_root
from fermata.formats.yamltext import parse_yaml, read_yaml

ADDED_REQUIRED = ("updates",)
ADDED_OPTIONAL = ("teams", "defaults")


def read_added(path: Path, stored: Catalogue) -> Catalogue:
    """`stored` with the updates of a file, which replace those of the same id; the file may add teams.

    Raises BadInput with all faults, those that only show beside what is stored included: unknown ids, cycles, twins.
    """
    document = Document(log=FaultLog(path))
    added = read_yaml(path, document.log)
    if added is not None:
        Fields(document, added, required=ADDED_REQUIRED, optional=ADDED_OPTIONAL)
    raise_faults([document.log])
    assert added is not None, "a file without faults is read"
    base = parse_yaml(orjson.dumps(catalogue_to_plain(stored)).decode(), FaultLog(path))
    assert base is not None, "what we write ourselves is read"
    merged = {key: _merge(base.keys[key], added.keys.get(key)) for key in base.keys}
    catalogue = decode_root(document, replace(base, keys=merged))
    raise_faults([document.log])
    return catalogue


def catalogue_to_plain(catalogue: Catalogue) -> dict[str, Any]:
    """As `updates.yaml` states it: read again, it is the same catalogue."""
    defaults = catalogue.defaults
    return {
        "defaults": {
            "drain_minutes": _duration(defaults.drain_minutes),
            "reboot_minutes": _duration(defaults.reboot_minutes),
            "verify_minutes": _duration(defaults.verify_minutes),
        },
        "teams": [{"id": team, "at_once": limit} for team, limit in sorted(catalogue.team_limits.items())],
        "updates": [_update(catalogue.updates[name]) for name in sorted(catalogue.updates)],
    }


def _merge(stored: Spot, added: Spot | None) -> Spot:
    """Entries of a list by their id, the added ones last, so that what clashes is told of them; else what is added."""
    if added is None:
        return stored
    if stored.kind is not Kind.LIST or added.kind is not Kind.LIST:
        return added
    named = {spot.keys["id"].raw for spot in added.items if "id" in spot.keys}
    kept = tuple(spot for spot in stored.items if spot.keys["id"].raw not in named)
    return replace(added, items=(*kept, *added.items))


def _update(update: Update) -> dict[str, Any]:
    covered = update.applies_to
    applies_to: Mapping[str, list[str]] = {
        "sku": sorted(covered.skus),
        "cluster": sorted(covered.clusters),
        "from_versions": sorted(covered.from_versions),
    }
    said: dict[str, Any] = {
        "id": update.id,
        "title": update.title,
        "owner_team": update.owner_team,
        "target": update.target,
        "component": update.component,
        "to_version": update.to_version,
        "applies_to": {key: names for key, names in applies_to.items() if names},
        "impact": update.impact.value,
        "impact_seconds": update.impact_seconds,
        "criticality": update.criticality.value,
        "stage": update.stage.value,
        "released_at": update.released_at.isoformat(),
        "not_before": update.not_before.isoformat() if update.not_before else None,
        "duration_minutes": _duration(update.duration_minutes),
        "after": list(update.after),
        "requires": [{"component": r.component, "min_version": r.min_version} for r in update.requires],
        "conflicts_with": list(update.conflicts_with),
        "isolation": _isolation(update.isolation),
        "rollback": update.rollback.value,
    }
    return {key: value for key, value in said.items() if value is not None and value != []}


def _duration(duration: Duration) -> dict[str, float]:
    return {"p50": duration.p50, "p90": duration.p90}


def _isolation(isolation: Isolation) -> dict[str, Any]:
    bounded = {} if isolation.by is IsolationBy.NONE else {"at_once": isolation.at_once}
    return {"by": isolation.by.value, **bounded}
