"""Reads the workload map: services from `workloads.yaml` and, if it stands beside it, what nodes carry from
`workloads.csv`. `formats.scenario` and imports call it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import NodeId, ServiceId
from fermata.domain.names import Names
from fermata.domain.workloads import LENDER_CLASSES, RANKS, SHARING_MOST, Minimum, Service, WorkloadMap
from fermata.formats.faults import FaultLog, one_of, quote, raise_faults
from fermata.formats.fields import Document, Fields, check_unique
from fermata.formats.spots import Kind, Spot
from fermata.formats.tablefiles import read_table
from fermata.formats.tables import Columns, Table, check_known, check_names
from fermata.formats.tables import check_unique as check_unique_cells
from fermata.formats.yamltext import read_yaml

FILE = "workloads.yaml"
TABLE = "workloads.csv"
ROOT_KEYS = ("services",)
SERVICE_REQUIRED = ("id", "class")
SERVICE_OPTIONAL = ("rank", "minimum", "may_move", "moves_to")
MINIMUM_KEYS = ("nodes", "share")
COLUMNS = Columns(required=("node", "service"))
RANK_MAX = 1000


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A map as read, not to be used when a log has faults. `table` is None without a `workloads.csv`."""

    document: Document
    table: Table | None
    places: Mapping[ServiceId, Fields]
    workloads: WorkloadMap

    @property
    def logs(self) -> tuple[FaultLog, ...]:
        """The faults of both files."""
        return (self.document.log, *([self.table.log] if self.table else []))


def read_workloads(path: Path, fleet: Fleet | None = None) -> WorkloadMap:
    """Read the file `path` and the table beside it; with a fleet, check its names there too. Raises BadInput."""
    draft, logs = decode_workloads(path)
    if draft is not None and fleet is not None:
        check_workloads(draft, fleet)
    raise_faults(logs)
    assert draft is not None, "a map without faults is read"
    return draft.workloads


def find_workloads(folder: Path) -> Path | None:
    """The map of a scenario folder; None without one. A table alone counts too: reading then says what is missing."""
    return folder / FILE if (folder / FILE).exists() or (folder / TABLE).exists() else None


def decode_workloads(path: Path) -> tuple[Draft | None, tuple[FaultLog, ...]]:
    """The map and the faults of its files; None when the services cannot be told."""
    document = Document(log=FaultLog(path))
    root = read_yaml(path, document.log)
    beside = path.with_name(TABLE)
    of_table = FaultLog(beside)
    table = read_table(beside, COLUMNS, of_table) if beside.exists() else None
    if beside.exists() and table is None and not len(of_table):
        of_table.add("The file holds no table: its first line names the columns node and service.")
    logs = (document.log, of_table)
    if root is None:
        return None, logs
    top = Fields(document, root, required=ROOT_KEYS)
    spots = top.items("services")
    every = [Fields(document, spot, required=SERVICE_REQUIRED, optional=SERVICE_OPTIONAL) for spot in spots]
    check_unique((fields.spot("id") for fields in every), document.log, "Service")
    if top.reads("services") and not spots:
        top.fault("services", "No service is listed.")
    services = _services(every)
    known = Names(services)
    workloads = WorkloadMap(services=services, assignments=_assignments(table, known) if table else {})
    places = {ServiceId(fields.name("id")): fields for fields in every}
    return Draft(document=document, table=table, places=places, workloads=workloads), logs


def _services(every: list[Fields]) -> dict[ServiceId, Service]:
    """All services, each knowing whom it moves to, which may be those of the classes that lend by default."""
    classes = {ServiceId(fields.name("id")): fields.name("class") for fields in every}
    with_minimum = {ServiceId(fields.name("id")) for fields in every if fields.has("minimum")}
    moving = {ServiceId(fields.name("id")) for fields in every if fields.spot("may_move") and fields.flag("may_move")}
    lending = [
        name
        for name, service_class in classes.items()
        if service_class in LENDER_CLASSES and name not in with_minimum | moving
    ]
    found: dict[ServiceId, Service] = {}
    for fields in every:
        name = ServiceId(fields.name("id"))
        found[name] = Service(
            id=name,
            service_class=classes[name],
            rank=_rank(fields),
            minimum=_minimum(fields),
            moves_to=_moves_to(fields, classes, with_minimum, moving) or tuple(lending if name in moving else ()),
        )
    for fields in every:
        name = ServiceId(fields.name("id"))
        if name in moving and not found[name].moves_to and fields.reads("may_move"):
            fields.fault("may_move", "It may move, but there is no service that its load could move to.")
    return found


def _rank(fields: Fields) -> int:
    """That of the class, unless said; a class of one's own must say it."""
    known = Names(RANKS)
    service_class = fields.name("class")
    if fields.spot("rank"):
        return fields.integer("rank", most=RANK_MAX)
    if fields.reads("class") and service_class not in known:
        sentence = f"Class {quote(service_class)} is none of {one_of(RANKS)}, so say its rank too (idle 0 to api 30)."
        fields.fault("class", sentence, wrong=service_class, known=known)
    return RANKS.get(service_class, 0)


def _minimum(fields: Fields) -> dict[str, Minimum]:
    found = fields.spot("minimum")
    if found is None or found.kind is not Kind.MAPPING:
        fields.fields("minimum", required=("GEO",) if found else ())
        return {}
    return {geo: _minimum_of(fields.document, spot) for geo, spot in found.keys.items()}


def _minimum_of(document: Document, spot: Spot) -> Minimum:
    fields = Fields(document, spot, optional=MINIMUM_KEYS)
    given = [key for key in MINIMUM_KEYS if fields.spot(key)]
    if spot.kind is Kind.MAPPING and len(given) != 1:
        document.log.add(f"A minimum is exactly one of {one_of(MINIMUM_KEYS)}.", spot.place)
    if "nodes" in given:
        return Minimum(nodes=fields.integer("nodes"))
    return Minimum(share=fields.number("share", above=None, least=0.0, most=1.0))


def _moves_to(
    fields: Fields, classes: Mapping[ServiceId, str], with_minimum: set[ServiceId], moving: set[ServiceId]
) -> tuple[ServiceId, ...]:
    names = tuple(ServiceId(name) for name in fields.names("moves_to"))
    own = ServiceId(fields.name("id"))
    if fields.spot("moves_to") and own not in moving and fields.reads("moves_to"):
        fields.fault("moves_to", "It has a list to move to, so may_move must be true.")
    known = Names(name for name in classes if name != own)
    for name in names:
        if name == own:
            fields.fault("moves_to", "A service does not move to itself.")
        elif name not in classes:
            fields.fault("moves_to", f"There is no service {quote(name)} in this file.", wrong=name, known=known)
        elif name in with_minimum or name in moving:
            what = "has a minimum of its own" if name in with_minimum else "may move itself"
            sentence = f"{quote(name)} {what}: a service that takes load keeps no minimum and does not move."
            fields.fault("moves_to", sentence)
    return names


def _assignments(table: Table, services: Names) -> dict[NodeId, ServiceId]:
    check_names(table, ("node", "service"))
    check_unique_cells(table, "node")
    check_known(table, "service", services, "Service")
    nodes, carried = table.columns.get("node", []), table.columns.get("service", [])
    return {NodeId(node): ServiceId(service) for node, service in zip(nodes, carried, strict=False)}


def check_workloads(draft: Draft, fleet: Fleet) -> None:
    """Fault, in the draft's logs, what the fleet does not bear: nodes, geos, minima and services without nodes."""
    if draft.table is not None:
        check_known(draft.table, "node", Names(fleet.nodes), "Node")
    if any(draft.logs):
        return
    carriers: dict[ServiceId, list[Node]] = {name: [] for name in draft.workloads.services}
    for node in fleet.nodes.values():
        service = draft.workloads.service_of(node)
        if service is not None:
            carriers[service].append(node)
    geos = Names(cluster.geo for cluster in fleet.clusters.values())
    for name, nodes in carriers.items():
        fields = draft.places[name]
        if not nodes:
            sentence = f"No node carries {quote(name)}, by {TABLE} or by its column workload."
            fields.fault("id", sentence, wrong=name, known=Names({node.workload for node in fleet.nodes.values()}))
        else:
            _check_minimum(fields, draft.workloads.services[name], _count_by_geo(nodes, fleet), geos)
    _check_sharing(draft)


def _count_by_geo(nodes: list[Node], fleet: Fleet) -> dict[str, int]:
    counts: dict[str, int] = {}
    for node in nodes:
        geo = fleet.clusters[node.cluster].geo
        counts[geo] = counts.get(geo, 0) + 1
    return counts


def _check_minimum(fields: Fields, service: Service, counts: Mapping[str, int], geos: Names) -> None:
    minimum = fields.fields("minimum", optional=tuple(service.minimum))
    for geo, least in service.minimum.items():
        if geo not in geos:
            minimum.fault(geo, f"The fleet has no geo {quote(geo)}.", wrong=geo, known=geos)
        elif (least.nodes or 0) > counts.get(geo, 0):
            have = f"{counts.get(geo, 0):,} node{'' if counts.get(geo, 0) == 1 else 's'}"
            minimum.fault(geo, f"The minimum is {least.nodes:,} nodes, but {service.id} has {have} in {geo}.")
        elif geo not in counts:
            minimum.fault(geo, f"{service.id} has no node in {geo}.")


def _check_sharing(draft: Draft) -> None:
    """Services that share lenders are judged in every combination, so that there may not be too many."""
    users: dict[ServiceId, list[ServiceId]] = {}
    for service in draft.workloads.services.values():
        for lender in service.moves_to:
            users.setdefault(lender, []).append(service.id)
    moving = {name for names in users.values() for name in names}
    if len(moving) > SHARING_MOST:
        sentence = f"{len(moving)} services may move; at most {SHARING_MOST} can share the nodes they move to."
        draft.document.log.add(sentence)
