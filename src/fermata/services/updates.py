"""Operator verbs of the update catalogue: register, judge, promote, take back. One transaction each."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from fermata.domain.fleet import Fleet
from fermata.domain.flights import Flight, end_flight, find_flights
from fermata.domain.hashing import content_sha256
from fermata.domain.ids import RequestId, SignalId, UpdateId
from fermata.domain.pending import FleetPending, UnitPending, find_pending
from fermata.domain.qualification import (
    NeedStanding,
    QualificationRule,
    Result,
    Ring,
    Signal,
    find_rule,
    judge_needs,
    judge_promotion,
)
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.two_people import judge_promoter, judge_registration
from fermata.domain.updates import Catalogue, Stage, Update
from fermata.domain.versions import compare_versions
from fermata.formats.catalogue import read_added
from fermata.formats.qualification import read_qualification
from fermata.formats.updates import read_updates
from fermata.services.consent import store_entries
from fermata.services.errors import Refusal, nearest, refuse_all, refusing_unknown
from fermata.services.fleets import read_fleet
from fermata.services.registrants import find_registrants
from fermata.services.requests import refresh_in
from fermata.store import inventory, journal, plans, runs, signals
from fermata.store.consent import load_ledger
from fermata.store.database import Connection, Database, NotStored
from fermata.store.flights import load_undone

NewId = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateView:
    """An update, on how many units it is due now, what its rule asks for, and its signals by when they were judged.

    `rule` is None when no rule is about it. `missing`: why it may not become production-ready, empty if it may
    or is. `flights`: where a flight-ready one is approved, by supercomputer.
    """

    update: Update
    nodes: int
    devices: int
    rule: str | None
    needs: tuple[NeedStanding, ...]
    missing: tuple[Reason, ...]
    signals: tuple[Signal, ...]
    flights: tuple[Flight, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalOrder:
    """What is recorded: `updates` ran together on `nodes` nodes in a ring and passed or failed. `at` None: now."""

    updates: frozenset[UpdateId]
    ring: Ring
    name: str
    result: Result
    nodes: int
    sku: str = ""
    at: datetime | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    """Who changes the catalogue, when and why; `event` is what the journal calls it."""

    event: str
    now: datetime
    actor: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueChanged:
    """Updates that are new or different, or gone, and requests that changed with them. All empty: nothing changed."""

    updates: tuple[UpdateId, ...]
    requests: tuple[RequestId, ...]


def list_updates(db: Database, seen: tuple[Fleet, FleetPending] | None = None) -> tuple[UpdateView, ...]:
    """The catalogue, by release, then id. `seen`: the fleet as stored and what is pending on it, if they are at hand.
    Raises Refusal before the first import.
    """
    with refusing_unknown(), db.read() as conn:
        return _views(conn, seen)


def show_update(db: Database, name: UpdateId) -> UpdateView:
    """One update. Raises Refusal for an unknown one."""
    found = {view.update.id: view for view in list_updates(db)}
    if name not in found:
        raise Refusal(reason(Code.NO_SUCH_UPDATE, update=name, nearest=nearest(name, found)))
    return found[name]


def register_updates(db: Database, path: Path, *, now: datetime, actor: str, why: str = "") -> CatalogueChanged:
    """Adds a file's updates to the catalogue; those of a known id are replaced.

    Raises BadInput with all faults, and Refusal when one that a run brings to nodes would change, or when one would be
    production-ready that was not and lacks signals.
    """
    with db.begin() as conn:
        try:
            before = inventory.load_catalogue(conn)
        except NotStored:
            after = read_updates(path)  # the first file has to hold all of it: defaults and teams too
            known: dict[UpdateId, Update] = {}
        else:
            after, known = read_added(path, before), dict(before.updates)
        changed = sorted(name for name, update in after.updates.items() if known.get(name) != update)
        refuse_all(why_not for name in changed if name in known for why_not in _in_use(conn, name))
        new = [after.updates[name] for name in changed]
        registrants = find_registrants(conn, changed)
        refuse_all((*_unqualified(conn, new, known), *judge_registration(new, known, registrants, actor)))
        return _save(conn, after, changed, _Word(event="update.registered", now=now, actor=actor, why=why))


def withdraw_update(db: Database, name: UpdateId, *, now: datetime, actor: str, why: str) -> CatalogueChanged:
    """Takes an update out of the catalogue. Raises Refusal while a run brings it to nodes, or others name it."""
    with refusing_unknown(), db.begin() as conn:
        catalogue = inventory.load_catalogue(conn)
        _find(catalogue, name)
        others = sorted(u.id for u in catalogue.updates.values() if name in (*u.after, *u.conflicts_with))
        needed = [reason(Code.UPDATE_NEEDED, update=name, others=", ".join(others))] if others else []
        refuse_all((*needed, *_in_use(conn, name)))
        rest = {key: update for key, update in catalogue.updates.items() if key != name}
        _end_flight(conn, name, f"{name} was withdrawn ({why})", now=now, actor=actor)
        word = _Word(event="update.withdrawn", now=now, actor=actor, why=why)
        return _save(conn, replace(catalogue, updates=rest), [name], word)


def promote_update(db: Database, name: UpdateId, *, now: datetime, actor: str, why: str = "") -> CatalogueChanged:
    """Makes a flight-ready update production-ready: from now on it is pending wherever it applies.

    Raises Refusal with every signal that its rule names and that is missing, when another brings the same version, and
    when `actor` registered it.
    """
    with refusing_unknown(), db.begin() as conn:
        catalogue = inventory.load_catalogue(conn)
        update = _find(catalogue, name)
        if update.stage is Stage.PRODUCTION_READY:
            raise Refusal(reason(Code.STAGE_ALREADY, update=name, stage="production-ready"))
        alone = judge_promoter(name, find_registrants(conn, [name])[name], actor)
        missing = judge_promotion(signals.load_rules(conn), update, signals.load_signals(conn))
        refuse_all((*([alone] if alone else ()), *missing, *_twins(catalogue, update)))
        word = _Word(event="update.promoted", now=now, actor=actor, why=why)
        return _stage(conn, catalogue, update, Stage.PRODUCTION_READY, word)


def demote_update(db: Database, name: UpdateId, *, now: datetime, actor: str, why: str) -> CatalogueChanged:
    """Makes an update flight-ready again: it is pending nowhere until it is promoted, or approved as a flight, anew.
    Raises Refusal while a run brings it to nodes.
    """
    with refusing_unknown(), db.begin() as conn:
        catalogue = inventory.load_catalogue(conn)
        update = _find(catalogue, name)
        if update.stage is Stage.FLIGHT_READY:
            raise Refusal(reason(Code.STAGE_ALREADY, update=name, stage="flight-ready"))
        refuse_all(_in_use(conn, name))
        _end_flight(conn, name, f"{name} was demoted ({why})", now=now, actor=actor)
        word = _Word(event="update.demoted", now=now, actor=actor, why=why)
        return _stage(conn, catalogue, update, Stage.FLIGHT_READY, word)


def record_signal(db: Database, order: SignalOrder, *, now: datetime, actor: str, new_id: NewId) -> Signal:
    """Records what was seen in a ring; it can be outdone by a later signal, never changed. Raises Refusal for unknown
    updates and for a time to come.
    """
    with refusing_unknown(), db.begin() as conn:
        known = inventory.load_catalogue(conn).updates
        refuse_all(
            reason(Code.NO_SUCH_UPDATE, update=name, nearest=nearest(name, known))
            for name in sorted(order.updates)
            if name not in known
        )
        at = order.at or now
        if at > now:
            raise Refusal(reason(Code.SIGNAL_IN_FUTURE, at=f"{at:%Y-%m-%d %H:%MZ}", now=f"{now:%Y-%m-%d %H:%MZ}"))
        recorded = Signal(
            id=SignalId(new_id("sig")),
            updates=order.updates,
            ring=order.ring,
            name=order.name,
            result=order.result,
            nodes=order.nodes,
            sku=order.sku,
            at=at,
            actor=actor,
            note=order.note,
        )
        signals.add_signals(conn, [recorded])
        data = {"id": recorded.id, "ring": recorded.ring, "name": recorded.name, "nodes": recorded.nodes}
        word = _Word(event=f"signal.{recorded.result}", now=now, actor=actor, why=order.note)
        journal.append_many(conn, [_entry(word, name, data) for name in sorted(order.updates)])
        return recorded


def save_rules(db: Database, path: Path, *, now: datetime, actor: str, why: str = "") -> tuple[QualificationRule, ...]:
    """Replaces the rules of qualification by those of a file. Raises BadInput with all its faults."""
    rules = read_qualification(path)
    with db.begin() as conn:
        if signals.save_rules(conn, rules):
            data = {"sha256": content_sha256(rules), "rules": [rule.id for rule in rules]}
            entry = journal.Entry(
                at=now, actor=actor, event="qualification.imported", subject="qualification", data=data, why=why
            )
            journal.append(conn, entry)
    return rules


def _views(conn: Connection, seen: tuple[Fleet, FleetPending] | None) -> tuple[UpdateView, ...]:
    catalogue = inventory.load_catalogue(conn)
    if seen is None:
        fleet = read_fleet(conn)
        pending = find_pending(fleet, catalogue)
    else:
        fleet, pending = seen
    rules, recorded = signals.load_rules(conn), signals.load_signals(conn)
    flights = _flights(conn, fleet, catalogue)
    nodes, devices = _count_due(pending.nodes.values()), _count_due(pending.devices.values())
    return tuple(
        replace(
            _view(update, nodes[update.id], devices[update.id], rules, recorded),
            flights=tuple(flight for flight in flights if flight.update == update.id),
        )
        for update in sorted(catalogue.updates.values(), key=lambda update: (update.released_at, update.id))
    )


def _count_due(found: Collection[UnitPending]) -> Counter[UpdateId]:
    """On how many units each update is due: of many, few kinds."""
    units = Counter(map(id, found))
    counted: Counter[UpdateId] = Counter()
    for unit in {id(unit): unit for unit in found}.values():
        for item in unit.due:
            counted[item.update.id] += units[id(unit)]
    return counted


def _flights(conn: Connection, fleet: Fleet, catalogue: Catalogue) -> tuple[Flight, ...]:
    ledger = load_ledger(conn)
    if not any(entry.flight for entry in ledger):
        return ()
    return find_flights(fleet, catalogue, inventory.load_policy(conn), ledger, load_undone(conn, ledger))


def _view(
    update: Update, nodes: int, devices: int, rules: Sequence[QualificationRule], recorded: Sequence[Signal]
) -> UpdateView:
    rule = find_rule(rules, update)
    is_ready = update.stage is Stage.PRODUCTION_READY
    return UpdateView(
        update=update,
        nodes=nodes,
        devices=devices,
        rule=rule.id if rule else None,
        needs=judge_needs(rule, update, recorded) if rule else (),
        missing=() if is_ready else judge_promotion(rules, update, recorded),
        signals=tuple(one for one in recorded if update.id in one.updates),
    )


def _end_flight(conn: Connection, name: UpdateId, why: str, *, now: datetime, actor: str) -> None:
    """What customers said of it as a flight is over: it flies nowhere before they are asked anew."""
    ledger = load_ledger(conn)
    if any(entry.flight == name for entry in ledger):
        fleet = read_fleet(conn)
        store_entries(conn, tuple(end_flight(fleet, ledger, name, now=now, actor=actor, why=why)), now)


def _find(catalogue: Catalogue, name: UpdateId) -> Update:
    if name not in catalogue.updates:
        raise Refusal(reason(Code.NO_SUCH_UPDATE, update=name, nearest=nearest(name, catalogue.updates)))
    return catalogue.updates[name]


def _twins(catalogue: Catalogue, update: Update) -> tuple[Reason, ...]:
    return tuple(
        reason(Code.UPDATE_TWIN, other=other.id, component=update.component, version=update.to_version)
        for other in catalogue.production_ready
        if (other.target, other.component) == (update.target, update.component)
        and compare_versions(other.to_version, update.to_version) == 0
    )


def _unqualified(conn: Connection, changed: Sequence[Update], known: Mapping[UpdateId, Update]) -> Iterator[Reason]:
    """What updates lack that a file calls production-ready and that were not before."""
    rules, recorded = signals.load_rules(conn), signals.load_signals(conn)
    for update in changed:
        before = known.get(update.id)
        was_ready = before is not None and before.stage is Stage.PRODUCTION_READY
        if update.stage is Stage.PRODUCTION_READY and not was_ready:
            yield from judge_promotion(rules, update, recorded)


def _in_use(conn: Connection, name: UpdateId) -> tuple[Reason, ...]:
    """Runs that are not over and whose plan brings the update to units."""
    return tuple(
        reason(Code.UPDATE_IN_USE, run=run.id, update=name)
        for campaign in inventory.list_campaigns(conn)
        for run in (runs.latest_run(conn, campaign.id),)
        if run is not None
        and run.ended_at is None
        and any(name in window.updates for window in plans.load_plan(conn, run.plan).windows)
    )


def _stage(conn: Connection, catalogue: Catalogue, update: Update, stage: Stage, word: _Word) -> CatalogueChanged:
    moved = {**catalogue.updates, update.id: replace(update, stage=stage)}
    return _save(conn, replace(catalogue, updates=moved), [update.id], word)


def _save(conn: Connection, catalogue: Catalogue, changed: Sequence[UpdateId], word: _Word) -> CatalogueChanged:
    if not inventory.save_catalogue(conn, catalogue):
        return CatalogueChanged(updates=(), requests=())
    data = {"catalogue_sha256": content_sha256(catalogue)}
    journal.append_many(conn, [_entry(word, name, data) for name in changed])
    verb = word.event.partition(".")[2]
    requests = refresh_in(conn, now=word.now, why=f"{word.actor} {verb} {', '.join(changed)}")
    return CatalogueChanged(updates=tuple(changed), requests=tuple(request.id for request in requests))


def _entry(word: _Word, update: str, data: dict[str, Any]) -> journal.Entry:
    return journal.Entry(
        at=word.now, actor=word.actor, event=word.event, subject=f"update:{update}", data=data, why=word.why
    )
