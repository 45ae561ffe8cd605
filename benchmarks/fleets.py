"""Fleets of any size, made from the packaged January scenario: a share of every cluster, copies of clusters, or a
multiple of the campaign whose clusters differ in size and place, or clusters of one size; the same every time.
"""

import csv
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import yaml

from fermata import scenarios

Row = dict[str, str]
TABLES = ("clusters", "nodes", "devices")
NAMED_AFTER_CLUSTER = ("cluster", "node", "device", "rack", "scalable_unit", "scope_id")
NAMED_ELSEWHERE = ("sku", "division", "geo", "customer")  # columns whose values policy, updates and campaign name
PLACE = ("region", "geo", "timezone", "datacenter")
SHARES = (0.6, 1.4)  # of its racks that a cluster of a multiple keeps; above 1 some racks stand twice
CLUSTERS = (50, 90)  # of a varied January, which has 77
KEPT = 0.7  # how likely a varied January has a limit that is a share
ALIKE = (  # January clusters of middle size that together show every name that catalogue and policy use
    "h200-uksouth-01", "gb200-northcentralus-02", "h100-northcentralus-02", "h200-southeastasia-01",
    "h100-francecentral-03", "h200-eastus2-01",
)  # fmt: skip
ALIKE_NODES = 200  # the smallest of them
FEW_NODES = 8
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
    _write_made(folder, tables, _scale(tables, nodes))
    return folder


def write_alike(folder: Path, nodes: int, *, has_spread: bool) -> Path:
    """A scenario folder with `nodes` nodes in clusters of the same size, ALIKE_NODES at most, all due on the first day.

    Without `has_spread` a step takes as long on every node.
    """
    tables = {name: read_rows(scenarios.path("january") / "fleet" / f"{name}.csv") for name in TABLES}
    clusters = max(len(ALIKE), math.ceil(nodes / ALIKE_NODES))
    made: dict[str, list[Row]] = {name: [] for name in TABLES}
    for number in range(clusters):
        turn, index = divmod(number, len(ALIKE))
        found = {name: [row for row in tables[name] if row["cluster"] == ALIKE[index]] for name in TABLES}
        size = nodes * (number + 1) // clusters - nodes * number // clusters
        _add_copy(made, found["clusters"][0], _cut(found, size), turn + 1)
    _write_made(folder, tables, made)
    campaign = read_yaml(folder / "campaign.yaml")
    write_yaml(folder / "campaign.yaml", campaign | {"deadline": campaign["first_day"], "limits": []})
    if not has_spread:
        write_yaml(folder / "updates.yaml", _make_certain(read_yaml(folder / "updates.yaml")))
    return folder


def write_largest(folder: Path, nodes: int | None) -> Path:
    """A scenario folder with the largest January cluster, or its first `nodes` nodes, and a few nodes of each of ALIKE,
    all due on the first day.
    """
    tables = {name: read_rows(scenarios.path("january") / "fleet" / f"{name}.csv") for name in TABLES}
    (largest, size), *_ = Counter(row["cluster"] for row in tables["nodes"]).most_common(1)
    made: dict[str, list[Row]] = {name: [] for name in TABLES}
    for number, cluster in enumerate((largest, *ALIKE)):
        own = {name: [row for row in tables[name] if row["cluster"] == cluster] for name in TABLES}
        _add_copy(made, own["clusters"][0], _cut(own, FEW_NODES if number else min(size, nodes or size)), 1)
    _write_made(folder, tables, made)
    campaign = read_yaml(folder / "campaign.yaml")
    write_yaml(folder / "campaign.yaml", campaign | {"deadline": campaign["first_day"], "limits": []})
    return folder


def _make_certain(value: Any) -> Any:
    """Every duration is its median."""
    if isinstance(value, list):
        return [_make_certain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"p50", "p90"}:
        return {"p50": value["p50"], "p90": value["p50"]}
    return {key: _make_certain(item) for key, item in value.items()}


def _write_made(folder: Path, tables: Mapping[str, Sequence[Row]], made: Mapping[str, Sequence[Row]]) -> None:
    """January around a made fleet, without limits that are shares of the fleet."""
    january = scenarios.path("january")
    for name in TABLES:
        write_rows(folder / "fleet" / f"{name}.csv", list(tables[name][0]), made[name])
    (folder / "updates.yaml").write_bytes((january / "updates.yaml").read_bytes())
    known = {row["cluster"] for row in made["clusters"]}
    policy = read_yaml(january / "policy.yaml")
    policy["freezes"] = [freeze for freeze in policy["freezes"] if freeze["scope"]["cluster"] in known]
    write_yaml(folder / "policy.yaml", policy)
    campaign = read_yaml(january / "campaign.yaml")
    campaign["limits"] = [limit for limit in campaign["limits"] if "at_once_fraction" not in limit]
    write_yaml(folder / "campaign.yaml", campaign)


def write_multiple(folder: Path, times: int, *, seed: int) -> Path:
    """A scenario folder with `times` Januaries in one campaign: each cluster that often, of another size and at another
    place from its second copy on, freezes with them, and as many times the limits and the teams.
    """
    january = scenarios.path("january")
    tables = {name: read_rows(january / "fleet" / f"{name}.csv") for name in TABLES}
    made = _multiply(tables, times, Random(seed))
    for name in TABLES:
        write_rows(folder / "fleet" / f"{name}.csv", list(tables[name][0]), made[name])
    documents = {name: read_yaml(january / f"{name}.yaml") for name in ("updates", "policy", "campaign")}
    documents["updates"]["teams"] = [_times(team, times) for team in documents["updates"]["teams"]]
    copies = range(1, times + 1)
    documents["policy"]["freezes"] = [_copy_freeze(f, n) for n in copies for f in documents["policy"]["freezes"]]
    documents["campaign"]["limits"] = [_times(limit, times) for limit in documents["campaign"]["limits"]]
    for name, document in documents.items():
        write_yaml(folder / f"{name}.yaml", document)
    return folder


def write_varied(folder: Path, seed: int) -> Path:
    """A scenario folder with a January of other clusters, sizes and places, and with other rules, as the seed has it.

    Limits that count grow or shrink with the fleet, by a fifth more or less; whether a plan exists is not known.
    """
    january, dice = scenarios.path("january"), Random(seed)
    tables = {name: read_rows(january / "fleet" / f"{name}.csv") for name in TABLES}
    made = _vary(tables, dice)
    for name in TABLES:
        write_rows(folder / "fleet" / f"{name}.csv", list(tables[name][0]), made[name])
    documents = {name: read_yaml(january / f"{name}.yaml") for name in ("updates", "policy", "campaign")}
    documents["policy"]["freezes"] = _vary_freezes(documents["policy"]["freezes"], made["clusters"], dice)
    _vary_rules(documents["campaign"], len(made["nodes"]) / len(tables["nodes"]), dice)
    for name, document in documents.items():
        write_yaml(folder / f"{name}.yaml", document)
    return folder


def _vary(tables: Mapping[str, Sequence[Row]], dice: Random) -> dict[str, list[Row]]:
    """As many clusters as the dice say, each drawn from January, with another share of its racks at another place."""
    blueprints = find_blueprints(tables)
    made: dict[str, list[Row]] = {name: [] for name in TABLES}
    drawn: dict[str, int] = defaultdict(int)
    for _ in range(dice.randint(*CLUSTERS)):
        blueprint = dice.choice(blueprints)
        name = blueprint.cluster["cluster"]
        drawn[name] += 1
        place = dice.choice(blueprints).cluster
        cluster = blueprint.cluster | {column: place[column] for column in PLACE}
        built = blueprint.build(max(1, round(len(blueprint.racks) * dice.uniform(*SHARES))))
        for table, rows in (("clusters", [cluster]), ("nodes", built["nodes"]), ("devices", built["devices"])):
            made[table] += [rename(row, drawn[name], name) for row in rows]
    return made


def _vary_freezes(freezes: Sequence[dict[str, Any]], clusters: Sequence[Row], dice: Random) -> list[dict[str, Any]]:
    """Each freeze on some cluster of its customer, some days earlier or later."""
    varied: list[dict[str, Any]] = []
    for freeze in freezes:
        days = timedelta(days=dice.randint(-3, 6))
        own = [row["cluster"] for row in clusters if row["customer"] == freeze["customer"]]
        moved = {name: f"{datetime.fromisoformat(freeze[name]) + days:%Y-%m-%dT%H:%M:%SZ}" for name in ("start", "end")}
        varied.append(freeze | moved | {"scope": {"cluster": dice.choice(own)}})
    return varied


def _vary_rules(campaign: dict[str, Any], size: float, dice: Random) -> None:
    limits = [limit for limit in campaign["limits"] if "at_once_fraction" not in limit or dice.random() < KEPT]
    for limit in limits:
        if "at_once" in limit:
            limit["at_once"] = max(1, round(limit["at_once"] * size * dice.uniform(0.8, 1.2)))
        if "at_once_fraction" in limit:
            limit["at_once_fraction"] = round(dice.uniform(0.2, 0.6), 2)
    order, spread, avoid = campaign["preferences"][2:]
    dice.shuffle(order["order"])
    day = dice.choice(("monday", "tuesday", "wednesday", "thursday", "friday"))
    weak = [order, spread, avoid | {"avoid": day}]
    dice.shuffle(weak)
    campaign["limits"] = limits
    campaign["preferences"][2:] = weak
    campaign["avoid_weekdays"] = [day]
    campaign["weekends"] = dice.choice(("staffed", "staffed", "never"))
    campaign["big_cluster_nodes"] = dice.choice((300, 400, 600))
    campaign["rolling"]["max_fraction_per_day"] = dice.choice((0.1, 0.15, 0.2))


def _times(limit: dict[str, Any], times: int) -> dict[str, Any]:
    """Counts that often; shares and conditions as they are."""
    return {key: value * times if isinstance(value, int) else value for key, value in limit.items()}


def _copy_freeze(freeze: dict[str, Any], copy: int) -> dict[str, Any]:
    if copy == 1:
        return freeze
    cluster = freeze["scope"]["cluster"]
    return freeze | {"id": f"{freeze['id']}-x{copy}", "scope": {"cluster": f"{cluster}-x{copy}"}}


def _multiply(tables: Mapping[str, Sequence[Row]], times: int, dice: Random) -> dict[str, list[Row]]:
    blueprints = find_blueprints(tables)
    made: dict[str, list[Row]] = {name: [] for name in TABLES}
    for copy in range(1, times + 1):
        for blueprint in blueprints:
            name = blueprint.cluster["cluster"]
            place = dice.choice(blueprints).cluster if copy > 1 else blueprint.cluster
            cluster = blueprint.cluster | {column: place[column] for column in PLACE}
            racks = max(1, round(len(blueprint.racks) * dice.uniform(*SHARES))) if copy > 1 else len(blueprint.racks)
            built = blueprint.build(racks)
            for table, rows in (("clusters", [cluster]), ("nodes", built["nodes"]), ("devices", built["devices"])):
                made[table] += [rename(row, copy, name) for row in rows]
    return made


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """One January cluster: its nodes and rack devices by rack, and its other devices."""

    cluster: Row
    racks: tuple[tuple[str, list[Row], list[Row]], ...]
    devices: tuple[Row, ...]

    def build(self, racks: int) -> dict[str, list[Row]]:
        """Its first so many racks; when it has fewer, from the first on again under other names."""
        nodes: list[Row] = []
        devices: list[Row] = []
        for number in range(racks):
            turn, index = divmod(number, len(self.racks))
            suffix = f"-t{turn}" if turn else ""
            name, members, shared = self.racks[index]
            nodes += [n | {"node": n["node"] + suffix, "rack": name + suffix} for n in members]
            devices += [d | {"device": d["device"] + suffix, "scope_id": name + suffix} for d in shared]
        places = {node["scalable_unit"] for node in nodes} | {self.cluster["cluster"]}
        return {"nodes": nodes, "devices": devices + [d for d in self.devices if d["scope_id"] in places]}


def find_blueprints(tables: Mapping[str, Sequence[Row]]) -> list[Blueprint]:
    """Of every cluster, in the order of the table."""
    nodes: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    shared: dict[str, list[Row]] = defaultdict(list)
    others: dict[str, list[Row]] = defaultdict(list)
    for row in tables["nodes"]:
        nodes[row["cluster"]][row["rack"]].append(row)
    for row in tables["devices"]:
        if row["scope"] == "rack":
            shared[row["scope_id"]].append(row)
        else:
            others[row["cluster"]].append(row)
    return [
        Blueprint(
            cluster=row,
            racks=tuple((rack, members, shared[rack]) for rack, members in nodes[row["cluster"]].items()),
            devices=tuple(others[row["cluster"]]),
        )
        for row in tables["clusters"]
    ]


def write_changed_fleet(source: Path, folder: Path, changes: int, version: str = CHANGED_VERSION) -> Path:
    """The fleet folder `source` with `changes` nodes, evenly spread, that report this version of one component."""
    for name in TABLES:
        rows = read_rows(source / f"{name}.csv")
        if name == "nodes":
            step = max(1, len(rows) // changes)
            for row in rows[: step * changes : step]:
                row[CHANGED_COMPONENT] = version
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
        size = min(left, math.ceil(len(found) * share))
        own = {name: by_cluster[name][cluster["cluster"]] for name in by_cluster}
        _add_copy(made, cluster, _cut(own, size), copy)
        left -= size
        if left == 0:
            return made
    raise AssertionError("unreachable")


def _cut(found: Mapping[str, list[Row]], size: int) -> dict[str, list[Row]]:
    """The first `size` nodes of a cluster, and the devices that they hang on."""
    members = found["nodes"][:size]
    places = {node[column] for node in members for column in ("rack", "scalable_unit", "cluster")}
    return {"nodes": members, "devices": [row for row in found["devices"] if row["scope_id"] in places]}


def _add_copy(made: dict[str, list[Row]], cluster: Row, own: Mapping[str, list[Row]], copy: int) -> None:
    for name, rows in (("clusters", [cluster]), *own.items()):
        made[name] += [rename(row, copy, cluster["cluster"]) for row in rows]


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


def rename(row: Row, copy: int, cluster: str) -> Row:
    """The row of that copy of the cluster, 1 for itself: names that come from the cluster's are made its own."""
    if copy == 1:
        return row
    renamed = {c: v.replace(cluster, f"{cluster}-x{copy}", 1) for c, v in row.items() if c in NAMED_AFTER_CLUSTER}
    if "supercomputer" in row:
        renamed["supercomputer"] = f"{row['supercomputer']}-x{copy}"
    return row | renamed


def read_yaml(path: Path) -> Any:
    """A document of ours."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def write_yaml(path: Path, value: dict[str, Any]) -> None:
    """Keys in their order."""
    path.write_text(yaml.safe_dump(value, sort_keys=False), encoding="utf-8")
