"""What is due on every node and device of January, and the requests made of it. Baseline: one plain loop over the rows
as dictionaries, which knows no unknown versions, superseding, consent history or nodes behind devices.

Then a store of 20,000 nodes with 12 updates due on each: all requests and where they stand, worked out anew, and again
after one node changed. Baseline of the second is the first.
"""

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import yaml

import harness
import stores
from fermata.domain.fleet import Fleet
from fermata.domain.ids import NodeId, UpdateId
from fermata.domain.pending import find_pending
from fermata.domain.pending_lines import PendingFilter
from fermata.domain.requests import build_requests
from fermata.domain.updates import NODE_TARGET, AppliesTo, Catalogue
from fermata.formats.scenario import read_scenario
from fermata.services.inventory import ImportSet, import_set
from fermata.services.request_record import read_inputs_in
from fermata.services.requests import list_requests, refresh_requests
from fermata.store import inventory
from fermata.store.database import Database
from fermata.store.opening import open_database
from fleets import Row, read_rows, write_scenario
from harness import Benchmark, Case, Place, Sample, Watch

NODES, UPDATES = 20_000, 12
ANEW_SECONDS, ONE_NODE_SECONDS = 3.0, 0.02  # what was promised, for so many
NOW = datetime(2026, 1, 2, 20, tzinfo=UTC)
OLD, NEW = "1.0", "2.0"


def main() -> None:
    """Makes the fleets once, then measures."""
    options = harness.read_options(__doc__ or "")
    judged = options.nodes is None
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        scenario = write_scenario(Path(name, "january"), options.nodes)
        full = write_scenario(Path(name, "full"), options.nodes or NODES)
        harness.run(
            Benchmark(
                name="pending",
                title="due work and requests",
                cases=[
                    Case(name="plain loop: due", run=partial(loop_plainly, requests=False)),
                    Case(name="find_pending", run=find_due, baseline="plain loop: due"),
                    Case(name="plain loop: due, requests", run=partial(loop_plainly, requests=True)),
                    Case(name="find_pending, build_requests", run=find_requests, baseline="plain loop: due, requests"),
                    Case(name="store: all anew", run=refresh_anew, target_seconds=ANEW_SECONDS if judged else None),
                    Case(
                        name="store: one node changed",
                        run=follow_each_cluster,
                        baseline="store: all anew",
                        target_seconds=ONE_NODE_SECONDS if judged else None,
                    ),
                    Case(name="store: one of the largest", run=follow_largest, baseline="store: all anew"),
                ],
                each_run=lambda: stores.fresh_stores(None, ("store",), {"scenario": str(scenario), "full": str(full)}),
                notes=[
                    "one node changed: the median over all nodes, by a node of each cluster; each changes a request",
                ],
            ),
            options,
        )


def find_due(place: Place) -> Sample:
    """Pending work of a fleet that was just read: its indices are built on the way."""
    read = read_scenario(Path(place["scenario"]))
    with Watch() as watch:
        pending = find_pending(read.fleet, read.catalogue)
    units = [*pending.nodes.values(), *pending.devices.values()]
    return watch.sample(units=len(units), due=sum(len(unit.due) for unit in units))


def find_requests(place: Place) -> Sample:
    """Pending work and the requests, none of them asked before."""
    read = read_scenario(Path(place["scenario"]))
    with Watch() as watch:
        pending = find_pending(read.fleet, read.catalogue)
        requests = build_requests(read.fleet, pending, read.policy, {})
    return watch.sample(requests=len(requests), items=sum(len(request.items) for request in requests))


def refresh_anew(place: Place) -> Sample:
    """Everything that is pending, every request and where it stands, by a process that just opened the store."""
    database = open_database(place["store_sqlite"])
    read = read_scenario(Path(place["full"]))
    given = ImportSet(fleet=_old(read.fleet), catalogue=_twelve(read.catalogue), policy=read.policy)
    import_set(database, given, now=NOW, actor="bench")
    database.close()
    database = Database(place["store_sqlite"])
    with Watch() as watch:
        refresh_requests(database, now=NOW)
    with database.read() as conn:
        pending = read_inputs_in(conn, NOW).basis.pending
    database.close()
    units = [*pending.nodes.values(), *pending.devices.values()]
    return watch.sample(nodes=len(read.fleet.nodes), due=sum(len(unit.due) for unit in units))


def follow_each_cluster(place: Place) -> Sample:
    """What follows from one node that reports another version, for a node of each cluster; the time is the median over
    all nodes if every node of a cluster takes as long as that one.
    """
    database = Database(place["store_sqlite"])
    with database.read() as conn:
        members = inventory.load_fleet(conn).nodes_by_cluster
    taken = _follow(database, "c00", [nodes[0].name for nodes in members.values()])
    sizes = [len(nodes) for nodes in members.values()]
    pairs = [(wall, cpu) for (wall, cpu), size in zip(taken, sizes, strict=True) for _ in range(size)]
    slowest = max(wall for wall, _ in taken)
    _compare(database)
    return Sample(
        seconds=median(wall for wall, _ in pairs),
        cpu_seconds=median(cpu for _, cpu in pairs),
        figures={"clusters": len(sizes), "slowest_ms": 1000 * slowest, "largest_cluster": max(sizes)},
    )


def follow_largest(place: Place) -> Sample:
    """The same for some nodes of the largest cluster."""
    database = Database(place["store_sqlite"])
    with database.read() as conn:
        members = inventory.load_fleet(conn).nodes_by_cluster
    largest = max(members.values(), key=len)
    taken = _follow(database, "c01", [node.name for node in largest[-9:]])
    database.close()
    return Sample(
        seconds=median(wall for wall, _ in taken),
        cpu_seconds=median(cpu for _, cpu in taken),
        figures={"nodes_in_it": len(largest)},
    )


def _follow(database: Database, component: str, names: Sequence[NodeId]) -> list[tuple[float, float]]:
    """Wall and CPU seconds of a look after each of these nodes got an update, one after the other."""
    refresh_requests(database, now=NOW)
    taken = []
    for name in names:
        with database.begin() as conn:
            inventory.record_versions(conn, {name: {component: NEW}})
        with Watch() as watch:
            changed = refresh_requests(database, now=NOW)
        assert changed, "one node less is a change"
        taken.append((watch.seconds, watch.cpu_seconds))
    return taken


def _compare(database: Database) -> None:
    """What was followed step by step is what a process finds that opens the store now."""
    told = list_requests(database, PendingFilter(), now=NOW)
    database.close()
    anew = Database(database.url)
    assert told == list_requests(anew, PendingFilter(), now=NOW)
    anew.close()


def _old(fleet: Fleet) -> Fleet:
    versions = {f"c{number:02}": OLD for number in range(UPDATES)}
    return replace(fleet, nodes={name: replace(node, versions=versions) for name, node in fleet.nodes.items()})


def _twelve(catalogue: Catalogue) -> Catalogue:
    """Of January's, the updates of devices, and for nodes one of each of twelve components."""
    of_devices = {name: update for name, update in catalogue.updates.items() if update.target != NODE_TARGET}
    model = next(update for update in catalogue.production_ready if update.target == NODE_TARGET)
    made = {
        UpdateId(f"u{number:02}"): replace(
            model,
            id=UpdateId(f"u{number:02}"),
            component=f"c{number:02}",
            to_version=NEW,
            applies_to=AppliesTo(),
            requires=(),
            after=(),
            conflicts_with=(),
        )
        for number in range(UPDATES)
    }
    return replace(catalogue, updates={**of_devices, **made})


def loop_plainly(place: Place, *, requests: bool) -> Sample:
    """What a script would do."""
    folder = Path(place["scenario"])
    clusters, nodes, devices = (
        read_rows(folder / "fleet" / f"{name}.csv") for name in ("clusters", "nodes", "devices")
    )
    updates = yaml.safe_load((folder / "updates.yaml").read_text(encoding="utf-8"))["updates"]
    ready = [update for update in updates if update["stage"] == "production_ready"]
    with Watch() as watch:
        by_name = {row["cluster"]: row for row in clusters}
        due = _due(by_name, nodes, devices, ready)
        found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for unit, cluster, update in due if requests else ():
            found[by_name[cluster]["supercomputer"]][update].append(unit)
    if not requests:
        return watch.sample(units=len({unit for unit, _, _ in due}), due=len(due))
    return watch.sample(requests=len(found), items=sum(len(items) for items in found.values()))


def _due(
    clusters: dict[str, Row], nodes: list[Row], devices: list[Row], updates: list[dict[str, Any]]
) -> list[tuple[str, str, str]]:
    """(unit, cluster, update) of everything older than an update that is meant for it."""
    due = []
    for update in updates:
        skus, target, component = update["applies_to"].get("sku"), update["target"], update["component"]
        if target == "node":
            units = ((row["node"], row["cluster"], row[f"component.{component}"]) for row in nodes)
        else:
            units = ((row["device"], row["cluster"], row["version"]) for row in devices if row["kind"] == target)
        to_version = _parts(update["to_version"])
        for unit, cluster, version in units:
            if (skus is None or clusters[cluster]["sku"] in skus) and version and _parts(version) < to_version:
                due.append((unit, cluster, update["id"]))
    return due


def _parts(version: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part.casefold()) for part in version.split(".")]


if __name__ == "__main__":
    main()
