"""The inputs as stored: clusters, nodes and devices in tables; catalogue, policy, campaigns, workloads as documents."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import (
    BindParameter,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Select,
    String,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
)

from fermata.domain.campaign import Campaign
from fermata.domain.fleet import Cluster, Device, Fleet, Node, NodeState
from fermata.domain.fleet_diff import FleetDiff, Unit, UnitChange, diff_fleets, to_row
from fermata.domain.hashing import content_sha256
from fermata.domain.ids import CampaignId, ClusterId, CustomerId, DeviceId, NodeId, SupercomputerId
from fermata.domain.notified import Notified
from fermata.domain.policy import AfterDue, Freeze, Policy
from fermata.domain.updates import Catalogue
from fermata.store import consent, outbox
from fermata.store.asking import ask, ask_value
from fermata.store.bulk import NAMES_PER_STATEMENT, delete_names, insert_rows, update_rows
from fermata.store.codec import from_json, to_json
from fermata.store.cut_bodies import cut_campaign, cut_known, cut_policy
from fermata.store.database import NotStored, recall, remember
from fermata.store.parts import part_of
from fermata.store.schema import Json, metadata
from fermata.store.unit_rows import ROWS_AT_ONCE, json_text, to_devices, to_nodes

T = TypeVar("T")
_NOTIFIED = "since when customers know"  # under which it is remembered
DOCUMENTS_KNOWN = 16  # decoded: the conductor asks what the policy says in every batch, and it says the same

cluster = Table(
    "cluster",
    metadata,
    Column("name", String, primary_key=True),
    Column("supercomputer", String, nullable=False),
    Column("customer", String, nullable=False),
    Column("region", String, nullable=False),
    Column("geo", String, nullable=False),
    Column("timezone", String, nullable=False),
    Column("datacenter", String, nullable=False),
    Column("sku", String, nullable=False),
    Column("division", String, nullable=False),
    Column("rolling_allowed", Boolean, nullable=False),
    Column("single_placement_group", Boolean, nullable=False),
    Column("source", String, nullable=True),
)
node = Table(
    "node",
    metadata,
    Column("name", String, primary_key=True),
    Column("cluster", ForeignKey("cluster.name"), nullable=False),
    Column("rack", String, nullable=False),
    Column("fault_domain", String, nullable=False),
    Column("scalable_unit", String, nullable=False),
    Column("role", String, nullable=False),
    Column("workload", String, nullable=False),
    Column("state", String, nullable=False),
    Column("versions", Json, nullable=False),
    Column("gpus", Integer, nullable=True),
    Column("source", String, nullable=True),  # the source of inventory that it belongs to; null: none does
    Column("said", Json, nullable=True),  # what that source last said that others may say too
    Index("ix_node_cluster", "cluster"),
)
device = Table(
    "device",
    metadata,
    Column("name", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("cluster", ForeignKey("cluster.name"), nullable=False),
    Column("scope", String, nullable=False),
    Column("scope_id", String, nullable=False),
    Column("component", String, nullable=False),
    Column("version", String, nullable=False),
    Column("source", String, nullable=True),
    Column("said", Json, nullable=True),
    Index("ix_device_cluster", "cluster"),
)
TABLES = {"cluster": cluster, "node": node, "device": device}  # in the order in which rows refer to each other
document = Table(  # read and written whole, never asked by column: the text is what was imported, field for field
    "document",
    metadata,
    Column("kind", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("sha256", String, nullable=False),
    Column("body", Text, nullable=False),
)
_BODY = select(document.c.body).where(document.c.kind == bindparam("of_kind"), document.c.name == bindparam("of_name"))
_DEVICE_VERSIONS = select(device.c.name, device.c.version)
_NAMED_DEVICE_VERSIONS = _DEVICE_VERSIONS.where(device.c.name.in_(bindparam("of_names", expanding=True)))
_CLUSTERS = select(*(cluster.c[name] for name in Cluster.__slots__))
_NODES = {
    dialect: select(
        *(json_text(c, dialect) if c.name == "versions" else c for c in (node.c[n] for n in Node.__slots__))
    )
    for dialect in ("sqlite", "postgresql")
}
_DEVICES = select(*(device.c[name] for name in Device.__slots__))
_NAMES: BindParameter[Any] = bindparam("of_names", expanding=True)
_NAMED_NODES = {dialect: query.where(node.c.name.in_(_NAMES)) for dialect, query in _NODES.items()}
_NAMED_DEVICES = _DEVICES.where(device.c.name.in_(_NAMES))
_VERSIONS = select(node.c.name, node.c.versions).where(node.c.name.in_(_NAMES))


def save_fleet(conn: Connection, fleet: Fleet, stored: Fleet | None = None) -> FleetDiff:
    """Makes the stored fleet equal to `fleet`, writing only what differs; units it does not name are removed.

    Whoever says nothing of a node's GPUs leaves what is known of them. `stored`: what is stored, if it is at hand.
    """
    stored = stored or load_fleet(conn)
    known = {name: old.gpus for name, old in stored.nodes.items() if old.gpus is not None}
    kept = {
        name: dataclasses.replace(new, gpus=known[name])
        for name, new in fleet.nodes.items()
        if new.gpus is None and name in known
    }
    wanted = dataclasses.replace(fleet, nodes={**fleet.nodes, **kept}) if kept else fleet
    diff = diff_fleets(stored, wanted)
    apply_diff(conn, diff, wanted)
    return diff


def apply_diff(conn: Connection, diff: FleetDiff, fleet: Fleet) -> None:
    """Writes what `diff` says is different in `fleet`."""
    units: dict[str, Mapping[Any, Unit]] = {"cluster": fleet.clusters, "node": fleet.nodes, "device": fleet.devices}
    for kind, table in TABLES.items():
        _write(conn, table, units[kind], [change for change in diff.changes if change.kind == kind])
    for kind, table in reversed(TABLES.items()):  # clusters go last: nodes and devices refer to them
        delete_names(conn, table, diff.names(kind, "removed"))


def load_fleet(conn: Connection) -> Fleet:
    """The stored fleet, every mapping in the order of names; empty when nothing was imported."""
    parts = load_parts(conn)
    nodes = to_nodes(_read(conn, _NODES[conn.dialect.name]))
    return dataclasses.replace(parts, nodes={n.name: n for n in sorted(nodes, key=_name)})


def load_fleet_of(conn: Connection, supercomputers: Iterable[SupercomputerId]) -> Fleet:
    """As `load_fleet`, of those supercomputers alone: clusters, nodes and devices."""
    parts, wanted = load_parts(conn), frozenset(supercomputers)
    clusters = {name: c for name, c in parts.clusters.items() if c.supercomputer in wanted}
    query = _NODES[conn.dialect.name].where(node.c.cluster.in_(list(clusters)))
    nodes = to_nodes(_read(conn, query))
    return Fleet(
        clusters=clusters,
        nodes={n.name: n for n in sorted(nodes, key=_name)},
        devices={name: d for name, d in parts.devices.items() if d.cluster in clusters},
    )


def named_nodes(conn: Connection, names: Iterable[NodeId]) -> dict[NodeId, Node]:
    """Those of `names` that are stored."""
    return {found.name: found for found in to_nodes(_named(conn, _NAMED_NODES[conn.dialect.name], names))}


def named_devices(conn: Connection, names: Iterable[DeviceId]) -> dict[DeviceId, Device]:
    """Those of `names` that are stored."""
    return {found.name: found for found in to_devices(_named(conn, _NAMED_DEVICES, names))}


def load_clusters(conn: Connection) -> dict[ClusterId, Cluster]:
    """Every cluster, by name."""
    clusters = [Cluster(**row._asdict()) for row in ask(conn, _CLUSTERS)]
    return {c.name: c for c in sorted(clusters, key=_name)}


def load_parts(conn: Connection) -> Fleet:
    """The stored fleet without its nodes, of which there may be too many: clusters and devices, by name."""
    devices = to_devices(_read(conn, _DEVICES))
    return Fleet(
        clusters=load_clusters(conn),
        nodes={},
        devices={d.name: d for d in sorted(devices, key=_name)},
    )


def count_units(conn: Connection) -> dict[str, int]:
    """How many clusters, nodes and devices are stored."""
    return {
        f"{kind}s": conn.execute(select(func.count()).select_from(table)).scalar_one() for kind, table in TABLES.items()
    }


def count_by_cluster(conn: Connection) -> dict[ClusterId, int]:
    """How many nodes each cluster has that has any."""
    found = conn.execute(select(node.c.cluster, func.count()).group_by(node.c.cluster))
    return {ClusterId(name): number for name, number in found}


def list_customers(conn: Connection) -> frozenset[CustomerId]:
    """Every customer that holds a cluster."""
    return frozenset(CustomerId(name) for name in conn.execute(select(cluster.c.customer).distinct()).scalars())


def list_supercomputers(conn: Connection, customer: CustomerId | None = None) -> frozenset[SupercomputerId]:
    """Every supercomputer with a cluster, or with one of that customer."""
    query = select(cluster.c.supercomputer).distinct()
    if customer is not None:
        query = query.where(cluster.c.customer == customer)
    return frozenset(SupercomputerId(name) for name in conn.execute(query).scalars())


def record_versions(conn: Connection, versions: Mapping[NodeId, Mapping[str, str]]) -> None:
    """What nodes now report. Components that a mapping leaves out keep what they last reported.

    A node that is not stored any more is passed over: inventory, not the reporter, says which nodes exist.
    """
    found = {row.name: dict(row.versions) for row in _named(conn, _VERSIONS, versions)}
    rows = [{"name": name, "versions": old | dict(versions[NodeId(name)])} for name, old in found.items()]
    update_rows(conn, node, [row for row in rows if row["versions"] != found[row["name"]]])


def record_node_states(conn: Connection, states: Mapping[NodeId, NodeState]) -> None:
    """Which nodes now serve workloads, and which do not."""
    update_rows(conn, node, [{"name": name, "state": state.value} for name, state in states.items()])


def serving_nodes(conn: Connection, name: ClusterId) -> tuple[NodeId, ...]:
    """The nodes of a cluster that serve workloads now."""
    query = select(node.c.name).where(node.c.cluster == name, node.c.state == NodeState.IN_SERVICE.value)
    return tuple(NodeId(found) for found in conn.execute(query.order_by(node.c.name)).scalars())


def record_device_versions(conn: Connection, versions: Mapping[DeviceId, str]) -> None:
    """What devices now report."""
    update_rows(conn, device, [{"name": name, "version": version} for name, version in versions.items()])


def load_device_versions(conn: Connection) -> dict[DeviceId, str]:
    """What every device was last known to report."""
    return {DeviceId(row[0]): row[1] for row in ask(conn, _DEVICE_VERSIONS)}


def device_versions_of(conn: Connection, names: Collection[DeviceId]) -> dict[DeviceId, str]:
    """The same of these devices."""
    wanted, found = sorted(names), dict[DeviceId, str]()
    for start in range(0, len(wanted), NAMES_PER_STATEMENT):
        given = {"of_names": wanted[start : start + NAMES_PER_STATEMENT]}
        found.update((DeviceId(name), version) for name, version in conn.execute(_NAMED_DEVICE_VERSIONS, given))
    return found


def save_catalogue(conn: Connection, catalogue: Catalogue) -> bool:
    """Replaces the catalogue. False when it was stored already."""
    return save_document(conn, "catalogue", "", catalogue)


def load_catalogue(conn: Connection) -> Catalogue:
    """The catalogue. Raises NotStored before the first import."""
    return _load_document(conn, "catalogue", "", Catalogue)


def save_policy(conn: Connection, policy: Policy) -> bool:
    """Replaces the imported policy; freezes added by hand stay. False when it was stored already.

    A freeze that the new policy states differently is in force as stated, even if its former self was ended by hand.
    """
    before = find_document(conn, "policy", "", Policy)
    known: frozenset[Freeze] = frozenset(before.freezes if before else ())
    consent.forget_endings(conn, [freeze.id for freeze in policy.freezes if freeze not in known])
    return save_document(conn, "policy", "", policy)


def load_policy(conn: Connection, *, known: bool = False) -> Policy:
    """The policy in force: as imported, with the freezes added by hand, less those ended, with the exemptions from
    them, and with what customers know of: where that counts for what may begin, or in any case if `known`, which when
    their time to choose is over follows from. Raises NotStored.
    """
    part = part_of(conn)
    if part is not None:
        return cut_policy(part.read(lambda whole: load_policy(whole, known=known)), part)
    policy = _load_document(conn, "policy", "", Policy)
    counts = any(customer.after_due is AfterDue.PROCEED for customer in policy.customers.values())
    return dataclasses.replace(
        policy,
        freezes=consent.merge_freezes(conn, policy.freezes),
        exemptions=consent.load_exemptions(conn),
        notified=_read_notified(conn) if counts or known else (),
    )


def _read_notified(conn: Connection) -> tuple[Notified, ...]:
    """Of it nothing is ever changed or taken back: as it was read last, while no more is known."""
    number = outbox.count_notified(conn)
    found: tuple[int, tuple[Notified, ...]] | None = recall(conn, _NOTIFIED)
    if found is None or found[0] != number:
        found = number, outbox.load_notified(conn)
        remember(conn, _NOTIFIED, found)
    return found[1]


def load_stated_policy(conn: Connection) -> Policy:
    """The policy as imported, without what was added or ended by hand since: what may be changed and saved again.
    Raises NotStored.
    """
    return _load_document(conn, "policy", "", Policy)


def save_campaign(conn: Connection, campaign: Campaign) -> bool:
    """Adds or replaces the campaign of that id. False when it was stored already."""
    return save_document(conn, "campaign", campaign.id, campaign)


def load_campaign(conn: Connection, campaign_id: CampaignId) -> Campaign:
    """The campaign of that id. Raises NotStored."""
    return _load_document(conn, "campaign", campaign_id, Campaign)


def list_campaigns(conn: Connection) -> tuple[Campaign, ...]:
    """All campaigns, by first day, then id."""
    part = part_of(conn)
    if part is not None:
        return tuple(cut_campaign(each, part) for each in part.read(list_campaigns))
    bodies = conn.execute(select(document.c.body).where(document.c.kind == "campaign")).scalars()
    found = [from_json(Campaign, body) for body in bodies]
    return tuple(sorted(found, key=lambda campaign: (campaign.first_day, campaign.id)))


def _name(unit: Unit) -> str:
    return unit.name


def _write(conn: Connection, table: Table, units: Mapping[Any, Unit], changes: Iterable[UnitChange]) -> None:
    added, changed = [], []
    for change in changes:
        if change.action == "added":
            added.append(to_row(units[change.name]))
        elif change.action == "changed":
            changed.append(to_row(units[change.name]))
    insert_rows(conn, table, added)
    update_rows(conn, table, changed)


def _read(conn: Connection, query: Select[Any]) -> Iterable[Any]:
    return conn.execute(query, execution_options={"yield_per": ROWS_AT_ONCE})


def _named(conn: Connection, query: Select[Any], names: Iterable[str]) -> list[Any]:
    wanted = list(names)
    found: list[Any] = []
    for start in range(0, len(wanted), 500):
        found.extend(conn.execute(query, {"of_names": wanted[start : start + 500]}))
    return found


def save_document(conn: Connection, kind: str, name: str, value: object) -> bool:
    """Replaces the document of that kind and name. False when it was stored already."""
    sha256 = content_sha256(value)
    place = (document.c.kind == kind) & (document.c.name == name)
    if conn.execute(select(document.c.sha256).where(place)).scalar() == sha256:
        return False
    conn.execute(delete(document).where(place))
    conn.execute(insert(document).values(kind=kind, name=name, sha256=sha256, body=to_json(value).decode()))
    return True


def _load_document(conn: Connection, kind: str, name: str, as_type: type[T]) -> T:
    found = find_document(conn, kind, name, as_type)
    if found is None:
        raise NotStored(kind, name)
    return found


def find_document(conn: Connection, kind: str, name: str, as_type: type[T]) -> T | None:
    """The document of that kind and name; None when there is none, or none that is cut for who sees a part."""
    part = part_of(conn)
    if part is not None:
        return cut_known(part, as_type, lambda whole: find_document(whole, kind, name, as_type))
    body = ask_value(conn, _BODY, of_kind=kind, of_name=name)
    asked: Any = as_type
    found: T | None = None if body is None else _from_body(asked, body)
    return found


@lru_cache(maxsize=DOCUMENTS_KNOWN)
def _from_body(as_type: Any, body: str) -> Any:
    return from_json(as_type, body)
