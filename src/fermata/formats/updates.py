"""Reads `updates.yaml`: step defaults, teams and the update catalogue."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from fermata.domain.ids import TeamId, UpdateId
from fermata.domain.names import Names
from fermata.domain.updates import (
    NODE_TARGET,
    AppliesTo,
    Catalogue,
    Criticality,
    Duration,
    Impact,
    Isolation,
    IsolationBy,
    Requirement,
    Rollback,
    Stage,
    StepDefaults,
    Update,
)
from fermata.formats.changes import Change, ChangedFile, apply_changes
from fermata.formats.faults import FaultLog, quote, raise_faults
from fermata.formats.fields import COMPONENT_OF, Document, Fields, check_unique
from fermata.formats.spots import Kind, Spot
from fermata.formats.yamltext import read_yaml

ROOT_KEYS = ("defaults", "teams", "updates")
DEFAULT_KEYS = ("drain_minutes", "reboot_minutes", "verify_minutes")
DURATION_KEYS = ("p50", "p90")
TEAM_KEYS = ("id", "at_once")
UPDATE_REQUIRED = (
    "id",
    "title",
    "owner_team",
    "target",
    "component",
    "to_version",
    "applies_to",
    "impact",
    "criticality",
    "stage",
    "released_at",
    "duration_minutes",
    "rollback",
)
UPDATE_OPTIONAL = ("impact_seconds", "not_before", "after", "requires", "conflicts_with", "isolation")
APPLIES_TO_KEYS = ("sku", "cluster", "from_versions")
REQUIREMENT_KEYS = ("component", "min_version")
ISOLATION_KEYS = ("by", "at_once")

MINUTES_MAX = 60 * 24 * 30  # a month: no unit takes longer
SECONDS_MAX = 86_400
CYCLE_NAMED_MAX = 12
CYCLES_MAX = 50  # each found cycle is broken at one place before the next is looked for


def read_updates(path: Path) -> Catalogue:
    """Read the file `path`. Raises BadInput with all its faults."""
    document = Document(log=FaultLog(path))
    catalogue = decode_updates(path, document)
    raise_faults([document.log])
    assert catalogue is not None, "a catalogue without faults is read"
    return catalogue


def decode_updates(path: Path, document: Document, changes: Sequence[Change] = ()) -> Catalogue | None:
    """The catalogue, with `changes`; not to be used, or None, when the document's log has faults."""
    root = apply_changes(read_yaml(path, document.log), changes, document.log, ChangedFile.UPDATES)
    return None if root is None else decode_root(document, root)


def decode_root(document: Document, root: Spot) -> Catalogue:
    """As `decode_updates`, of values at hand."""
    top = Fields(document, root, required=ROOT_KEYS)
    teams = [Fields(document, spot, required=TEAM_KEYS) for spot in top.items("teams")]
    entries = [
        Fields(document, spot, required=UPDATE_REQUIRED, optional=UPDATE_OPTIONAL) for spot in top.items("updates")
    ]
    check_unique((team.spot("id") for team in teams), document.log, "Team")
    check_unique((entry.spot("id") for entry in entries), document.log, "Update")
    defaults = top.fields("defaults", required=DEFAULT_KEYS)
    updates = [_update(entry) for entry in entries]
    limits = {TeamId(team.name("id")): team.integer("at_once", least=1) for team in teams}
    _check_teams(entries, limits)
    _check_ids(entries)
    _check_cycles(entries)
    _check_twins(entries, updates)
    return Catalogue(
        defaults=StepDefaults(
            drain_minutes=_duration(defaults, "drain_minutes"),
            reboot_minutes=_duration(defaults, "reboot_minutes"),
            verify_minutes=_duration(defaults, "verify_minutes"),
        ),
        team_limits=limits,
        updates={update.id: update for update in updates},
    )


def _update(entry: Fields) -> Update:
    entry.refer("target", "target")
    target = entry.name("target")
    entry.refer(COMPONENT_OF + target, "component")
    return Update(
        id=UpdateId(entry.name("id")),
        title=entry.text("title"),
        owner_team=TeamId(entry.name("owner_team")),
        target=target,
        component=entry.name("component"),
        to_version=entry.version("to_version"),
        applies_to=_applies_to(entry),
        impact=entry.choice("impact", Impact),
        impact_seconds=entry.integer("impact_seconds", most=SECONDS_MAX) if entry.has("impact_seconds") else None,
        criticality=entry.choice("criticality", Criticality),
        stage=entry.choice("stage", Stage),
        released_at=entry.instant("released_at"),
        not_before=entry.instant("not_before") if entry.has("not_before") else None,
        duration_minutes=_duration(entry, "duration_minutes"),
        after=tuple(UpdateId(name) for name in entry.names("after")),
        requires=_requires(entry),
        conflicts_with=tuple(UpdateId(name) for name in entry.names("conflicts_with")),
        isolation=_isolation(entry),
        rollback=entry.choice("rollback", Rollback),
    )


def _duration(fields: Fields, key: str) -> Duration:
    duration = fields.fields(key, required=DURATION_KEYS)
    p50 = duration.number("p50", most=MINUTES_MAX)
    p90 = duration.number("p90", most=MINUTES_MAX)
    if duration.reads("p50", "p90") and p90 < p50:
        duration.fault("p90", f"p90 is {p90:g}, less than the median of {p50:g}.")
    return Duration(p50=p50, p90=p90)


def _applies_to(entry: Fields) -> AppliesTo:
    applies_to = entry.fields("applies_to", optional=APPLIES_TO_KEYS)
    applies_to.refer("sku", "sku")
    applies_to.refer("cluster", "cluster")
    return AppliesTo(
        skus=frozenset(applies_to.names("sku")),
        clusters=frozenset(applies_to.names("cluster")),
        from_versions=frozenset(applies_to.names("from_versions", versions=True)),
    )


def _requires(entry: Fields) -> tuple[Requirement, ...]:
    requirements = []
    for spot in entry.items("requires"):
        requirement = Fields(entry.document, spot, required=REQUIREMENT_KEYS)
        requirement.refer(COMPONENT_OF, "component")
        requirements.append(
            Requirement(component=requirement.name("component"), min_version=requirement.version("min_version"))
        )
    return tuple(requirements)


def _isolation(entry: Fields) -> Isolation:
    if entry.spot("isolation") is None:
        return Isolation()
    isolation = entry.fields("isolation", required=("by",), optional=("at_once",))
    by = isolation.choice("by", IsolationBy)
    if not isolation.reads("by"):
        return Isolation()
    if by is IsolationBy.NONE:
        if isolation.has("at_once"):
            isolation.fault("at_once", "Nothing is isolated, so at_once has no meaning: leave it out.")
        return Isolation()
    if not isolation.has("at_once"):
        unit = "fault domains" if by is IsolationBy.FAULT_DOMAIN else "per cent of the window's nodes"
        isolation.fault("at_once", f'Key "at_once" is missing: how many {unit} at once.')
    most = 100 if by is IsolationBy.PERCENT else 10**6
    return Isolation(by=by, at_once=isolation.integer("at_once", least=1, most=most))


def _check_teams(entries: Sequence[Fields], limits: Mapping[TeamId, int]) -> None:
    known = Names(limits)
    for entry in entries:
        team = entry.spot("owner_team")
        if team and team.kind is Kind.TEXT and team.raw not in known:
            entry.fault("owner_team", f"Team {quote(team.raw)} is not in teams.", wrong=team.raw, known=known)


def _named(entry: Fields, key: str) -> tuple[Spot, ...]:
    """The texts under `key`, single or in a list."""
    found = entry.spot(key)
    spots = found.items if found and found.kind is Kind.LIST else (found,)
    return tuple(spot for spot in spots if spot and spot.kind is Kind.TEXT)


def _check_ids(entries: Sequence[Fields]) -> None:
    known = Names(spot.raw for entry in entries for spot in _named(entry, "id"))
    for entry in entries:
        own = [spot.raw for spot in _named(entry, "id")]
        for spot in (*_named(entry, "after"), *_named(entry, "conflicts_with")):
            log = entry.document.log
            if spot.raw not in known:
                log.add(f"Update {quote(spot.raw)} does not exist.", spot.place, wrong=spot.raw, known=known)
        for spot in _named(entry, "conflicts_with"):
            if spot.raw in own:
                entry.document.log.add("An update cannot conflict with itself.", spot.place)


def _check_cycles(entries: Sequence[Fields]) -> None:
    """Name each cycle once, at the `after` that closes it."""
    by_id = {spot.raw: entry for entry in entries for spot in _named(entry, "id")}
    graph = {name: {spot.raw for spot in _named(entry, "after")} for name, entry in by_id.items()}
    for _ in range(CYCLES_MAX):
        try:
            TopologicalSorter({name: sorted(after) for name, after in sorted(graph.items())}).prepare()
        except CycleError as error:
            cycle: list[str] = error.args[1][:-1]
            start = cycle.index(min(cycle))
            cycle = cycle[start:] + cycle[:start]
            named = cycle if len(cycle) <= CYCLE_NAMED_MAX else [*cycle[: CYCLE_NAMED_MAX - 1], "...", cycle[-1]]
            path = " -> ".join((*named, cycle[0]))
            by_id[cycle[0]].fault("after", f"A cycle: {path} (each must be active before the next starts).")
            graph[cycle[0]].discard(cycle[-1])
        else:
            return


def _check_twins(entries: Sequence[Fields], updates: Sequence[Update]) -> None:
    """Two production-ready updates that bring the same version of the same component: which one is meant?"""
    groups: dict[tuple[str, str, tuple[object, ...]], str] = defaultdict(str)
    for entry, update in zip(entries, updates, strict=True):
        if update.stage is not Stage.PRODUCTION_READY or not entry.reads("id", "component", "target", "to_version"):
            continue
        key = (update.target, update.component, _version_key(update.to_version))
        if groups[key] and groups[key] != update.id:
            on = "nodes" if update.target == NODE_TARGET else update.target
            entry.fault(
                "id",
                f"{update.id} and {groups[key]} are both production-ready and bring {update.component}"
                f" {update.to_version} to {on}: keep one.",
            )
        groups[key] = groups[key] or update.id


def _version_key(version: str) -> tuple[object, ...]:
    """Equal for versions that compare equal."""
    return tuple(int(part) if part.isdecimal() and part.isascii() else part.casefold() for part in version.split("."))
