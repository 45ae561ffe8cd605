"""How fresh inventory is: what a source said too long ago is no evidence, and missing evidence means wait."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import ClusterId, DeviceId, NodeId, SourceId
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


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleSource:
    """A source that is stale, and how many units of each cluster are its."""

    word: LastWord
    nodes: Mapping[ClusterId, int] = field(hash=False)
    devices: Mapping[ClusterId, int] = field(hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OldWord:
    """Units that are shown as a stale source last had them, at `observed_at` (UTC; None: never on record)."""

    source: SourceId
    observed_at: datetime | None
    nodes: int
    devices: int
    reason: Reason


def find_old(sources: Iterable[StaleSource], clusters: Collection[ClusterId], now: datetime) -> tuple[OldWord, ...]:
    """Which units of these clusters are shown by an old word, by source."""
    found = []
    for source in sources:
        nodes, devices = (sum(of.get(name, 0) for name in clusters) for of in (source.nodes, source.devices))
        if nodes or devices:
            word = source.word
            kinds = ((nodes, "node"), (devices, "device"))
            units = " and ".join(f"{count:,} {kind}{'' if count == 1 else 's'}" for count, kind in kinds if count)
            limit, age = f"{word.limit // MINUTE:,} min", _say_age(word.observed_at, now)
            why = reason(Code.INVENTORY_OLD, units=units, source=word.source, age=age, limit=limit)
            found.append(
                OldWord(source=word.source, observed_at=word.observed_at, nodes=nodes, devices=devices, reason=why)
            )
    return tuple(found)


def _say_age(observed_at: datetime | None, now: datetime) -> str:
    """In the two largest units."""
    if observed_at is None:
        return "at a time that is not on record"
    minutes = (now - observed_at) // MINUTE
    days, hours = minutes // 1440, minutes % 1440 // 60
    if days:
        return f"{days:,} d {hours} h ago"
    return f"{hours} h {minutes % 60} min ago" if hours else f"{minutes} min ago"
