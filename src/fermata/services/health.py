"""What is usual of each SKU in health checks, learned from the journal when an operator asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.baselines import Baseline, Measurement, learn_baselines
from fermata.domain.ids import NodeId
from fermata.store import inventory, journal
from fermata.store.database import Connection, Database

MEASURED, REGRESSED = "node.measured", "node.regressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """Baselines by SKU and figure, in this order, and which SKU each node is of."""

    as_of: datetime
    baselines: tuple[Baseline, ...]
    nodes: Mapping[NodeId, str]


def learn(database: Database, *, now: datetime) -> Learned:
    """From the last check that each node passed and that it did not regress after. Changes nothing."""
    with database.read() as conn:
        fleet = inventory.load_fleet(conn)
        skus = {name: fleet.clusters[node.cluster].sku for name, node in fleet.nodes.items()}
        measurements = _read_measurements(conn, skus)
    return Learned(as_of=now, baselines=tuple(learn_baselines(measurements, now).values()), nodes=skus)


def _read_measurements(conn: Connection, skus: Mapping[NodeId, str]) -> list[Measurement]:
    latest: dict[NodeId, list[Measurement]] = {}
    for entry in journal.read_events(conn, (MEASURED, REGRESSED)):
        node = NodeId(entry.subject.partition(":")[2])
        latest.pop(node, None)
        if entry.event == MEASURED and node in skus:
            latest[node] = [
                Measurement(node=node, sku=skus[node], figure=str(figure), value=float(value), at=entry.at)
                for figure, value in entry.data["figures"].items()
            ]
    return [each for listed in latest.values() for each in listed]
