"""What is due on every node and device of January, and the requests made of it. Baseline: one plain loop over the rows
as dictionaries, which knows no unknown versions, superseding, consent history or nodes behind devices.
"""

import tempfile
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import yaml

import harness
import stores
from fermata.domain.pending import find_pending
from fermata.domain.requests import build_requests
from fermata.formats.scenario import read_scenario
from fleets import Row, read_rows, write_scenario
from harness import Benchmark, Case, Place, Sample, Watch


def main() -> None:
    """Makes the fleet once, then measures."""
    options = harness.read_options(__doc__ or "")
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        scenario = write_scenario(Path(name), options.nodes)
        harness.run(
            Benchmark(
                name="pending",
                title="due work and requests",
                cases=[
                    Case(name="plain loop: due", run=partial(loop_plainly, requests=False)),
                    Case(name="find_pending", run=find_due, baseline="plain loop: due"),
                    Case(name="plain loop: due, requests", run=partial(loop_plainly, requests=True)),
                    Case(name="find_pending, build_requests", run=find_requests, baseline="plain loop: due, requests"),
                ],
                each_run=lambda: stores.fresh_stores(None, (), {"scenario": str(scenario)}),
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
