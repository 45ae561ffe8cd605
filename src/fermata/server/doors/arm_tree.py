"""Which kind of resource of Azure's resource manager is answered by what."""

from fermata.server.doors import (
    arm_events,
    arm_fabric,
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
TREE = {
    ("supercomputers",): arm_supercomputers.SUPERCOMPUTERS,
    ("supercomputers", "clusters"): arm_supercomputers.CLUSTERS,
    ("supercomputers", "racks"): arm_supercomputers.RACKS,
    ("supercomputers", "nodes"): arm_supercomputers.NODES,
    ("supercomputers", "clusters", "racks"): arm_supercomputers.RACKS,
    ("supercomputers", "clusters", "nodes"): arm_supercomputers.NODES,
    ("supercomputers", "racks", "nodes"): arm_supercomputers.NODES,
    ("supercomputers", "racks", "nics"): arm_fabric.NICS,
    ("supercomputers", "clusters", "racks", "nics"): arm_fabric.NICS,
    ("supercomputers", "links"): arm_fabric.LINKS,
    ("supercomputers", "clusters", "links"): arm_fabric.LINKS,
    ("supercomputers", "switches"): arm_fabric.SWITCHES,
    ("supercomputers", "clusters", "switches"): arm_fabric.SWITCHES,
    ("supercomputers", "maintenancerequests"): arm_requests.REQUESTS,
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
