"""Network cards, switches and links, as far as inventory knows them: components that nodes report, shared devices, and
who hangs on which. Doors show them, and clients report them as unhealthy.
"""

from collections.abc import Collection, Iterator

from fermata.domain.fleet import Device, Fleet, Node

CARD_WORDS = frozenset({"nic", "hca"})  # words of components that are network cards, as in nic_fw
SWITCH_WORDS = frozenset({"tor", "leaf", "spine", "switch"})  # words of kinds of device that are switches


def list_cards(nodes: Collection[Node]) -> Iterator[tuple[Node, str]]:
    """One for each node, by name, and network component that it reports: how many cards are behind it, inventory does
    not say.
    """
    for node in sorted(nodes, key=lambda node: node.name):
        for component in sorted(node.versions):
            if CARD_WORDS & _words(component):
                yield node, component


def list_switches(fleet: Fleet, nodes: Collection[Node]) -> Iterator[tuple[Device, list[Node]]]:
    """The switches of the clusters of these nodes, by name, each with those of the nodes that are behind it."""
    own = {node.name for node in nodes}
    devices = [device for name in {node.cluster for node in nodes} for device in fleet.devices_by_cluster[name]]
    for device in sorted(devices, key=lambda device: device.name):
        if SWITCH_WORDS & _words(device.kind):
            yield device, [node for node in fleet.nodes_behind(device) if node.name in own]


def card_name(node: Node, component: str) -> str:
    """What a card is called."""
    return f"{node.name}-{component}"


def link_name(device: Device, node: Node) -> str:
    """What the link between a switch and a node is called."""
    return f"{device.name}--{node.name}"


def _words(name: str) -> frozenset[str]:
    return frozenset(name.lower().split("_"))
