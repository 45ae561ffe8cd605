"""Which updates of shared devices a window of a work order's own may bring along: those that drain nobody but the nodes
that are out in it, with the consent of everybody behind. Pure; asked by `execution/bringing.py`. What is not certain
stays with the plan, and the reason says so.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fermata.domain.allowances import covers
from fermata.domain.brought_along import Coming, Grounds, find_along, find_freeze, is_met
from fermata.domain.closures import say_frozen, say_outside
from fermata.domain.fleet import Device, Node
from fermata.domain.hearing import Heard
from fermata.domain.ids import DeviceId, NodeId, UpdateId
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.updates import Update
from fermata.domain.versions import is_at_least


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What is asked of shared devices. `behind`: every node behind each of them that anybody knows of, whether this
    window takes it or not. `busy`: those on which another window has work that did not end.
    `silent`: those that did not answer just now.
    """

    behind: Mapping[DeviceId, frozenset[NodeId]]
    busy: frozenset[DeviceId] = frozenset()
    silent: frozenset[DeviceId] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Along:
    """What comes along: by node, and on `devices`. `left`: devices whose work stays with the plan, and why. Nodes with
    nothing of it are absent.
    """

    nodes: Mapping[NodeId, frozenset[UpdateId]]
    devices: Coming
    left: Mapping[DeviceId, Reason]


NOTHING_ALONG = Along(nodes={}, devices={}, left={})


def find_all_along(grounds: Grounds, shared: Shared, nodes: Iterable[Node]) -> Along:
    """What may come along on these nodes, and on the devices behind which nobody else is."""
    coming: dict[DeviceId, Update] = {}
    left: dict[DeviceId, Reason] = {}
    for device in grounds.desk.fleet.devices.values():
        behind = shared.behind.get(device.name, frozenset())
        update = find_due(grounds, device)
        if update is None or behind.isdisjoint(grounds.members):
            continue
        why = judge_device(grounds, shared, device, update)
        if why is None:
            coming[device.name] = update
        else:
            left[device.name] = why
    found = {node.name: find_along(grounds, node, coming) for node in nodes}
    return Along(nodes={name: along for name, along in found.items() if along}, devices=coming, left=left)


def find_due(grounds: Grounds, device: Device) -> Update | None:
    """What is due on the device and drains the nodes behind it. What drains nobody needs no outage: the plan has it."""
    unit = grounds.desk.pending.of_device(device)
    return next((item.update for item in unit.due if item.update.needs_drain), None)


def judge_device(grounds: Grounds, shared: Shared, device: Device, update: Update) -> Reason | None:
    """Why the update does not come along on the device, or None."""
    behind, known = shared.behind.get(device.name, frozenset()), grounds.desk.fleet.nodes
    away = sorted(name for name in behind if name not in grounds.members or name not in known)
    if away:
        return _stays(device, update, f"{len(away)} node(s) behind it are not out in it, {away[0]} among them.")
    nodes = [known[name] for name in sorted(behind)]
    heard = [grounds.desk.hear(node, frozenset({update.id})) for node in nodes]
    whys = (
        *_why_not_here(grounds, shared, device, update, nodes),
        *_why_not_agreed(grounds, device, update, nodes, heard),
        *_why_not_now(grounds, update, nodes, heard),
    )
    return _stays(device, update, whys[0]) if whys else None


def _stays(device: Device, update: Update, why: str) -> Reason:
    return reason(Code.ALONG_LEFT, update=update.id, device=device.name, why=why)


def _why_not_here(
    grounds: Grounds, shared: Shared, device: Device, update: Update, nodes: Sequence[Node]
) -> Iterator[str]:
    if not nodes:
        yield "no node is known to be behind it."
    if device.name in shared.busy:
        yield "another window has work on it that did not end."
    if device.name in shared.silent:
        yield "it does not answer now."
    held = next((node.name for node in nodes if node.name in grounds.held), None)
    if held is not None:
        yield f"another order keeps {held}, or as many nodes as were approved for a day went today."
    if grounds.offered is not None and update.id not in grounds.offered:
        yield "the window was opened without it."
    if update.id in grounds.closed:
        yield "its gate lets nobody begin now: see fermata gates show."
    if not all(_has_what_it_needs(grounds, update, node) for node in nodes):
        yield "it builds on what is not there yet behind it."


def _has_what_it_needs(grounds: Grounds, update: Update, node: Node) -> bool:
    """True when all that the update builds on is done on the node and its devices. What is to be done there in the same
    window does not count: it may turn out otherwise.
    """
    desk = grounds.desk
    devices = desk.fleet.devices_of(node)
    due = {item.update.id for item in desk.pending.of_node(node).due}
    due.update(item.update.id for device in devices for item in desk.pending.of_device(device).due)
    if due & set(update.after):
        return False
    for need in update.requires:
        carriers = (device for device in devices if device.component == need.component)
        found = [grounds.device_versions.get(device.name, "") for device in carriers]
        found += [node.versions[need.component]] if need.component in node.versions else []
        if not found or not all(is_at_least(version, need.min_version) for version in found):
            return False
    return True


def _why_not_agreed(
    grounds: Grounds, device: Device, update: Update, nodes: Sequence[Node], heard: Sequence[Heard]
) -> Iterator[str]:
    """One approval covers the group: everybody behind the device has to have said yes."""
    lacking = [node.name for node, said in zip(nodes, heard, strict=True) if said.is_lacking]
    if lacking:
        yield reason(Code.SHARED_DEVICE_UNAPPROVED, device=device.name, nodes=len(lacking), example=lacking[0]).sentence
    for node, said in zip(nodes, heard, strict=True):
        if not all(is_met(grounds, entry) for entry in said.entries):
            yield f"it was approved for {node.name} only together with nodes that are not out in this window."
        together = {name for entry in said.entries for name in entry.conditions.with_updates} - {update.id}
        if together & _due_on(grounds, node):
            yield f"it was approved for {node.name} only in one outage with {', '.join(sorted(together))}."


def _due_on(grounds: Grounds, node: Node) -> set[UpdateId]:
    pending, devices = grounds.desk.pending, grounds.desk.fleet.devices_of(node)
    units = (pending.of_node(node), *(pending.of_device(device) for device in devices))
    return {item.update.id for unit in units for item in unit.due}


def _why_not_now(grounds: Grounds, update: Update, nodes: Sequence[Node], heard: Sequence[Heard]) -> Iterator[str]:
    span = grounds.span
    if span is None:
        return
    for node, said in zip(nodes, heard, strict=True):
        freeze = find_freeze(grounds, node, update, span)
        if freeze is not None:
            yield say_frozen(freeze).sentence
        if not covers(said.allowances, span):
            customer, length = grounds.desk.fleet.clusters[node.cluster].customer, span.end - span.start
            yield say_outside(said.allowances, customer, node.name, after=span.start, length=length).sentence
