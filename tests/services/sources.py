"""A source that says what a test lets it say, over the small scenario."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tests.constraints import world as w

from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import NodeId, SourceId
from fermata.domain.inventory_reports import Report
from fermata.domain.sources import Files, Push, Reach, Slurm, Source, SourceBook
from fermata.services.inventory import ImportSet, import_set
from fermata.services.inventory_changes import Synced
from fermata.services.inventory_sources import Sources, sync_source
from fermata.store import inventory, journal
from fermata.store.database import Database

SCENARIO = w.scenario()
S1 = SourceId("s1")
HOUR = timedelta(hours=1)
LATER = w.NOW + HOUR


def source(name: SourceId = S1, reach: Reach | None = None) -> Source:
    return Source(id=name, reach=reach or Slurm(), every=timedelta(minutes=15), stale_after=HOUR)


RECORDS = Files(path="fleet")
PUSHED = Push()


@dataclass
class Said:
    """An InventorySource that says `fleet`, or raises `failure`."""

    fleet: Fleet
    source: SourceId = S1
    failure: Exception | None = None
    asked: list[datetime] = field(default_factory=list)

    def read(self, now: datetime) -> Report:
        self.asked.append(now)
        if self.failure is not None:
            raise self.failure
        return report(self.fleet, at=now, of=self.source)


def report(fleet: Fleet, *, at: datetime = w.NOW, of: SourceId = S1) -> Report:
    return Report(source=of, observed_at=at, clusters=fleet.clusters, nodes=fleet.nodes, devices=fleet.devices)


def sources(*said: Said, reach: Reach | None = None) -> Sources:
    book = SourceBook(sources={each.source: source(each.source, reach) for each in said})
    return Sources(book=book, readers={each.source: each for each in said})


class Ids:
    """hold_1, hold_2 and so on."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{self._count}"


@dataclass
class Keeper:
    """A store with updates and policy, and one source of inventory for all of its fleet."""

    db: Database
    said: Said = field(default_factory=lambda: Said(SCENARIO.fleet))
    new_id: Ids = field(default_factory=Ids)
    reach: Reach | None = None

    def __post_init__(self) -> None:
        given = ImportSet(catalogue=SCENARIO.catalogue, policy=SCENARIO.policy)
        import_set(self.db, given, now=w.NOW, actor="operator-1")

    @property
    def sources(self) -> Sources:
        return sources(self.said, reach=self.reach)

    def sync(self, fleet: Fleet | None = None, *, at: datetime = w.NOW) -> Synced:
        self.said.fleet = fleet or self.said.fleet
        return sync_source(self.db, self.sources, S1, now=at, actor="operator-1", new_id=self.new_id)

    @property
    def fleet(self) -> Fleet:
        with self.db.read() as conn:
            return inventory.load_fleet(conn)

    @property
    def events(self) -> list[tuple[str, str]]:
        with self.db.read() as conn:
            return [(line.event, line.subject) for line in journal.read(conn)]


def without(fleet: Fleet, *names: str) -> Fleet:
    return replace(fleet, nodes={name: node for name, node in fleet.nodes.items() if name not in names})


def having(fleet: Fleet, *nodes: Node) -> Fleet:
    return replace(fleet, nodes={**fleet.nodes, **{node.name: node for node in nodes}})


def first(fleet: Fleet, count: int) -> Iterable[NodeId]:
    return list(fleet.nodes)[:count]
