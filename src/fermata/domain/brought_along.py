"""Which updates a window of a work order's own may bring along: its nodes are out anyway, and an outage is paid once.
Pure; asked by `execution/bringing.py`. Those of shared devices: `domain/devices_along`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from fermata.domain.allowances import covers
from fermata.domain.fleet import Fleet, Node
from fermata.domain.hearing import Desk
from fermata.domain.ids import DeviceId, NodeId, UpdateId
from fermata.domain.ledger import nodes_in
from fermata.domain.policy import ConsentEntry, Freeze
from fermata.domain.updates import Update
from fermata.domain.versions import is_at_least
from fermata.domain.windows import Interval


@dataclass(frozen=True, kw_only=True)
class Grounds:
    """What is asked, all as it stands now. `desk`: policy and ledger, of the nodes and all shared devices of their
    clusters as observed. `fleet`: the whole one, where approvals may name companions. `before`: the nodes' versions by
    which the conductor judges requirements on their own components. `members`: those that the window takes. `held`:
    nodes on which other orders keep updates from beginning, or of which approvals let no more go today. `offered`: what
    the window has steps for, None while it is not open. `closed`: updates whose gate lets nobody begin. `span`: when
    the work would be done; None: not yet, so that times are not asked about.
    """

    desk: Desk
    fleet: Fleet
    before: Mapping[NodeId, Node]
    members: Collection[NodeId]
    device_versions: Mapping[DeviceId, str] = field(default_factory=dict)
    held: Collection[NodeId] = ()
    offered: Collection[UpdateId] | None = None
    closed: Collection[UpdateId] = ()
    span: Interval | None = None


Coming = Mapping[DeviceId, Update]  # what is done on shared devices before the nodes behind them go on
NO_DEVICES: Coming = {}


def find_along(grounds: Grounds, node: Node, coming: Coming = NO_DEVICES) -> frozenset[UpdateId]:
    """What may be done on the node itself while it is out: each update that is due there, that its customer lets
    through by itself, and that needs nothing which is not there or does not come along. `coming`: what comes along on
    shared devices.
    """
    unit = grounds.desk.pending.of_node(node)
    if node.name in grounds.held or unit.unknown:
        return frozenset()
    found = {item.update.id: item.update for item in unit.due if _may_go(grounds, node, item.update)}
    while lacking := [name for name, update in found.items() if _lacks(grounds, node, update, found, coming)]:
        for name in lacking:
            del found[name]
    return frozenset(found)


def _may_go(grounds: Grounds, node: Node, update: Update) -> bool:
    heard = grounds.desk.hear(node, frozenset({update.id}))
    if grounds.offered is not None and update.id not in grounds.offered:
        return False
    if update.id in grounds.closed or heard.is_lacking or not all(is_met(grounds, entry) for entry in heard.entries):
        return False
    span = grounds.span
    return span is None or (covers(heard.allowances, span) and find_freeze(grounds, node, update, span) is None)


def is_met(grounds: Grounds, entry: ConsentEntry) -> bool:
    """An approval that holds only together with other nodes: all of those have to be out in this window."""
    scope = entry.conditions.with_scope
    return scope is None or all(n.name in grounds.members for n in nodes_in(grounds.fleet, scope, entry.request))


def find_freeze(grounds: Grounds, node: Node, update: Update, span: Interval) -> Freeze | None:
    """The first freeze that keeps work which drains from the node in that time."""
    policy, cluster = grounds.desk.policy, grounds.desk.fleet.clusters[node.cluster]
    found = (
        freeze
        for freeze in policy.freezes
        if Interval(freeze.start, freeze.end).overlaps(span)
        and freeze.scope.covers(node, cluster)
        and not policy.is_exempt(freeze, update)
    )
    return next(found, None) if update.needs_drain else None


def _lacks(grounds: Grounds, node: Node, update: Update, along: Mapping[UpdateId, Update], coming: Coming) -> bool:
    """True when something has to be done before it, or together with it, that is not done in this window."""
    desk = grounds.desk
    devices = desk.fleet.devices_of(node)
    staying = (device for device in devices if device.name not in coming)
    due = {item.update.id for item in desk.pending.of_node(node).due}
    due.update(item.update.id for device in staying for item in desk.pending.of_device(device).due)
    entries = desk.hear(node, frozenset({update.id})).entries
    together = {name for entry in entries for name in entry.conditions.with_updates}
    if (due & {*update.after, *together}) - along.keys():
        return True
    for need in update.requires:
        carriers = [device for device in devices if device.component == need.component]
        found = [
            coming[device.name].to_version if device.name in coming else grounds.device_versions.get(device.name, "")
            for device in carriers
        ]
        if not carriers:
            brought = [each.to_version for each in along.values() if each.component == need.component]
            known = (each.versions.get(need.component, "") for each in (node, grounds.before[node.name]))
            found = brought or list(known)
        if not all(is_at_least(version, need.min_version) for version in found):
            return True
    return False
