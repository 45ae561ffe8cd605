"""Times counting queries over a made fleet with twelve updates pending on each node, beside counting in plain Python.

`--nodes 1000000` is the large fleet of docs/benchmarks.md; without it, 20,000 nodes.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import duckdb

import harness
from fermata.domain.fleet import Cluster
from fermata.domain.ids import ClusterId, CustomerId, SupercomputerId, TeamId, UpdateId
from fermata.domain.updates import (
    AppliesTo,
    Catalogue,
    Criticality,
    Duration,
    Impact,
    Stage,
    StepDefaults,
    Update,
)
from fermata.query.answers import Question
from fermata.query.engine import Engine, EngineLimits
from fermata.query.facts import Facts, KindSorter, NodeColumns
from fermata.query.tables import build_tables
from harness import Benchmark, Case, Place, Sample, Watch

NODES, NODES_LARGE = 20_000, 1_000_000
UPDATES = 12
NODES_PER_CLUSTER, NODES_PER_RACK = 300, 18
NOW = datetime(2026, 1, 3, tzinfo=UTC)
UPDATE_ROWS = "maintenanceresources | where type =~ 'microsoft.maintenance/updates'"
QUERIES: Mapping[str, tuple[str, int]] = {  # by name: the query, and what its count is of every node
    "count rows": (f"{UPDATE_ROWS} | summarize count()", 1),
    "count updates": ("pendingupdates | summarize count() by updateId, impact | summarize sum(count_)", UPDATES),
    "unfold and count": (f"{UPDATE_ROWS} | mv-expand u = properties.value | count", UPDATES),
    "unfold, by status": (
        f"{UPDATE_ROWS} | mv-expand u = properties.value | summarize n=count() by tostring(u.status) | project n",
        UPDATES,
    ),
}
TARGETS = {NODES: 0.3, NODES_LARGE: 5.0}
LIMITS = EngineLimits(seconds=300, memory_mib=3072, start_seconds=600)


def make_facts(nodes: int) -> Facts:
    """Clusters of NODES_PER_CLUSTER nodes; in each, nodes of three kinds, all behind with every component."""
    columns: dict[str, list[str]] = {name: [] for name in ("name", "cluster", "rack", "scalable_unit", "fault_domain")}
    columns |= {"role": ["prod"] * nodes, "workload": ["training"] * nodes, "state": ["in_service"] * nodes}
    sorter = KindSorter()
    clusters = {}
    for number in range(nodes):
        cluster = f"gb200-westus3-{number // NODES_PER_CLUSTER:05d}"
        if cluster not in clusters:
            clusters[cluster] = _cluster(cluster, len(clusters))
        columns["name"].append(f"{cluster}-n{number % NODES_PER_CLUSTER:04d}")
        columns["cluster"].append(cluster)
        columns["rack"].append(f"{cluster}-r{number % NODES_PER_CLUSTER // NODES_PER_RACK:03d}")
        columns["scalable_unit"].append(f"{cluster}-su00")
        columns["fault_domain"].append(str(number % 3))
        sorter.add(cluster, number % 3, {f"component-{c:02d}": f"1.{number % 3}" for c in range(UPDATES)})
    return Facts(
        clusters=clusters,
        nodes=NodeColumns(columns=columns, gpus=[8] * nodes, kinds=sorter.kinds, versions=sorter.versions),
        devices=(),
        catalogue=_catalogue(),
    )


def ask(name: str, nodes: int, _place: Place) -> Sample:
    """One query, the tables loaded and the query asked once before, as for everybody but the first who asks."""
    query, per_node = QUERIES[name]
    question = Question(text=query, now=NOW, limit=10)
    engine = Engine(build_tables(make_facts(nodes)), LIMITS)
    engine.ask(question)
    before = _worker_cpu_seconds(engine)
    with Watch() as watch:
        answer = engine.ask(question)
    assert answer.rows[0][0] == nodes * per_node
    cpu, peak = _worker_cpu_seconds(engine) - before, _worker_peak_mib(engine)
    engine.retire()
    return watch.sample(counted=answer.rows[0][0], worker_cpu_seconds=cpu, worker_peak_mib=peak)


def load(nodes: int, _place: Place) -> Sample:
    """From facts to the first answer: tables laid out, the worker started, everything loaded."""
    facts = make_facts(nodes)
    with Watch() as watch:
        engine = Engine(build_tables(facts), LIMITS)
        total = engine.ask(Question(text="resources | where type == 'fermata/nodes' | count", now=NOW, limit=1)).rows
    engine.retire()
    return watch.sample(nodes=total[0][0])


def count_plainly(nodes: int, _place: Place) -> Sample:
    """The rows as JSON text, read and counted one by one."""
    value = [{"updateId": f"update-{c:02d}", "status": "Pending", "toVersion": "2.0"} for c in range(UPDATES)]
    text = json.dumps({"value": value})
    with Watch() as watch:
        counts = Counter(item["status"] for _ in range(nodes) for item in json.loads(text)["value"])
    return watch.sample(counted=counts["Pending"])


def _worker_peak_mib(engine: Engine) -> float:
    status = Path(f"/proc/{engine.process_id}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def _worker_cpu_seconds(engine: Engine) -> float:
    fields = Path(f"/proc/{engine.process_id}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _cluster(name: str, number: int) -> Cluster:
    return Cluster(
        name=ClusterId(name),
        supercomputer=SupercomputerId(f"sc-{number // 4:04d}"),
        customer=CustomerId("lumen"),
        region="westus3",
        geo="US",
        timezone="America/Phoenix",
        datacenter="westus3-dc1",
        sku="GB200",
        division="research",
        rolling_allowed=True,
        single_placement_group=False,
    )


def _catalogue() -> Catalogue:
    minutes = Duration(p50=30, p90=60)
    updates = [_update(number, minutes) for number in range(UPDATES)]
    steps = StepDefaults(drain_minutes=minutes, reboot_minutes=minutes, verify_minutes=minutes)
    return Catalogue(defaults=steps, team_limits={}, updates={update.id: update for update in updates})


def _update(number: int, minutes: Duration) -> Update:
    return Update(
        id=UpdateId(f"update-{number:02d}"),
        title=f"Update {number}",
        owner_team=TeamId("team"),
        target="node",
        component=f"component-{number:02d}",
        to_version="2.0",
        applies_to=AppliesTo(),
        impact=list(Impact)[number % 3],
        impact_seconds=None,
        criticality=Criticality.REGULAR,
        stage=Stage.PRODUCTION_READY,
        released_at=NOW,
        not_before=None,
        duration_minutes=minutes,
    )


if __name__ == "__main__":
    options = harness.read_options("Times queries in KQL over a made fleet.")
    size = options.nodes or NODES
    target = TARGETS.get(size)
    cases = [
        Case(name="plain loop over JSON", run=partial(count_plainly, size)),
        Case(name="load", run=partial(load, size)),
    ]
    cases += [
        Case(name=name, run=partial(ask, name, size), baseline="plain loop over JSON", target_seconds=target)
        for name in QUERIES
    ]
    harness.run(
        Benchmark(
            name="querying",
            title=f"Counting over {size:,} nodes with {UPDATES} pending updates each",
            cases=cases,
            each_run=harness.nothing_shared,
            versions={"duckdb": duckdb.__version__},
        ),
        options,
    )
