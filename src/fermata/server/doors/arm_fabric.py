"""Network cards, switches, links and ports of a supercomputer in the shape of Microsoft.SupercomputerInfrastructure, as
far as inventory knows them. Modelled on a preview.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from fermata.domain.fleet import DeviceScope
from fermata.server.doors.arm_front import ArmCall, ArmError, ArmReply, Kind, listed, not_found
from fermata.server.doors.arm_supercomputers import ROOT, resource, whole_id
from fermata.services.fabric import card_name, link_name, list_cards, list_switches
from fermata.services.places import Place

Found = Iterator[dict[str, Any]]


def _nics(call: ArmCall) -> Found:
    place = call.place
    for node, component in list_cards(place.nodes):
        properties = {
            "nodeId": f"{whole_id(call)}/nodes/{node.name}",
            "component": component,
            "firmwareVersion": node.versions[component],
            "provisioningState": "Succeeded",
        }
        yield resource(f"{place.id}/nics", card_name(node, component), f"{ROOT}/nics", properties)


def _switches(call: ArmCall) -> Found:
    for device, nodes in list_switches(call.picture.fleet, call.place.nodes):
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
    for device, nodes in list_switches(call.picture.fleet, call.place.nodes):
        for node in nodes:
            properties = {
                "switchId": f"{whole_id(call)}/switches/{device.name}",
                "nodeId": f"{whole_id(call)}/nodes/{node.name}",
                "deviceKind": device.kind,
                "provisioningState": "Succeeded",
            }
            yield resource(f"{call.place.id}/links", link_name(device, node), f"{ROOT}/links", properties)


def _kind(what: str, find: Callable[[ArmCall], Found]) -> Kind:
    def get(call: ArmCall) -> ArmReply:
        for found in find(call):
            if found["name"].lower() == call.path.name.lower():
                return ArmReply(body=found)
        raise not_found(f"{what} {call.path.name} in {call.place.name}")

    return Kind(all={"GET": lambda call: listed(list(find(call)))}, one={"GET": get})


def _parent(call: ArmCall) -> Place:
    """What the path is about, or what it stands in when that is a switch. Raises ArmError when it is not there."""
    *outer, (kind, name) = call.path.pairs
    if kind.lower() != "switches":
        return call.place
    above = replace(call, path=replace(call.path, pairs=tuple(outer), kind="switches", name=name, action=""))
    SWITCHES.one["GET"](above)
    return above.place


def list_ports(call: ArmCall) -> ArmReply:
    """None: inventory knows no ports."""
    _parent(call)
    return listed([])


def get_port(call: ArmCall) -> ArmReply:
    """There is none."""
    raise not_found(f"{call.path.kind}/{call.path.name} in {_parent(call).name}: inventory knows no ports")


def refuse_action(call: ArmCall) -> ArmReply:
    """What Fermata does to no switch that is there."""
    _parent(call)
    switch = call.path.pairs[-1][1]
    sentence = (
        f"Fermata knows switch {switch} from inventory alone: it captures no packets and retrieves no data from it. Ask"
        " the switch itself."
    )
    raise ArmError(HTTPStatus.CONFLICT, "OperationNotAllowed", sentence)


NICS = _kind("nic", _nics)
SWITCHES = _kind("switch", _switches)
LINKS = _kind("link", _links)
PORTS = Kind(all={"GET": list_ports}, one={"GET": get_port})
SWITCH_ACTION = Kind(all={"POST": refuse_action})
