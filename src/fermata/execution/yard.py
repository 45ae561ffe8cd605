"""The trains that go, and their riders, in memory: a copy of rows, read when it is first needed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fermata.domain.ids import NodeId, WindowId
from fermata.domain.scripts import WindowScript
from fermata.domain.train import Train
from fermata.execution.roster import Roster


@dataclass(kw_only=True)
class Yard:
    """Of one run. `dues`: what is done on each rider. Scripts are made when first needed."""

    trains: dict[WindowId, Train]
    roster: Roster
    dues: dict[WindowId, Mapping[NodeId, int]]
    scripts: dict[WindowId, WindowScript] = field(default_factory=dict)
