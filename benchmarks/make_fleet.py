"""Makes a fleet of realistic shape, of any size from 1,000 to 1,000,000 nodes, as a folder of the formats that the
product reads (docs/formats.md): clusters, nodes, shared devices, catalogue, policy and campaign. The same size and seed
give the same bytes.

    python benchmarks/make_fleet.py --nodes 1000000 --out fleet-1m [--seed 1]

Clusters are drawn from the packaged January: each keeps between 60 and 140 % of its racks, whole, with the shared
devices and versions of its blueprint, and stands at the place of some other cluster. A fleet smaller than all kinds of
clusters together has fewer racks of each. Limits that are counts, and teams, grow with the fleet; those that are shares
stay, but for fleets so small that a share may be less than a node. Whether every limit can be kept is for the planner.
"""

import argparse
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from fermata import scenarios
from fleets import (
    NAMED_ELSEWHERE,
    PLACE,
    SHARES,
    TABLES,
    Blueprint,
    Row,
    find_blueprints,
    read_rows,
    read_yaml,
    rename,
    write_rows,
    write_yaml,
)

LEAST, MOST = 1000, 1_000_000


def main() -> None:
    """Writes the folder and says what is in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=_size, required=True, help=f"{LEAST:,} to {MOST:,}")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="new, or empty")
    parser.add_argument("--seed", type=int, default=1, help="of sizes and places (default 1)")
    asked = parser.parse_args()
    if asked.out.exists() and (not asked.out.is_dir() or any(asked.out.iterdir())):
        parser.error(f"{asked.out} has something in it: name a new folder")
    sizes = write_fleet(asked.out, asked.nodes, seed=asked.seed)
    counts = ", ".join(f"{sizes[name]:,} {name}" for name in TABLES)
    print(f"{asked.out}: {counts}; seed {asked.seed}. Next: fermata import scenario {asked.out}")


def write_fleet(folder: Path, nodes: int, *, seed: int) -> dict[str, int]:
    """A scenario folder with exactly so many nodes; returns how many rows each table has."""
    january = scenarios.path("january")
    tables = {name: read_rows(january / "fleet" / f"{name}.csv") for name in TABLES}
    made = _build(find_blueprints(tables), nodes, Random(seed))
    for name in TABLES:
        write_rows(folder / "fleet" / f"{name}.csv", list(tables[name][0]), made[name])
    size = nodes / len(tables["nodes"])
    documents = {name: read_yaml(january / f"{name}.yaml") for name in ("updates", "policy", "campaign")}
    known = {row["cluster"] for row in made["clusters"]}
    documents["updates"]["teams"] = [_grow(team, size) for team in documents["updates"]["teams"]]
    freezes = documents["policy"]["freezes"]
    documents["policy"]["freezes"] = [freeze for freeze in freezes if freeze["scope"]["cluster"] in known]
    limits = [limit for limit in documents["campaign"]["limits"] if size >= 1 or "at_once_fraction" not in limit]
    documents["campaign"]["limits"] = [_grow(limit, size) for limit in limits]
    for name, document in documents.items():
        write_yaml(folder / f"{name}.yaml", document)
    return {name: len(rows) for name, rows in made.items()}


def _build(blueprints: Sequence[Blueprint], nodes: int, dice: Random) -> dict[str, list[Row]]:
    """Clusters until there are enough nodes, the last one cut."""
    made: dict[str, list[Row]] = {name: [] for name in TABLES}
    first = _show_every_name(blueprints)
    size = min(1.0, nodes / sum(_nodes_of(blueprint) for blueprint in first) / SHARES[1])
    drawn: Counter[str] = Counter()
    left = nodes
    for number, blueprint in enumerate(_for_ever(first, blueprints, dice)):
        name = blueprint.cluster["cluster"]
        drawn[name] += 1
        place = dice.choice(blueprints).cluster if number >= len(first) else blueprint.cluster
        racks = max(1, round(len(blueprint.racks) * size * dice.uniform(*SHARES)))
        built = blueprint.build(racks)
        members = built["nodes"][:left]
        places = {node[column] for node in members for column in ("rack", "scalable_unit", "cluster")}
        devices = [row for row in built["devices"] if row["scope_id"] in places]
        cluster = blueprint.cluster | {column: place[column] for column in PLACE}
        for table, rows in (("clusters", [cluster]), ("nodes", members), ("devices", devices)):
            made[table] += [rename(row, drawn[name], name) for row in rows]
        left -= len(members)
        if left == 0:
            break
    return made


def _show_every_name(blueprints: Sequence[Blueprint]) -> list[Blueprint]:
    """The smallest clusters that together show every name that catalogue, policy and campaign use."""
    seen: set[tuple[str, str]] = set()
    found = []
    for blueprint in sorted(blueprints, key=lambda one: (_nodes_of(one), one.cluster["cluster"])):
        names = {(column, blueprint.cluster[column]) for column in NAMED_ELSEWHERE}
        if not names <= seen:
            found.append(blueprint)
            seen |= names
    return found


def _nodes_of(blueprint: Blueprint) -> int:
    return sum(len(members) for _, members, _ in blueprint.racks)


def _for_ever(first: Sequence[Blueprint], every: Sequence[Blueprint], dice: Random) -> Iterator[Blueprint]:
    yield from first
    while True:
        yield dice.choice(every)


def _grow(limit: Mapping[str, Any], size: float) -> dict[str, Any]:
    """Counts as many times, at least 1; shares and conditions as they are."""
    return {key: max(1, math.ceil(v * size)) if type(v) is int else v for key, v in limit.items()}


def _size(text: str) -> int:
    nodes = int(text.replace(",", ""))
    if not LEAST <= nodes <= MOST:
        raise argparse.ArgumentTypeError(f"{LEAST:,} to {MOST:,} nodes")
    return nodes


if __name__ == "__main__":
    main()
