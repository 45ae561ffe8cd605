"""What a report of inventory makes of the store: judged, applied with its journal, and told. Shared by whoever takes
reports in and by whoever decides about those that were held.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from fermata.domain.fleet_diff import Difference, FleetDiff, UnitChange
from fermata.domain.hashing import fleet_sha256
from fermata.domain.ids import HoldId, NodeId, RequestId, SourceId
from fermata.domain.inventory_holds import Circumstances, Hold, HoldState, count_losses, why_held
from fermata.domain.inventory_reports import NotTaken, Report, SourceState
from fermata.domain.inventory_sync import Proposal, Stored, propose
from fermata.domain.reasons import Reason
from fermata.domain.requests import Request
from fermata.domain.sources import SourceKind
from fermata.services.consent import end_words_of_others
from fermata.services.inventory import ENTRIES_MAX
from fermata.services.requests import refresh_in
from fermata.store import inventory_sources as source_store
from fermata.store import journal
from fermata.store.database import Connection

ACTOR = "fermata"  # who syncs by the clock
CHANGES_SHOWN = 1000
NOT_TAKEN_SHOWN = 100


class SyncOutcome(StrEnum):
    """What came of a report."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    HELD = "held"
    DROPPED = "dropped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeLine:
    """One unit that differs: `what` is added, gone, moved or changed; `fields` has before and after by field."""

    kind: str
    name: str
    what: str
    fields: Mapping[str, tuple[Any, Any]] = field(hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What came, or would come, of a report. `counts` has units by kind and difference; `changes` the first of them,
    `not_taken` the first units that could not be taken in, of `not_taken_total`. `reasons` say why it is held, was
    dropped or failed.
    """

    source: SourceId
    outcome: SyncOutcome
    observed_at: datetime | None = None
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict, hash=False)
    changes: tuple[ChangeLine, ...] = ()
    not_taken_total: int = 0
    not_taken: tuple[NotTaken, ...] = ()
    reasons: tuple[Reason, ...] = ()
    hold: HoldId | None = None
    requests: tuple[RequestId, ...] = ()


Counts = Mapping[str, Mapping[str, int]]  # units by kind and difference


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A report against the store. `busy`: nodes that may not be pulled away; `lost`: how many it takes away."""

    report: Report
    stored: Stored
    proposal: Proposal
    reasons: tuple[Reason, ...]
    busy: frozenset[NodeId]
    lost: int

    @property
    def diff(self) -> FleetDiff:
        """What it would change."""
        return self.proposal.diff

    @property
    def pulled(self) -> frozenset[str]:
        """Nodes that it would pull from under work."""
        heavy = (Difference.GONE, Difference.MOVED)
        return frozenset(c.name for c in self.diff.changes if c.kind == "node" and c.difference in heavy) & self.busy


def judge(conn: Connection, report: Report, kind: SourceKind, before: SourceState | None, *, now: datetime) -> Judged:
    """Merges the report into the fleet as it is now, and says why a person has to see that first, if so."""
    stored = source_store.load_stored(conn)
    in_work, busy = source_store.load_in_work(conn)
    proposal = propose(stored, report, live=kind.is_live, in_work=in_work)
    mine = frozenset(name for name, owner in stored.nodes.items() if owner == report.source)
    facts = Circumstances(
        source=report.source,
        owned=len(mine),
        known=len((proposal.nodes | mine) & stored.fleet.nodes.keys()),
        lost=count_losses(before.losses, now) if before else 0,
        busy=busy,
    )
    return Judged(
        report=report,
        stored=stored,
        proposal=proposal,
        reasons=why_held(stored.fleet, proposal.diff, facts),
        busy=busy,
        lost=len(proposal.diff.names("node", "removed")),
    )


def apply_changes(conn: Connection, judged: Judged, *, now: datetime, actor: str, why: str = "") -> tuple[Request, ...]:
    """Writes the fleet, its journal and the requests that follow from it."""
    source, diff, fleet = judged.report.source, judged.diff, judged.proposal.fleet
    source_store.save_proposal(conn, judged.stored, judged.proposal, source)
    if not diff.changes:
        return ()
    end_words_of_others(conn, judged.stored.fleet, fleet, now=now, actor=actor)
    data = {
        "counts": diff.differences(),
        "fleet_sha256": fleet_sha256(fleet),
        "not_taken": len(judged.proposal.not_taken),
    }
    entries = [source_entry("inventory.synced", source, data, now=now, actor=actor, why=why)]
    if len(diff.changes) <= ENTRIES_MAX:
        entries += _unit_entries(diff, source, now=now, actor=actor)
    journal.append_many(conn, entries)
    return refresh_in(conn, now=now, why=f"source {source} was synced", fleet=fleet)


def close_hold(conn: Connection, hold: Hold, state: HoldState, *, now: datetime, actor: str, why: str) -> None:
    told = Report(source=hold.source, observed_at=hold.report.observed_at)  # what it was about stays in the diff
    source_store.save_hold(conn, replace(hold, state=state, report=told, decided_at=now, decided_by=actor, why=why))
    data = {"hold": hold.id, "counts": hold.diff.differences()}
    journal.append(conn, source_entry(f"inventory.{state}", hold.source, data, now=now, actor=actor, why=why))


def say_synced(judged: Judged, outcome: SyncOutcome, **more: Any) -> Synced:
    not_taken = judged.proposal.not_taken
    requests = more.pop("requests", ())
    return Synced(
        source=judged.report.source,
        outcome=outcome,
        observed_at=judged.report.observed_at,
        counts=judged.diff.differences(),
        changes=tuple(to_line(change) for change in judged.diff.changes[:CHANGES_SHOWN]),
        not_taken_total=len(not_taken),
        not_taken=not_taken[:NOT_TAKEN_SHOWN],
        requests=tuple(request.id for request in requests),
        **more,
    )


def to_line(change: UnitChange) -> ChangeLine:
    """A change as it is told."""
    return ChangeLine(kind=change.kind, name=change.name, what=change.difference.value, fields=change.fields)


def _unit_entries(diff: FleetDiff, source: SourceId, *, now: datetime, actor: str) -> Iterator[journal.Entry]:
    for change in diff.changes:
        data = {name: {"before": before, "after": after} for name, (before, after) in change.fields.items()}
        yield journal.Entry(
            at=now,
            actor=actor,
            event=f"{change.kind}.{change.difference}",
            subject=f"{change.kind}:{change.name}",
            data=data,
            why=f"source {source}",
        )


def source_entry(
    event: str, source: SourceId, data: Mapping[str, Any], *, now: datetime, actor: str, why: str = ""
) -> journal.Entry:
    return journal.Entry(at=now, actor=actor, event=event, subject=f"source:{source}", data=data, why=why)


def say_time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%SZ}"
