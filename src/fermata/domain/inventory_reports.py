"""What a source of inventory says is there: a report. Two reports of which the later is partial make one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from fermata.domain.fleet import Cluster, Device, Node
from fermata.domain.freshness import LastWord
from fermata.domain.ids import ClusterId, DeviceId, NodeId, SourceId
from fermata.domain.reasons import Reason
from fermata.domain.sources import SourceKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a source says of one unit, in its own words: field by field, several values joined by commas."""

    name: str
    fields: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTaken:
    """A unit (`kind` node, device or cluster) that a source names and that cannot be taken in as it says."""

    kind: str
    unit: str
    reason: Reason


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one source says at `observed_at` (aware UTC), as far as it could be read.

    Complete: what it does not name is gone. Otherwise only what `gone_nodes` and `gone_devices` name is gone, and the
    rest stays. A version of "" is one that it does not know. Units in `not_taken` are there, but not as it says.
    """

    source: SourceId
    observed_at: datetime
    complete: bool = True
    clusters: Mapping[ClusterId, Cluster] = field(default_factory=dict)
    nodes: Mapping[NodeId, Node] = field(default_factory=dict)
    devices: Mapping[DeviceId, Device] = field(default_factory=dict)
    gone_nodes: frozenset[NodeId] = frozenset()
    gone_devices: frozenset[DeviceId] = frozenset()
    not_taken: tuple[NotTaken, ...] = ()

    def named(self, kind: str) -> frozenset[str]:
        """Every unit of that kind that the source says is there."""
        of_kind: Mapping[str, Mapping[str, object]] = {
            "cluster": {str(name): unit for name, unit in self.clusters.items()},
            "node": {str(name): unit for name, unit in self.nodes.items()},
            "device": {str(name): unit for name, unit in self.devices.items()},
        }
        return frozenset(of_kind[kind]) | {left.unit for left in self.not_taken if left.kind == kind}


def add_report(earlier: Report, later: Report) -> Report:
    """What both say together; the later one wins. A complete later one makes the earlier one void."""
    if later.complete:
        return later
    said = {(left.kind, left.unit) for left in later.not_taken}
    said |= {(kind, name) for kind in ("cluster", "node", "device") for name in later.named(kind)}
    said |= {("node", name) for name in later.gone_nodes} | {("device", name) for name in later.gone_devices}
    return replace(
        later,
        complete=earlier.complete,
        clusters={**earlier.clusters, **later.clusters},
        nodes={**{k: v for k, v in earlier.nodes.items() if ("node", k) not in said}, **later.nodes},
        devices={**{k: v for k, v in earlier.devices.items() if ("device", k) not in said}, **later.devices},
        gone_nodes=(earlier.gone_nodes - later.named("node")) | later.gone_nodes,
        gone_devices=(earlier.gone_devices - later.named("device")) | later.gone_devices,
        not_taken=(*(n for n in earlier.not_taken if (n.kind, n.unit) not in said), *later.not_taken),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Nodes of one source that went without a person's word."""

    at: datetime
    nodes: int


@dataclass(frozen=True, kw_only=True)
class SourceState:
    """How a source did so far. `observed_at` is that of the last report that the fleet on record agrees with; None
    before the first. `failure` is why the last try failed, "" when it did not. `dropped_sha256`: the weight of the
    changes that a person dropped last.
    """

    id: SourceId
    kind: SourceKind
    stale_after: timedelta
    tried_at: datetime
    observed_at: datetime | None = None
    failure: str = ""
    not_taken: tuple[NotTaken, ...] = ()
    losses: tuple[Loss, ...] = ()
    dropped_sha256: str | None = None

    @property
    def last_word(self) -> LastWord:
        """How fresh it is."""
        return LastWord(source=self.id, observed_at=self.observed_at, limit=self.stale_after)
