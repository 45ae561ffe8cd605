"""Any sequence of syncs and pushes leaves the fleet at the last state accepted, whatever was held meanwhile."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import copy_sqlite
from tests.constraints import world as w

from fermata.domain.fleet import Node
from fermata.domain.ids import ClusterId, NodeId, RackId, SourceId
from fermata.domain.inventory_reports import Report
from fermata.domain.sources import Push, Source
from fermata.services.inventory_changes import Synced, SyncOutcome
from fermata.services.inventory_held import accept_held, drop_held, list_held
from fermata.services.inventory_sync import take_report
from fermata.store import inventory
from fermata.store.database import Database

SOURCE = Source(id=SourceId("s"), reach=Push(), every=timedelta(minutes=15), stale_after=timedelta(hours=1))
CLUSTERS = {name: w.cluster(name) for name in map(ClusterId, ("alpha", "beta"))}
POOL = 40  # one of them is 2.5 %: two may go at once, three are held
DONE = (SyncOutcome.APPLIED, SyncOutcome.UNCHANGED)

Nodes = Mapping[NodeId, Node]
numbers = st.integers(0, POOL - 1)
some = st.frozensets(numbers, max_size=4)


def node(number: int, rack: int) -> Node:
    return replace(w.node("alpha", number, POOL), rack=RackId(f"rack-{rack}"))


@dataclass(frozen=True)
class Complete:
    """All of the pool but some, of which some stand elsewhere."""

    missing: frozenset[int]
    moved: frozenset[int]

    def report(self, at: datetime) -> Report:
        nodes = {number: node(number, 9 if number in self.moved else 0) for number in range(POOL)}
        kept = {n.name: n for number, n in nodes.items() if number not in self.missing}
        return Report(source=SOURCE.id, observed_at=at, clusters=CLUSTERS, nodes=kept)


@dataclass(frozen=True)
class Part:
    """Some are there, some are gone."""

    there: frozenset[int]
    rack: int
    gone: frozenset[int]

    def report(self, at: datetime) -> Report:
        nodes = {n.name: n for n in (node(number, self.rack) for number in self.there)}
        gone = frozenset(node(number, 0).name for number in self.gone - self.there)
        return Report(source=SOURCE.id, observed_at=at, complete=False, clusters=CLUSTERS, nodes=nodes, gone_nodes=gone)


Step = Complete | Part | str
steps = st.one_of(
    st.builds(Complete, missing=some, moved=some),
    st.builds(Part, there=some, rack=st.integers(0, 2), gone=some),
    st.sampled_from(["accept", "drop"]),
)


@dataclass
class Model:
    """What the fleet has to be: what was accepted, and what waits, as functions of what is."""

    accepted: dict[NodeId, Node] = field(default_factory=dict)
    waiting: list[Report] = field(default_factory=list)

    def would_be(self, reports: list[Report]) -> dict[NodeId, Node]:
        nodes = dict(self.accepted)
        for report in reports:
            if report.complete:
                nodes = dict(report.nodes)
            else:
                nodes = {n: v for n, v in nodes.items() if n not in report.gone_nodes} | dict(report.nodes)
        return nodes

    def hear(self, report: Report, outcome: SyncOutcome) -> None:
        said = [report] if report.complete else [*self.waiting, report]
        after = self.would_be(said)
        if outcome in DONE:
            lost = self.accepted.keys() - after.keys()
            assert len(lost) * 100 <= len(self.accepted) * 5
            assert (outcome is SyncOutcome.UNCHANGED) == (after == self.accepted)
            self.accepted, self.waiting = after, []
        elif outcome is SyncOutcome.HELD:
            self.waiting = said
        else:
            assert outcome is SyncOutcome.DROPPED
            self.waiting = []

    def accept(self) -> None:
        self.accepted, self.waiting = self.would_be(self.waiting), []


@contextmanager
def opened(template: Path, folder: Path, serial: Iterator[int]) -> Iterator[Database]:
    path = folder / f"{next(serial)}.sqlite"
    copy_sqlite(template, path)
    db = Database(f"sqlite:///{path}")
    try:
        yield db
    finally:
        db.close()
        path.unlink()


def take(db: Database, report: Report, serial: Iterator[int]) -> Synced:
    return take_report(
        db, SOURCE, report, now=report.observed_at, actor="a", new_id=lambda prefix: f"{prefix}_{next(serial)}"
    )


def stored(db: Database) -> Nodes:
    with db.read() as conn:
        return inventory.load_fleet(conn).nodes


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=st.lists(steps, min_size=1, max_size=8))
def test_the_fleet_is_what_was_accepted_last(sqlite_template: Path, tmp_path: Path, plan: list[Step]) -> None:
    serial, model = count(), Model()
    with opened(sqlite_template, tmp_path, serial) as db:
        for number, step in enumerate([Complete(frozenset(), frozenset()), *plan]):
            at = w.NOW + timedelta(minutes=number)
            waiting = list_held(db)
            assert bool(waiting) == bool(model.waiting)
            if not isinstance(step, str):
                report = step.report(at)
                model.hear(report, take(db, report, serial).outcome)
            elif waiting and step == "accept":
                accept_held(db, waiting[0].id, now=at, actor="b", why="true")
                model.accept()
            elif waiting:
                drop_held(db, waiting[0].id, now=at, actor="b", why="false")
                model.waiting = []
            assert stored(db) == model.accepted


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=st.lists(steps.filter(lambda step: not isinstance(step, str)), min_size=1, max_size=4))
def test_the_same_twice_is_heard_once(sqlite_template: Path, tmp_path: Path, plan: list[Complete | Part]) -> None:
    serial = count()
    with opened(sqlite_template, tmp_path, serial) as db:
        for number, step in enumerate([Complete(frozenset(), frozenset()), *plan]):
            report = step.report(w.NOW + timedelta(minutes=number))
            once, before = take(db, report, serial), stored(db)
            twice = take(db, report, serial)
            assert stored(db) == before
            assert twice.hold == once.hold
            assert twice.outcome is (SyncOutcome.UNCHANGED if once.outcome in DONE else once.outcome)
