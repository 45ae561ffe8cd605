"""Whether nodes and shared devices are still where a plan has them, and who is behind a device: asked of the plan's
fleet and of the inventory as it is now, when windows open and before nodes are drained for a device.
"""

from collections.abc import Iterable

from fermata.domain.fleet import Device, Fleet, Node, place_of, places_of
from fermata.domain.ids import DeviceId, NodeId
from fermata.domain.plan_codes import PlanCode
from fermata.domain.reasons import Reason, reason


def all_behind(device: DeviceId, planned: Fleet, today: Fleet) -> tuple[NodeId, ...]:
    """Every node behind a device that anybody knows of, by name. What is gone may still hang on it: the inventory may
    be wrong, too.
    """
    known = [fleet.devices[device] for fleet in (planned, today) if device in fleet.devices]
    return tuple(sorted({n.name for fleet in (planned, today) for each in known for n in fleet.nodes_behind(each)}))


def why_not_drained(device: DeviceId, planned: Fleet, today: Fleet) -> Reason | None:
    """Why nothing may be done on a device for which the plan drains those that it knows behind it; None: all behind it
    are among them. `today`: what of the inventory is at the places of the device.
    """
    before, now = planned.devices[device], today.devices.get(device)
    if now is None or place_of(now) != place_of(before):
        return reason(PlanCode.NOT_WHERE_PLANNED, unit=device, place=_say_device(now))
    known = {node.name for node in planned.nodes_behind(before)}
    fresh = [node.name for node in today.nodes_behind(now) if node.name not in known]
    if not fresh:
        return None
    return reason(PlanCode.DEVICE_GOT_NODES, device=device, nodes=len(fresh), example=fresh[0])


def find_moved(planned: Iterable[Node], today: Fleet) -> dict[NodeId, Reason]:
    """Those of the plan's nodes that are gone by now or hang on other devices. `today`: their cluster."""
    found: dict[NodeId, Reason] = {}
    for node in planned:
        now = today.nodes.get(node.name)
        if now is None or places_of(now) != places_of(node):
            found[node.name] = reason(PlanCode.NOT_WHERE_PLANNED, unit=node.name, place=_say_node(now, node))
    return found


def as_today(names: Iterable[NodeId], planned: Fleet, today: Fleet) -> Fleet:
    """These nodes and the clusters of both, by today's word: whose a node is now. Who is gone is there as planned."""
    nodes = {name: today.nodes.get(name) or planned.nodes[name] for name in names}
    return Fleet(clusters={**planned.clusters, **today.clusters}, nodes=nodes, devices={})


def _say_node(now: Node | None, before: Node) -> str:
    if now is None:
        return f"is not in {before.cluster} any more"
    return f"stands in rack {now.rack} and scalable unit {now.scalable_unit or '(none)'} of {now.cluster}"


def _say_device(now: Device | None) -> str:
    return "is not there any more" if now is None else f"serves {now.scope} {now.scope_id} of {now.cluster}"
