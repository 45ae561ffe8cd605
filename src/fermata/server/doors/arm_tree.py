"""Which kind of resource of Azure's resource manager is answered by what."""

from collections.abc import Mapping

from fermata.server.doors import (
    arm_events,
    arm_fabric,
    arm_own_requests,
    arm_plans,
    arm_requests,
    arm_supercomputers,
    arm_updates,
    arm_windows,
)
from fermata.server.doors.arm_front import MAINTENANCE, ArmPath, Kind, arm_route
from fermata.services.places import COMPUTE, INFRASTRUCTURE

OF_MAINTENANCE = {
    "scheduledevents": arm_events.KIND,
    "updates": arm_updates.UPDATES,
    "applyupdates": arm_updates.APPLY_UPDATES,
    "maintenanceconfigurations": arm_windows.CONFIGURATIONS,
    "configurationassignments": arm_windows.ASSIGNMENTS,
    "maintenanceplans": arm_plans.PLANS,
}
PARENTS = (
    ("supercomputers",),
    ("supercomputers", "clusters"),
    ("supercomputers", "racks"),
    ("supercomputers", "nodes"),
    ("supercomputers", "clusters", "racks"),
    ("supercomputers", "clusters", "nodes"),
    ("supercomputers", "racks", "nodes"),
)  # parts that are places: what is listed below them is of their nodes
SWITCHES = (("supercomputers", "switches"), ("supercomputers", "clusters", "switches"))
TREE: Mapping[tuple[str, ...], Kind] = {
    ("supercomputers",): arm_supercomputers.SUPERCOMPUTERS,
    ("supercomputers", "clusters"): arm_supercomputers.CLUSTERS,
    ("supercomputers", "racks"): arm_supercomputers.RACKS,
    ("supercomputers", "nodes"): arm_supercomputers.NODES,
    ("supercomputers", "clusters", "racks"): arm_supercomputers.RACKS,
    ("supercomputers", "clusters", "nodes"): arm_supercomputers.NODES,
    ("supercomputers", "racks", "nodes"): arm_supercomputers.NODES,
    **{(*parent, "nics"): arm_fabric.NICS for parent in PARENTS},
    **{
        (*parent, kind): arm_fabric.PORTS
        for parent in (*PARENTS, *SWITCHES)
        for kind in ("ports", "devicelogicalports")
    },
    **{
        (*parent, action): arm_fabric.SWITCH_ACTION
        for parent in SWITCHES
        for action in ("packetcapture", "retrievedata")
    },
    ("supercomputers", "links"): arm_fabric.LINKS,
    ("supercomputers", "clusters", "links"): arm_fabric.LINKS,
    **dict.fromkeys(SWITCHES, arm_fabric.SWITCHES),
    ("supercomputers", "maintenancerequests"): arm_requests.REQUESTS,
    ("locations", "operationstatuses"): arm_own_requests.STATUSES,
    ("locations", "operationresults"): arm_own_requests.RESULTS,
}


def of_maintenance(path: ArmPath) -> Kind | None:
    """What extends a resource. Events are of compute resources alone, as over there."""
    if path.kind == "scheduledevents" and path.provider.lower() != COMPUTE:
        return None
    return OF_MAINTENANCE.get(path.kind)


def of_tree(path: ArmPath) -> Kind | None:
    """A part of a supercomputer's own tree."""
    if path.provider.lower() != INFRASTRUCTURE:
        return None
    return TREE.get((*(kind.lower() for kind, _ in path.pairs), path.kind))


ROUTES = (
    *arm_route(f"/providers/{MAINTENANCE}/", of_maintenance),
    *arm_route(f"/providers/{INFRASTRUCTURE}/", of_tree),
)
