"""Imports: each is one transaction, changes only what differs, writes the journal and brings requests up to date."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from fermata.domain.campaign import Campaign
from fermata.domain.fleet import Fleet
from fermata.domain.fleet_diff import FleetDiff, UnitChange
from fermata.domain.hashing import content_sha256, fleet_sha256
from fermata.domain.ids import RequestId
from fermata.domain.policy import Policy
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.requests import Request
from fermata.domain.updates import Catalogue
from fermata.domain.workloads import WorkloadMap, find_serving
from fermata.services.consent import end_words_of_others
from fermata.services.errors import Refusal, nearest, refuse_all, shorten
from fermata.services.registrants import refuse_import_alone
from fermata.services.requests import refresh_in
from fermata.store import inventory, journal, workloads
from fermata.store.database import Connection, Database, NotStored
from fermata.store.unit_ops import nodes_in_work

NAMES_MAX = 10  # of each action; all of them stand in the journal
ENTRIES_MAX = 1000  # a re-import beyond it is a new inventory, not changes that somebody reads one by one


@dataclass(frozen=True, kw_only=True)
class ImportSet:
    """What one import brings; None is left as it is."""

    fleet: Fleet | None = None
    catalogue: Catalogue | None = None
    policy: Policy | None = None
    campaign: Campaign | None = None
    workloads: WorkloadMap | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import changed. `documents` names what is new or different of updates, policy, campaign, workloads."""

    fleet: FleetDiff
    documents: tuple[str, ...]
    requests: tuple[Request, ...]

    @property
    def changed(self) -> bool:
        """False when everything imported was stored already."""
        return bool(self.fleet.changes or self.documents)

    @property
    def summary(self) -> "ImportSummary":
        """What a person is told."""
        return ImportSummary(
            changed=self.changed,
            fleet=self.fleet.counts(),
            named={action: _first_names(self.fleet, action) for action in ("changed", "removed")},
            documents=self.documents,
            requests=tuple(RequestLine(id=request.id, incarnation=request.incarnation) for request in self.requests),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLine:
    """A request that changed, and its incarnation now."""

    id: RequestId
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSummary:
    """What an import changed: units by kind and action, and the first NAMES_MAX changed and removed ones by name."""

    changed: bool
    fleet: Mapping[str, Mapping[str, int]]
    named: Mapping[str, tuple[str, ...]]
    documents: tuple[str, ...]
    requests: tuple[RequestLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadsRemoved:
    """`removed` False: there was no workload map."""

    removed: bool


def import_fleet(db: Database, fleet: Fleet, *, now: datetime, actor: str, why: str = "") -> Imported:
    """Makes the stored fleet equal to `fleet`; see `import_set`."""
    return import_set(db, ImportSet(fleet=fleet), now=now, actor=actor, why=why)


def import_updates(db: Database, catalogue: Catalogue, *, now: datetime, actor: str, why: str = "") -> Imported:
    """Replaces the catalogue; see `import_set`."""
    return import_set(db, ImportSet(catalogue=catalogue), now=now, actor=actor, why=why)


def import_policy(db: Database, policy: Policy, *, now: datetime, actor: str, why: str = "") -> Imported:
    """Replaces the imported policy; freezes added by hand stay. See `import_set`."""
    return import_set(db, ImportSet(policy=policy), now=now, actor=actor, why=why)


def import_campaign(db: Database, campaign: Campaign, *, now: datetime, actor: str, why: str = "") -> Imported:
    """Adds or replaces one campaign; see `import_set`."""
    return import_set(db, ImportSet(campaign=campaign), now=now, actor=actor, why=why)


def import_set(db: Database, given: ImportSet, *, now: datetime, actor: str, why: str = "") -> Imported:
    """Imports all of a set or nothing of it. Importing what is stored already changes nothing and journals nothing.

    Raises Refusal when a node that an open window holds is left out, when the campaign names an unknown update, or when
    the workload map names what the fleet does not have.
    """
    with db.begin() as conn:
        return import_in(conn, given, now=now, actor=actor, why=why)


def import_in(conn: Connection, given: ImportSet, *, now: datetime, actor: str, why: str) -> Imported:
    """As `import_set`, beside whatever else the transaction holds."""
    if given.catalogue is not None:
        refuse_import_alone(conn, given.catalogue, actor)
    documents = _save_documents(conn, given)
    _check_campaign(conn, given.campaign)
    _check_workloads(conn, given)
    diff = FleetDiff(changes=())
    if given.fleet is not None:
        stored = inventory.load_fleet(conn)
        diff = inventory.save_fleet(conn, given.fleet, stored)
        _refuse_held(conn, diff)
        end_words_of_others(conn, stored, given.fleet, now=now, actor=actor)
        entries = _fleet_entries(given.fleet, diff)
        journal.append_many(conn, [_entry(*entry, now=now, actor=actor, why=why) for entry in entries])
    kept = [_document_entry(name, given) for name in documents]
    journal.append_many(conn, [_entry(*entry, now=now, actor=actor, why=why) for entry in kept])
    requests: tuple[Request, ...] = ()
    if diff.changes or {"updates", "policy"} & set(documents):
        why_changed = f"{actor} imported {', '.join(_nouns(given))}"
        requests = refresh_in(conn, now=now, why=why_changed, fleet=given.fleet)
    return Imported(fleet=diff, documents=documents, requests=requests)


def remove_workloads(db: Database, *, now: datetime, actor: str, why: str = "") -> WorkloadsRemoved:
    """From now on plans know no service. Plans that were made with the map keep it; one that is not published yet has
    to be made again. Removing it again changes nothing and journals nothing.
    """
    with db.begin() as conn:
        removed = workloads.remove_workloads(conn)
        if removed:
            journal.append(conn, _entry("workloads.removed", "workloads", {}, now=now, actor=actor, why=why))
        return WorkloadsRemoved(removed=removed)


def _save_documents(conn: Connection, given: ImportSet) -> tuple[str, ...]:
    changed = []
    if given.catalogue is not None and inventory.save_catalogue(conn, given.catalogue):
        changed.append("updates")
    if given.policy is not None and inventory.save_policy(conn, given.policy):
        changed.append("policy")
    if given.campaign is not None and inventory.save_campaign(conn, given.campaign):
        changed.append("campaign")
    if given.workloads is not None and workloads.save_workloads(conn, given.workloads):
        changed.append("workloads")
    return tuple(changed)


def _check_campaign(conn: Connection, campaign: Campaign | None) -> None:
    named = (campaign.updates or frozenset()) | campaign.phases.go_updates if campaign is not None else frozenset()
    if campaign is None or not named:
        return
    try:
        known = inventory.load_catalogue(conn).updates
    except NotStored:
        return  # judged when a plan is made, which needs the catalogue
    refuse_all(
        reason(Code.UPDATE_UNKNOWN, campaign=campaign.id, update=update, nearest=nearest(update, known))
        for update in sorted(named - known.keys())
    )


def _check_workloads(conn: Connection, given: ImportSet) -> None:
    """Against the fleet of the same import, else the stored one; without any it is not judged yet."""
    fleet = given.fleet or inventory.load_fleet(conn)
    if given.workloads is not None and fleet.nodes:
        refuse_all((*_unknown_names(given.workloads, fleet), *_unreachable_minima(given.workloads, fleet)))


def _unknown_names(workloads: WorkloadMap, fleet: Fleet) -> Iterator[Reason]:
    geos = {cluster.geo for cluster in fleet.clusters.values()}
    for name in sorted(workloads.assignments.keys() - fleet.nodes.keys()):
        yield reason(Code.SCOPE_UNKNOWN, level="node", name=name, nearest=nearest(name, fleet.nodes))
    for service in workloads.services.values():
        for geo in sorted(service.minimum.keys() - geos):
            yield reason(Code.SCOPE_UNKNOWN, level="geo", name=geo, nearest=nearest(geo, geos))


def _unreachable_minima(workloads: WorkloadMap, fleet: Fleet) -> Iterator[Reason]:
    serving = find_serving(workloads, fleet)
    for service in workloads.services.values():
        for geo, minimum in sorted(service.minimum.items()):
            have = len(serving.get((service.id, geo), ()))
            if (minimum.nodes or 0) > have:
                yield reason(Code.MINIMUM_UNREACHABLE, service=service.id, geo=geo, have=have, minimum=minimum.nodes)


def _refuse_held(conn: Connection, diff: FleetDiff) -> None:
    gone = set(diff.names("node", "removed"))
    held = sorted(gone & nodes_in_work(conn)) if gone else []
    if held:
        raise Refusal(reason(Code.NODES_HELD, nodes=shorten(held)))


def _first_names(diff: FleetDiff, action: str) -> tuple[str, ...]:
    names = (name for kind in ("cluster", "node", "device") for name in diff.names(kind, action))
    return tuple(islice(names, NAMES_MAX))


_Fact = tuple[str, str, dict[str, Any]]  # event, subject, data


def _fleet_entries(fleet: Fleet, diff: FleetDiff) -> Iterator[_Fact]:
    """One entry per changed unit, or one for all when there are more than ENTRIES_MAX."""
    if len(diff.changes) > ENTRIES_MAX:
        yield "fleet.imported", "fleet", {"counts": diff.counts(), "fleet_sha256": fleet_sha256(fleet)}
        return
    for change in diff.changes:
        yield f"{change.kind}.{change.action}", f"{change.kind}:{change.name}", _fields(change)


def _fields(change: UnitChange) -> dict[str, Any]:
    return {name: {"before": before, "after": after} for name, (before, after) in change.fields.items()}


def _document_entry(name: str, given: ImportSet) -> _Fact:
    values: dict[str, tuple[str, object]] = {
        "updates": ("updates", given.catalogue),
        "policy": ("policy", given.policy),
        "campaign": (f"campaign:{given.campaign.id if given.campaign else ''}", given.campaign),
        "workloads": ("workloads", given.workloads),
    }
    subject, value = values[name]
    return f"{name}.imported", subject, {"sha256": content_sha256(value)}


def _entry(event: str, subject: str, data: dict[str, Any], *, now: datetime, actor: str, why: str) -> journal.Entry:
    return journal.Entry(at=now, actor=actor, event=event, subject=subject, data=data, why=why)


def _nouns(given: ImportSet) -> Iterator[str]:
    for noun, value in (
        ("fleet", given.fleet),
        ("updates", given.catalogue),
        ("policy", given.policy),
        ("campaign", given.campaign),
        ("workloads", given.workloads),
    ):
        if value is not None:
            yield noun
