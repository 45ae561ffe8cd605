"""Which changes of inventory wait for a person: those that are more likely a fault of the source than the truth, and
those that would pull nodes from under work.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from fermata.domain.fleet import Fleet
from fermata.domain.fleet_diff import Difference, FleetDiff, UnitChange
from fermata.domain.hashing import content_sha256
from fermata.domain.ids import HoldId, NodeId, SourceId
from fermata.domain.inventory_reports import Loss, Report
from fermata.domain.reasons import Code, Reason, reason

LOSS_PERCENT_MAX = 5  # of a source's nodes; more at once is as a rule a source that broke
LOSS_SPAN = timedelta(days=1)  # "suddenly": small losses in a row within it count together
NAMES_SHOWN = 5


class HoldState(StrEnum):
    """What became of held changes. Superseded: the source said something else before anybody decided."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DROPPED = "dropped"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What judging needs beside the change itself. `owned`: nodes that are the source's before it; `known`: those that
    are its after it and were there before; `lost`: those that it lost within LOSS_SPAN; `busy`: nodes that a run holds,
    or that an open window has.
    """

    source: SourceId
    owned: int
    known: int
    lost: int
    busy: frozenset[NodeId]


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Changes that wait, or waited, for a person. `report` is what the source said, `diff` what it would change then;
    `sha256` weighs that, see `weigh`. `why` is what the person gave as a reason.
    """

    id: HoldId
    source: SourceId
    state: HoldState
    held_at: datetime
    reasons: tuple[Reason, ...]
    report: Report
    diff: FleetDiff
    sha256: str
    decided_at: datetime | None = None
    decided_by: str | None = None
    why: str = ""


def why_held(before: Fleet, diff: FleetDiff, facts: Circumstances) -> tuple[Reason, ...]:
    """Every reason why a person has to look at it first; none: it may be applied."""
    return tuple(_reasons(before, diff, facts))


def weigh(diff: FleetDiff) -> str:
    """A hash of what a person is asked about: units that go or stand elsewhere, and clusters that change hands.

    Other changes may come and go while somebody thinks about these.
    """
    heavy = [
        (c.kind, c.name, c.difference.value, {f: str(after) for f, (_, after) in c.fields.items()})
        for c in diff.changes
        if c.difference in (Difference.GONE, Difference.MOVED) or (c.kind == "cluster" and _changes_hands(c))
    ]
    return content_sha256(tuple((kind, name, what, tuple(sorted(f.items()))) for kind, name, what, f in heavy))


def count_losses(losses: Iterable[Loss], now: datetime) -> int:
    """Nodes lost within LOSS_SPAN before `now`."""
    return sum(loss.nodes for loss in losses if loss.at > now - LOSS_SPAN)


def keep_losses(losses: Sequence[Loss], now: datetime, lost: int) -> tuple[Loss, ...]:
    """Those that still count, and the newest."""
    kept = tuple(loss for loss in losses if loss.at > now - LOSS_SPAN)
    return (*kept, Loss(at=now, nodes=lost)) if lost else kept


def _reasons(before: Fleet, diff: FleetDiff, facts: Circumstances) -> Iterable[Reason]:
    nodes = [change for change in diff.changes if change.kind == "node"]
    gone = [c for c in nodes if c.difference is Difference.GONE]
    moved = [c for c in nodes if c.difference is Difference.MOVED]
    shares: Mapping[Code, tuple[int, int]] = {
        Code.INVENTORY_LOSS: (len(gone) + facts.lost if gone else 0, facts.owned + facts.lost),
        Code.INVENTORY_MOVES: (len(moved), facts.known),
    }
    for code, (count, of) in shares.items():
        if count * 100 > of * LOSS_PERCENT_MAX:
            fields = {"source": facts.source, "nodes": count, "of": of, "percent": f"{100 * count / of:.1f}"}
            yield reason(code, **fields, limit=LOSS_PERCENT_MAX)
    pulled = sorted(c.name for c in (*gone, *moved) if c.name in facts.busy)
    if pulled:
        yield reason(Code.INVENTORY_IN_WORK, source=facts.source, nodes=_first(pulled))
    handed = [c.name for c in diff.changes if c.kind == "cluster" and _changes_hands(c)]
    handed += [c.name for c in moved if _is_elsewhere(before, c)]
    if handed:
        yield reason(Code.INVENTORY_CUSTOMER, source=facts.source, units=_first(handed))


def _changes_hands(change: UnitChange) -> bool:
    return change.difference is Difference.CHANGED and not {"supercomputer", "customer"}.isdisjoint(change.fields)


def _is_elsewhere(before: Fleet, change: UnitChange) -> bool:
    """True when the node moves to a cluster of another supercomputer or customer, or to one that is new."""
    if "cluster" not in change.fields:
        return False
    old, new = (before.clusters.get(name) for name in change.fields["cluster"])
    return old is None or new is None or (old.supercomputer, old.customer) != (new.supercomputer, new.customer)


def _first(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
