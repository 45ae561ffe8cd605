"""A fleet folder as a source of inventory: whoever keeps it keeps the fleet, in our own words."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fermata.domain.fleet import Fleet
from fermata.domain.ids import SourceId
from fermata.domain.inventory_reports import Report


@dataclass(frozen=True, kw_only=True)
class FilesSource:
    """An `InventorySource`. `read_fleet` reads the folder; what it raises says what is wrong with the files."""

    source: SourceId
    path: Path
    read_fleet: Callable[[Path], Fleet]

    def read(self, now: datetime) -> Report:
        """Everything that stands in the folder."""
        fleet = self.read_fleet(self.path)
        return Report(
            source=self.source, observed_at=now, clusters=fleet.clusters, nodes=fleet.nodes, devices=fleet.devices
        )
