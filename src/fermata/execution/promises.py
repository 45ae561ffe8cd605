"""Which nodes of a window that opens must stay: by what customers hold approvals to, so many a day, not without others;
and because they need nothing any more. Pure; asked by `opening`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from fermata.domain.daily_caps import DailyCap
from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import CampaignId, NodeId
from fermata.domain.openings import spread_over
from fermata.domain.plan_codes import PlanCode
from fermata.domain.policy import ConsentEntry
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.scripts import DeviceScript, WindowScript
from fermata.domain.versions import is_at_least


@dataclass(frozen=True, kw_only=True)
class Bonds:
    """What nodes cannot go without. `shared`: each draining device with all nodes behind it. `companions`: others that
    an approval names.
    """

    shared: Sequence[tuple[str, tuple[NodeId, ...]]]
    companions: Mapping[NodeId, frozenset[NodeId]]


def hold_back(
    nodes: Mapping[NodeId, Node],
    first: Mapping[NodeId, Reason],
    bonds: Bonds,
    *,
    caps: Collection[DailyCap],
    gone: Collection[NodeId],
    today: date,
) -> dict[NodeId, Reason]:
    """Why nodes stay, `first` included, until nothing more falls out. `nodes`: those that the window takes. `gone`:
    those of any window that went today.
    """
    reasons = _spread(nodes, first, bonds)
    while over := _find_over(nodes, reasons, caps, gone, today):
        reasons = _spread(nodes, reasons | over, bonds)
    return reasons


def _spread(nodes: Mapping[NodeId, Node], first: Mapping[NodeId, Reason], bonds: Bonds) -> dict[NodeId, Reason]:
    """`first`, and why others stay when those do: behind the same device, or approved only together with them."""
    reasons = dict(first)
    while True:
        for name, (device, example) in spread_over(reasons, bonds.shared).items():
            reasons[name] = reason(Code.SHARED_DEVICE_UNAPPROVED, device=device, nodes=1, example=example)
        parted = {
            name: min(left)
            for name in nodes
            if name not in reasons and (left := _left(bonds.companions.get(name, frozenset()), nodes, reasons))
        }
        if not parted:
            return reasons
        for name, example in parted.items():
            reasons[name] = reason(Code.COMPANION_STAYS, node=name, example=example)


def _left(
    others: frozenset[NodeId], nodes: Mapping[NodeId, Node], reasons: Mapping[NodeId, Reason]
) -> frozenset[NodeId]:
    return frozenset(name for name in others if name not in nodes or name in reasons)


def _find_over(
    nodes: Mapping[NodeId, Node],
    reasons: Mapping[NodeId, Reason],
    caps: Collection[DailyCap],
    gone: Collection[NodeId],
    today: date,
) -> dict[NodeId, Reason]:
    """Those beyond what one approval lets go today: whole racks go first, the last ones stay."""
    for cap in caps:
        went = cap.nodes.intersection(gone)
        wanted = [name for name in cap.nodes if name in nodes and name not in reasons and name not in went]
        room = max(0, cap.most - len(went))
        if len(wanted) > room:
            wanted.sort(key=lambda name: (nodes[name].rack, name))
            return dict.fromkeys(wanted[room:], say_full(cap.entry, cap.most, len(went), today))
    return {}


def is_due(device: DeviceScript, live: Fleet) -> bool:
    """True while a device does not report what the window brings it."""
    return not is_at_least(live.devices[device.device].version, device.update.to_version)


def find_done(script: WindowScript, live: Fleet, campaign: CampaignId) -> dict[NodeId, Reason]:
    """Nodes that run all that the window would bring, and behind no device that needs them empty and does not: an
    outage before this one did it, and nobody pays for another. `live`: the cluster as observed.
    """
    found: dict[NodeId, Reason] = {}
    for name, own in script.nodes.items():
        versions = live.nodes[name].versions
        due = (update for update in script.updates if script.bits[update.id] & own.due)
        draining = (script.devices[device] for device in own.devices if script.devices[device].update.needs_drain)
        if all(is_at_least(versions.get(u.component, ""), u.to_version) for u in due) and not any(
            is_due(device, live) for device in draining
        ):
            found[name] = reason(PlanCode.NOTHING_DUE, campaign=campaign, unit=name)
    return found


def say_full(entry: ConsentEntry, most: int, used: int, today: date) -> Reason:
    """That no more nodes of an approval go today."""
    return reason(
        Code.APPROVED_PER_DAY, actor=entry.actor, scope=entry.scope, most=f"{most:,}", used=f"{used:,}", day=today
    )


def first_over(
    caps: Iterable[DailyCap], taken: frozenset[NodeId], gone: frozenset[NodeId]
) -> tuple[DailyCap, int] | None:
    """The first approval of which more nodes would go today than it lets, and how many went: another window may have
    opened since the nodes were chosen.
    """
    for cap in caps:
        went = cap.nodes & gone
        if cap.nodes & taken and len(went | (cap.nodes & taken)) > cap.most:
            return cap, len(went)
    return None
