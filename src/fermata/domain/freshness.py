"""How fresh inventory is: what a source said too long ago is no evidence, and missing evidence means wait."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import DeviceId, NodeId, SourceId
from fermata.domain.reasons import Code, Reason, reason

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastWord:
    """How fresh a source is. `observed_at` None: it was never heard."""

    source: SourceId
    observed_at: datetime | None
    limit: timedelta

    def is_stale(self, now: datetime) -> bool:
        """True when what it said is no evidence any more."""
        return self.observed_at is None or now > self.observed_at + self.limit


@dataclass(frozen=True, kw_only=True)
class Stale:
    """Units of which nothing is known for sure, each with why: their source is stale, or says what cannot be read."""

    nodes: Mapping[NodeId, Reason] = field(default_factory=dict)
    devices: Mapping[DeviceId, Reason] = field(default_factory=dict)


def say_stale(word: LastWord) -> Reason:
    """What follows from the last word being too old."""
    at = f"{word.observed_at:%Y-%m-%d %H:%MZ}" if word.observed_at else "no time yet"
    return reason(Code.INVENTORY_STALE, source=word.source, at=at, limit=f"{word.limit // MINUTE:,} min")


def without_evidence(fleet: Fleet, stale: Stale) -> Fleet:
    """The fleet in which nothing is known of what stale units run: unknown blocks."""
    if not stale.nodes and not stale.devices:
        return fleet
    return replace(
        fleet,
        nodes={n: _unknown(node) if n in stale.nodes else node for n, node in fleet.nodes.items()},
        devices={n: replace(d, version="") if n in stale.devices else d for n, d in fleet.devices.items()},
    )


def _unknown(node: Node) -> Node:
    return replace(node, versions=dict.fromkeys(node.versions, ""))
