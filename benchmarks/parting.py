"""Times what a change by who sees a part of the fleet asks before it is begun: which names are out of their sight. The
first one, one after another, one after a node has changed, and one after a word was added to a ledger that has a word
on every node. January's fleet, or a made one of --nodes. SQLite.

Baseline: reading the fleet as its customer sees it.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path

from sqlalchemy import select, update

import harness
from fermata.domain.identity import Sight
from fermata.domain.policy import Scope, ScopeLevel, Verdict
from fermata.formats.scenario import read_scenario
from fermata.services.consent import Order, decide_each
from fermata.services.inventory import ImportSet, import_set
from fermata.services.sights import find_foreign_names
from fermata.store import inventory
from fermata.store.database import Database
from fermata.store.inventory import node
from fermata.store.opening import open_database
from fleets import write_scenario
from harness import Benchmark, Case, Place, Sample, Watch

NOW = datetime(2026, 1, 2, 20, tzinfo=UTC)
SECONDS = 0.3  # what a change may take longer for it, at January's size
BASELINE = "the fleet, as seen"


def main() -> None:
    """Imports the fleet and approves each node once, then measures."""
    options = harness.read_options(__doc__ or "")
    target = SECONDS if options.nodes is None else None
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        scenario = write_scenario(Path(name, "scenario"), options.nodes)
        nodes = harness.in_own_process(_import, str(scenario), f"sqlite:///{name}/fleet.db")
        harness.run(
            Benchmark(
                name="parting",
                title=f"names out of sight, {nodes:,} nodes",
                cases=[
                    Case(name=BASELINE, run=read_fleet),
                    Case(name="first", run=partial(ask, after="nothing"), baseline=BASELINE, target_seconds=target),
                    Case(name="again", run=partial(ask, after="itself"), baseline=BASELINE, target_seconds=target),
                    Case(name="a node later", run=partial(ask, after="node"), baseline=BASELINE, target_seconds=target),
                    Case(name="a word later", run=partial(ask, after="word"), baseline=BASELINE, target_seconds=target),
                ],
                each_run=lambda: _kept(Path(name, "fleet.db")),
            ),
            options,
        )


def read_fleet(place: Place) -> Sample:
    """By the customer with the most nodes."""
    with _opened(place) as (_, view), Watch() as watch, view.read() as conn:
        nodes = len(inventory.load_fleet(conn).nodes)
    return watch.sample(nodes=nodes)


def ask(place: Place, *, after: str) -> Sample:
    """As the server asks, of a call that names a node of another customer and one that is not there."""
    with _opened(place) as (whole, view):
        with whole.read() as conn:
            largest = _largest(conn)
            foreign = next(name for name, customer in _owners(conn) if customer != largest)
        asked = frozenset({foreign, "nowhere-n0001"})
        if after != "nothing":
            find_foreign_names(whole, view, asked)
        if after == "node":
            with whole.begin() as conn:
                conn.execute(update(node).where(node.c.name == foreign).values(workload="another"))
        if after == "word":
            numbers = count()
            taken_back = Order(
                scope=Scope(level=ScopeLevel.NODE, name=foreign), verdict=Verdict.WITHDRAWN, reason="no longer"
            )
            decide_each(whole, [taken_back], now=NOW, new_id=lambda prefix: f"{prefix}_late_{next(numbers)}")
        with Watch() as watch:
            found = find_foreign_names(whole, view, asked)
    assert found == {foreign}
    return watch.sample(names=len(found))


def _owners(conn: harness.Any) -> Iterator[tuple[str, str]]:
    query = select(node.c.name, inventory.cluster.c.customer).join(
        inventory.cluster, inventory.cluster.c.name == node.c.cluster
    )
    return iter(conn.execute(query.order_by(node.c.name)).tuples())


def _largest(conn: harness.Any) -> str:
    owners = [customer for _, customer in _owners(conn)]
    return max(sorted(set(owners)), key=owners.count)


@contextmanager
def _opened(place: Place) -> Iterator[tuple[Database, Database]]:
    whole = Database(place["url"])
    with whole.read() as conn:
        sight = Sight(customers=frozenset({inventory.CustomerId(_largest(conn))}))
    view = whole.seen_by(sight)
    yield whole, view
    view.close()
    whole.close()


@contextmanager
def _kept(store: Path) -> Iterator[Place]:
    yield {"url": f"sqlite:///{store}"}


def _import(scenario: str, url: str) -> int:
    read, database, numbers = read_scenario(Path(scenario)), open_database(url), count()
    given = ImportSet(fleet=read.fleet, catalogue=read.catalogue, policy=read.policy, campaign=read.campaign)
    import_set(database, given, now=NOW, actor="bench")
    orders = [
        Order(scope=Scope(level=ScopeLevel.NODE, name=name), verdict=Verdict.APPROVED, reason="agreed")
        for name in read.fleet.nodes
    ]
    decide_each(database, orders, now=NOW, new_id=lambda prefix: f"{prefix}_{next(numbers):08}")
    database.close()
    return len(read.fleet.nodes)


if __name__ == "__main__":
    main()
