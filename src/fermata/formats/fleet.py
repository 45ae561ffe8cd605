"""Reads a fleet folder: the tables clusters, nodes and devices, each as CSV, JSON Lines or Parquet."""

from collections import defaultdict
from pathlib import Path

from fermata.domain.fleet import Cluster, Device, DeviceScope, Fleet, Node, NodeState, Role
from fermata.domain.ids import ClusterId, CustomerId, DeviceId, NodeId, RackId, SupercomputerId
from fermata.domain.names import Names
from fermata.domain.updates import NODE_TARGET
from fermata.formats.faults import FaultLog, quote, raise_faults
from fermata.formats.tablefiles import SUFFIXES, find_table, read_table
from fermata.formats.tables import (
    Columns,
    Table,
    check_choice,
    check_known,
    check_names,
    check_unique,
    check_versions,
)
from fermata.formats.values import time_zones

COMPONENT_PREFIX = "component."
CLUSTERS = Columns(
    required=(
        "cluster",
        "supercomputer",
        "customer",
        "region",
        "geo",
        "timezone",
        "datacenter",
        "sku",
        "division",
        "rolling_allowed",
        "single_placement_group",
    )
)
NODES = Columns(
    required=("node", "cluster", "rack", "fault_domain", "scalable_unit", "role", "workload", "state"),
    prefix=COMPONENT_PREFIX,
)
DEVICES = Columns(required=("device", "kind", "cluster", "scope", "scope_id", "component", "version"))
DIVISIONS = ("research", "applied")
FLAGS = ("true", "false")


def read_fleet(path: Path) -> Fleet:
    """Read the folder `path`. Raises BadInput with the faults of all its tables; then nothing is read."""
    fleet, logs = decode_fleet(path)
    raise_faults(logs)
    assert fleet is not None, "a fleet without faults is read"
    return fleet


def decode_fleet(path: Path) -> tuple[Fleet | None, list[FaultLog]]:
    """The fleet, None when there are faults, and a log for each file."""
    if not path.is_dir():
        log = FaultLog(path)
        log.add("This is not a folder: a fleet is a folder with clusters.csv, nodes.csv and devices.csv.")
        return None, [log]
    logs: list[FaultLog] = []
    clusters = _open(path, "clusters", CLUSTERS, logs)
    nodes = _open(path, "nodes", NODES, logs)
    devices = _open(path, "devices", DEVICES, logs)
    if clusters:
        _check_clusters(clusters)
    if nodes:
        _check_nodes(nodes, clusters)
    if devices:
        _check_devices(devices, clusters, nodes)
    if any(logs) or clusters is None or nodes is None or devices is None:
        return None, logs
    return Fleet(clusters=_clusters(clusters), nodes=_nodes(nodes), devices=_devices(devices)), logs


def _open(folder: Path, stem: str, columns: Columns, logs: list[FaultLog]) -> Table | None:
    log = FaultLog(folder / f"{stem}.csv")
    logs.append(log)
    try:
        path = find_table(folder, stem)
    except ValueError as error:
        log.add(f"The table {stem} stands here more than once: {error}")
        return None
    if path is None:
        present = Names(entry.name for entry in folder.iterdir() if entry.suffix in SUFFIXES)
        forms = f"{stem}.csv (or .jsonl, .parquet)"
        log.add(f"The folder has no {forms}.", wrong=f"{stem}.csv", known=present)
        return None
    log.file = path
    table = read_table(path, columns, log)
    if table and not table.lines and not len(log) and stem != "devices":
        log.add("The table has no rows.")
    return table


def _check_clusters(table: Table) -> None:
    check_names(table, ("cluster", "supercomputer", "customer", "region", "geo", "datacenter", "sku"))
    check_unique(table, "cluster")
    check_choice(table, "division", DIVISIONS)
    check_known(table, "timezone", time_zones(), "Time zone")
    check_names(table, ("timezone",))
    for column in ("rolling_allowed", "single_placement_group"):
        _lower(table, column)
        check_choice(table, column, FLAGS)


def _lower(table: Table, column: str) -> None:
    """Spreadsheets write TRUE; it means the same."""
    if column in table.columns:
        table.columns[column] = [cell.lower() if cell.lower() in FLAGS else cell for cell in table.columns[column]]


def _check_nodes(table: Table, clusters: Table | None) -> None:
    check_names(table, ("node", "cluster", "rack", "fault_domain", "scalable_unit", "workload"))
    check_unique(table, "node")
    check_choice(table, "role", [role.value for role in Role])
    check_choice(table, "state", [state.value for state in NodeState])
    check_versions(table, _components(table))
    _check_cluster_column(table, clusters)


def _check_cluster_column(table: Table, clusters: Table | None) -> None:
    if clusters and clusters.complete and "cluster" in clusters.columns:
        check_known(table, "cluster", Names(clusters.columns["cluster"]), "Cluster")


def _check_devices(table: Table, clusters: Table | None, nodes: Table | None) -> None:
    check_names(table, ("device", "kind", "cluster", "scope_id", "component"))
    check_unique(table, "device")
    check_choice(table, "scope", [scope.value for scope in DeviceScope])
    check_versions(table, ("version",))
    _check_cluster_column(table, clusters)
    for row, kind in enumerate(table.columns.get("kind", ())):
        if kind == NODE_TARGET:
            table.log.add('"node" is not a kind of device: updates mean nodes by it.', table.place(row, "kind"))
    needed = {scope.value for scope in DeviceScope}
    if not (nodes and clusters and nodes.complete and clusters.complete and "cluster" in clusters.columns):
        return
    if needed <= nodes.columns.keys() and set(DEVICES.required) <= table.columns.keys():
        _check_places(table, nodes, frozenset(clusters.columns["cluster"]))


def _check_places(devices: Table, nodes: Table, known: frozenset[str]) -> None:
    """Every device has nodes behind it, and all of them in its own cluster: else work on it would surprise others.

    Nodes of clusters that are not `known` are faulted at the node and do not count here.
    """
    clusters_of: dict[str, dict[str, set[str]]] = {}
    for scope in DeviceScope:
        places: dict[str, set[str]] = defaultdict(set)
        for name, cluster in zip(nodes.columns[scope.value], nodes.columns["cluster"], strict=True):
            places[name].add(cluster)
        clusters_of[scope.value] = {name: found & known for name, found in places.items()}
    names = {scope: Names(places) for scope, places in clusters_of.items()}
    columns = (devices.columns[name] for name in ("cluster", "scope", "scope_id"))
    for row, (cluster, scope, scope_id) in enumerate(zip(*columns, strict=True)):
        if scope not in clusters_of or not scope_id or cluster not in known:
            continue
        found = clusters_of[scope].get(scope_id)
        if found is None:
            sentence = f"No node has {scope} {quote(scope_id)}."
            devices.log.add(sentence, devices.place(row, "scope_id"), wrong=scope_id, known=names[scope])
        elif found and found != {cluster}:
            devices.log.add(_says_elsewhere(cluster, scope, scope_id, found), devices.place(row, "scope_id"))


def _says_elsewhere(cluster: str, scope: str, scope_id: str, found: set[str]) -> str:
    if cluster not in found:
        return f"No node of cluster {quote(cluster)} has {scope} {quote(scope_id)}."
    others = ", ".join(sorted(found - {cluster}))
    return (
        f"{scope} {quote(scope_id)} has nodes of {others} too, so work on this device would reach nodes"
        " that it does not name: give each cluster its own."
    )


def _components(table: Table) -> list[str]:
    return [name for name in table.columns if name.startswith(COMPONENT_PREFIX)]


def _rows(table: Table, columns: Columns) -> "zip[tuple[str, ...]]":
    return zip(*(table.columns[name] for name in columns.required), strict=True)


def _clusters(table: Table) -> dict[ClusterId, Cluster]:
    return {
        ClusterId(name): Cluster(
            name=ClusterId(name),
            supercomputer=SupercomputerId(supercomputer),
            customer=CustomerId(customer),
            region=region,
            geo=geo,
            timezone=timezone,
            datacenter=datacenter,
            sku=sku,
            division=division,
            rolling_allowed=rolling == "true",
            single_placement_group=single == "true",
        )
        for name, supercomputer, customer, region, geo, timezone, datacenter, sku, division, rolling, single in _rows(
            table, CLUSTERS
        )
    }


def _nodes(table: Table) -> dict[NodeId, Node]:
    """Nodes that report the same versions share one mapping: most of a fleet does."""
    components = [column.removeprefix(COMPONENT_PREFIX) for column in _components(table)]
    reported = list(zip(*(table.columns[column] for column in _components(table)), strict=True))
    shared = {versions: dict(zip(components, versions, strict=True)) for versions in set(reported)}
    if not components:
        reported, shared = [()] * len(table.lines), {(): {}}
    roles = {role.value: role for role in Role}
    states = {state.value: state for state in NodeState}
    nodes: dict[NodeId, Node] = {}
    for row, versions in zip(_rows(table, NODES), reported, strict=True):
        name, cluster, rack, fault_domain, scalable_unit, role, workload, state = row
        nodes[NodeId(name)] = Node(
            name=NodeId(name),
            cluster=ClusterId(cluster),
            rack=RackId(rack),
            fault_domain=fault_domain,
            scalable_unit=scalable_unit,
            role=roles[role],
            workload=workload,
            state=states[state],
            versions=shared[versions],
        )
    return nodes


def _devices(table: Table) -> dict[DeviceId, Device]:
    scopes = {scope.value: scope for scope in DeviceScope}
    return {
        DeviceId(name): Device(
            name=DeviceId(name),
            kind=kind,
            cluster=ClusterId(cluster),
            scope=scopes[scope],
            scope_id=scope_id,
            component=component,
            version=version,
        )
        for name, kind, cluster, scope, scope_id, component, version in _rows(table, DEVICES)
    }
