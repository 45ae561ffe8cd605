"""Fleets of any size, made from the packaged January scenario: a share of every cluster, or copies of clusters; the
same every time.
"""

import csv
import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from fermata import scenarios

Row = dict[str, str]
TABLES = ("clusters", "nodes", "devices")
NAMED_AFTER_CLUSTER = ("cluster", "node", "device", "rack", "scalable_unit", "scope_id")
NAMED_ELSEWHERE = ("sku", "division", "geo", "customer")  # columns whose values policy, updates and campaign name
CHANGED_COMPONENT = "component.bmc_fw"
CHANGED_VERSION = "25.04.1"  # reported nowhere in January and older than what is due, so that requests change too


def write_scenario(folder: Path, nodes: int | None) -> Path:
    """A scenario folder with exactly `nodes` nodes; None is January as packaged.

    Limits that are shares of the fleet are left out of a made one: a share of few nodes may be less than one of them.
    """
    january = scenarios.path("january")
    if nodes is None:
        return january
    tables = {name: read_rows(january / "fleet" / f"{name}.csv") for name in TABLES}
    made = _scale(tables, nodes)
    for name in TABLES:
        write_rows(folder / "fleet" / f"{name}.csv", list(tables[name][0]), made[name])
    (folder / "updates.yaml").write_bytes((january / "updates.yaml").read_bytes())
    known = {row["cluster"] for row in made["clusters"]}
    policy = yaml.safe_load((january / "policy.yaml").read_text(encoding="utf-8"))
    policy["freezes"] = [freeze for freeze in policy["freezes"] if freeze["scope"]["cluster"] in known]
    _write_yaml(folder / "policy.yaml", policy)
    campaign = yaml.safe_load((january / "campaign.yaml").read_text(encoding="utf-8"))
    campaign["limits"] = [limit for limit in campaign["limits"] if "at_once_fraction" not in limit]
    _write_yaml(folder / "campaign.yaml", campaign)
    return folder


def write_changed_fleet(source: Path, folder: Path, changes: int) -> Path:
    """The fleet folder `source` with `changes` nodes, evenly spread, that report another version of one component."""
    for name in TABLES:
        rows = read_rows(source / f"{name}.csv")
        if name == "nodes":
            step = max(1, len(rows) // changes)
            for row in rows[: step * changes : step]:
                row[CHANGED_COMPONENT] = CHANGED_VERSION
        write_rows(folder / f"{name}.csv", list(rows[0]), rows)
    return folder


def read_rows(path: Path) -> list[Row]:
    """The rows of a CSV file by column."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Writes a CSV file and the folder it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _scale(tables: Mapping[str, Sequence[Row]], nodes: int) -> dict[str, list[Row]]:
    by_cluster: dict[str, dict[str, list[Row]]] = {name: defaultdict(list) for name in ("nodes", "devices")}
    for name, groups in by_cluster.items():
        for row in tables[name]:
            groups[row["cluster"]].append(row)
    share = min(1.0, nodes / len(tables["nodes"]))
    made: dict[str, list[Row]] = {name: [] for name in TABLES}
    left = nodes
    for cluster, copy in _clusters_for_ever(tables["clusters"]):
        found = by_cluster["nodes"][cluster["cluster"]]
        members = found[: min(left, math.ceil(len(found) * share))]
        places = {node[column] for node in members for column in ("rack", "scalable_unit", "cluster")}
        devices = [row for row in by_cluster["devices"][cluster["cluster"]] if row["scope_id"] in places]
        for name, rows in (("clusters", [cluster]), ("nodes", members), ("devices", devices)):
            made[name] += [_rename(row, copy, cluster["cluster"]) for row in rows]
        left -= len(members)
        if left == 0:
            return made
    raise AssertionError("unreachable")


def _clusters_for_ever(clusters: Sequence[Row]) -> Iterator[tuple[Row, int]]:
    """Each cluster with the number of its copy; first those that together show every name that other files use."""
    seen: set[tuple[str, str]] = set()
    first = []
    for cluster in clusters:
        names = {(column, cluster[column]) for column in NAMED_ELSEWHERE}
        if not names <= seen:
            first.append(cluster)
            seen |= names
    rest = [cluster for cluster in clusters if cluster not in first]
    for copy in itertools.count(1):
        yield from ((cluster, copy) for cluster in (*first, *rest))


def _rename(row: Row, copy: int, cluster: str) -> Row:
    if copy == 1:
        return row
    renamed = {c: v.replace(cluster, f"{cluster}-x{copy}", 1) for c, v in row.items() if c in NAMED_AFTER_CLUSTER}
    if "supercomputer" in row:
        renamed["supercomputer"] = f"{row['supercomputer']}-x{copy}"
    return row | renamed


def _write_yaml(path: Path, value: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(value, sort_keys=False), encoding="utf-8")
