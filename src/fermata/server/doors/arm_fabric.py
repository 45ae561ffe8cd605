"""Network cards, switches and links of a supercomputer in the shape of Microsoft.SupercomputerInfrastructure, as far as
inventory knows them: components that nodes report, shared devices, and who hangs on which. Modelled on a preview.
"""

from collections.abc import Callable, Iterator
from typing import Any

from fermata.domain.fleet import Device, DeviceScope, Node
from fermata.server.doors.arm_front import ArmCall, ArmReply, Kind, listed, not_found
from fermata.server.doors.arm_supercomputers import ROOT, resource, whole_id

CARD_WORDS = frozenset({"nic", "hca"})  # words of components that are network cards, as in nic_fw
SWITCH_WORDS = frozenset({"tor", "leaf", "spine", "switch"})  # words of kinds of device that are switches

Found = Iterator[dict[str, Any]]


def _nics(call: ArmCall) -> Found:
    """One for each node and network component that it reports: how many cards are behind it, inventory does not say."""
    place = call.place
    for node in sorted(place.nodes, key=lambda node: node.name):
        for component in sorted(node.versions):
            if CARD_WORDS & _words(component):
                properties = {
                    "nodeId": f"{whole_id(call)}/nodes/{node.name}",
                    "component": component,
                    "firmwareVersion": node.versions[component],
                    "provisioningState": "Succeeded",
                }
                yield resource(f"{place.id}/nics", f"{node.name}-{component}", f"{ROOT}/nics", properties)


def _switches(call: ArmCall) -> Found:
    for device, nodes in _known(call):
        clusters = f"{whole_id(call)}/clusters/{device.cluster}"
        properties = {
            "deviceKind": device.kind,
            "clusterId": clusters,
            "rackId": f"{clusters}/racks/{device.scope_id}" if device.scope is DeviceScope.RACK else None,
            "component": device.component,
            "firmwareVersion": device.version,
            "nodes": len(nodes),
            "provisioningState": "Succeeded",
        }
        yield resource(f"{call.place.id}/switches", device.name, f"{ROOT}/switches", properties)


def _links(call: ArmCall) -> Found:
    """One for each node and switch that it hangs on."""
    for device, nodes in _known(call):
        for node in nodes:
            properties = {
                "switchId": f"{whole_id(call)}/switches/{device.name}",
                "nodeId": f"{whole_id(call)}/nodes/{node.name}",
                "deviceKind": device.kind,
                "provisioningState": "Succeeded",
            }
            yield resource(f"{call.place.id}/links", f"{device.name}--{node.name}", f"{ROOT}/links", properties)


def _known(call: ArmCall) -> Iterator[tuple[Device, list[Node]]]:
    """The switches of the place, by name, each with its nodes there."""
    fleet, own = call.picture.fleet, frozenset(call.place.names)
    clusters = {node.cluster for node in call.place.nodes}
    devices = [device for name in clusters for device in fleet.devices_by_cluster[name]]
    for device in sorted(devices, key=lambda device: device.name):
        if SWITCH_WORDS & _words(device.kind):
            yield device, [node for node in fleet.nodes_behind(device) if node.name in own]


def _words(name: str) -> frozenset[str]:
    return frozenset(name.lower().split("_"))


def _kind(what: str, find: Callable[[ArmCall], Found]) -> Kind:
    def get(call: ArmCall) -> ArmReply:
        for found in find(call):
            if found["name"].lower() == call.path.name.lower():
                return ArmReply(body=found)
        raise not_found(f"{what} {call.path.name} in {call.place.name}")

    return Kind(all={"GET": lambda call: listed(list(find(call)))}, one={"GET": get})


NICS = _kind("nic", _nics)
SWITCHES = _kind("switch", _switches)
LINKS = _kind("link", _links)
