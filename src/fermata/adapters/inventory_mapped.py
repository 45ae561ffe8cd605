"""A source of inventory in words of its own: collected by another module, read by the rules of its settings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.fleet import Cluster
from fermata.domain.ids import ClusterId
from fermata.domain.inventory_mapping import map_report
from fermata.domain.inventory_reports import Facts, Report
from fermata.domain.sources import Source


@dataclass(frozen=True, kw_only=True)
class MappedSource:
    """An `InventorySource`. `collect` gives all units, or raises TryLater or Refused."""

    source: Source
    clusters: Mapping[ClusterId, Cluster]
    collect: Callable[[], Sequence[Facts]]

    def read(self, now: datetime) -> Report:
        """Everything that the source says."""
        return map_report(self.source, self.collect(), self.clusters, observed_at=now)
