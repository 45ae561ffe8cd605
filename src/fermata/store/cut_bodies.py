"""What is left of a body of several customers for who sees a part of the fleet: one function for each kind of body.

What cannot be told apart is left out as a whole: totals, limits and preferences of a campaign, what a plan reaches.
What people wrote is told as `Part.teller` says.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from sqlalchemy import Connection

from fermata.domain.campaign import Campaign, Where
from fermata.domain.fleet import Fleet
from fermata.domain.ids import UpdateId
from fermata.domain.plans import Plan
from fermata.domain.policy import Customer, Freeze, Policy, Scope, ScopeLevel
from fermata.domain.reasons import SENTENCES, Reason
from fermata.domain.requests import Request, RequestItem, SupersededItem
from fermata.domain.subscriptions import Subscription
from fermata.domain.updates import AppliesTo, Catalogue, Update
from fermata.domain.work_orders import RequestOrder, Target, TargetLevel, WorkOrder
from fermata.store.parts import Part, Told
from fermata.store.tenancy.owners import ELSEWHERE, FIELD, OWN_FIELDS, SOMEBODY

_OF_A_CLUSTER = OWN_FIELDS | {  # of sentences on a cluster in sight: its own things, and days
    "campaign",
    "cluster",
    "components",
    "customer",
    "day",
    "extension",
    "requirement",
    "room",
    "scope",
}


def cut_plan(found: Plan, part: Part) -> Plan:
    """Windows and nodes that are left over, of clusters in sight."""
    tell = part.teller()
    left = (each for each in found.unplanned if each.cluster in part.clusters)
    return replace(
        found,
        windows=tuple(window for window in found.windows if window.cluster in part.clusters),
        unplanned=tuple(replace(each, reason=_cut_reason(each.reason, tell)) for each in left),
        objective=(),
        services=(),
    )


def _cut_reason(found: Reason, tell: Told) -> Reason:
    """The same code; its sentence, if no number in it is of others, and it names none."""
    names = FIELD.findall(SENTENCES.get(found.code, "{unknown"))
    told = tell(found.sentence) if _OF_A_CLUSTER.issuperset(names) else ELSEWHERE
    return replace(found, sentence=ELSEWHERE if told == SOMEBODY else told)


def cut_fleet(found: Fleet, part: Part) -> Fleet:
    """Clusters in sight, with their nodes and devices as they were."""
    return Fleet(
        clusters={name: cluster for name, cluster in found.clusters.items() if name in part.clusters},
        nodes={name: node for name, node in found.nodes.items() if node.cluster in part.clusters},
        devices={name: device for name, device in found.devices.items() if device.cluster in part.clusters},
    )


def cut_policy(found: Policy, part: Part) -> Policy:
    """Rules of customers in sight, and of their freezes those that reach what is in sight."""
    tell = part.teller()
    freezes = tuple(replace(each, reason=tell(each.reason)) for each in found.freezes if _is_own(each, part))
    known = {each.id for each in freezes}
    notified = found.notified
    if notified is not None:
        notified = tuple(
            each for each in notified if each.customer in part.customers and each.supercomputer in part.supercomputers
        )
    return replace(
        found,
        customers={
            name: _cut_customer(customer, part) for name, customer in found.customers.items() if name in part.customers
        },
        freezes=freezes,
        exemptions=tuple(replace(each, reason=tell(each.reason)) for each in found.exemptions if each.freeze in known),
        notified=notified,
    )


def _is_own(freeze: Freeze, part: Part) -> bool:
    return freeze.customer in part.customers and sees_scope(part, freeze.scope)


def _cut_customer(customer: Customer, part: Part) -> Customer:
    return replace(
        customer, rules=tuple(rule for rule in customer.rules if rule.scope is None or sees_scope(part, rule.scope))
    )


def sees_scope(part: Part, scope: Scope) -> bool:
    """Whether anything of it is in sight."""
    match scope.level:
        case ScopeLevel.SUPERCOMPUTER:
            return scope.name in part.supercomputers
        case ScopeLevel.CLUSTER:
            return scope.name in part.clusters
        case ScopeLevel.GROUP:
            return scope.name in part.devices
        case ScopeLevel.RACK:
            return scope.name in part.racks
        case ScopeLevel.NODE:
            return scope.name in part.nodes


def cut_catalogue(found: Catalogue, part: Part) -> Catalogue:
    """Updates that may be for a cluster in sight, none of which names another."""
    tell = part.teller()
    updates = (_cut_update(update, part, tell) for update in found.updates.values())
    return replace(found, updates={update.id: update for update in updates if update is not None})


def _cut_update(update: Update, part: Part, tell: Told) -> Update | None:
    named = update.applies_to.clusters
    seen = frozenset(name for name in named if name in part.clusters)
    if named and not seen:
        return None
    asked = update.applies_to
    return replace(
        update,
        title=_title(update.title, update.id, tell),
        applies_to=AppliesTo(skus=asked.skus, clusters=seen, from_versions=asked.from_versions),
    )


def _title(said: str, name: str, tell: Told) -> str:
    """What it is called, or its bare id where that names others."""
    told = tell(said)
    return name if told == SOMEBODY else told


def cut_campaign(found: Campaign, part: Part) -> Campaign:
    """Its days and hours. What it is for is told as far as that is in sight; limits and preferences are the whole's."""
    title = _title(found.title, found.id, part.teller())
    return replace(found, title=title, scope=_cut_where(found.scope, part), limits=(), preferences=())


def _cut_where(where: Where, part: Part) -> Where:
    known: dict[str, Iterable[str]] = {
        "cluster": part.clusters,
        "supercomputer": part.supercomputers,
        "customer": part.customers,
        "rack": part.racks,
        "scalable_unit": part.units,
        "node": part.nodes,
        "workload": part.workloads,
    }
    return Where(
        conditions={
            key: frozenset(name for name in names if name in known[key]) if key in known else names
            for key, names in where.conditions.items()
        }
    )


def cut_request(found: Request, part: Part, tell: Told) -> Request:
    """What is asked of customers in sight, on orders that concern nodes in sight."""
    parts = tuple(
        replace(each, items=_retitled(each.items, tell)) for each in found.parts if each.customer in part.customers
    )
    own = replace(
        found,
        items=_retitled(found.items, tell),
        customers=tuple(name for name in found.customers if name in part.customers),
        orders=tuple(cut for order in found.orders if (cut := _cut_asked(order, part, tell)) is not None),
        parts=parts,
    )
    return _counted(own) if found.parts else own


def _retitled(items: Iterable[RequestItem], tell: Told) -> tuple[RequestItem, ...]:
    return tuple(replace(item, title=_title(item.title, item.update, tell)) for item in items)


def _counted(found: Request) -> Request:
    """A deployment that several customers share, with what is due on the units of those that are left in `parts`."""
    items: dict[UpdateId, RequestItem] = {}
    older: dict[tuple[UpdateId, UpdateId], SupersededItem] = {}
    for each in found.parts:
        for item in each.items:
            known = items.get(item.update)
            more = (known.nodes, known.devices) if known is not None else (0, 0)
            items[item.update] = replace(item, nodes=item.nodes + more[0], devices=item.devices + more[1])
        for one in each.superseded:
            before = older.get((one.update, one.by))
            more = (before.nodes, before.devices) if before is not None else (0, 0)
            older[one.update, one.by] = replace(one, nodes=one.nodes + more[0], devices=one.devices + more[1])
    return replace(
        found,
        items=tuple(items[name] for name in sorted(items)),
        superseded=tuple(older[pair] for pair in sorted(older)),
        nodes=sum(each.nodes for each in found.parts),
        shared_devices=sum(each.shared_devices for each in found.parts),
    )


def _cut_asked(order: RequestOrder, part: Part, tell: Told) -> RequestOrder | None:
    if not _sees_target(part, order.target):
        return None
    return replace(
        order,
        cause=tell(order.cause),
        nodes=tuple(name for name in order.nodes if name in part.nodes),
        customers=tuple(name for name in order.customers if name in part.customers),
    )


def cut_order(found: WorkOrder, part: Part, tell: Told) -> WorkOrder | None:
    """The order, if it is about something in sight; what it holds of others is left out, and which objects of operators
    outside ask for it.
    """
    held = tuple(name for name in found.held if name in part.nodes)
    if not held and not _sees_target(part, found.target):
        return None
    ended = replace(found.ended, why=tell(found.ended.why)) if found.ended is not None else None
    known = tuple(tell(each) for each in found.known)
    return replace(found, held=held, cause=tell(found.cause), ended=ended, known=known, asked_by=())


def _sees_target(part: Part, target: Target) -> bool:
    match target.level:
        case TargetLevel.CLUSTER:
            return target.name in part.clusters
        case TargetLevel.RACK:
            return target.name in part.racks
        case TargetLevel.NODE:
            return target.name in part.nodes
        case TargetLevel.DEVICE:
            return target.name in part.devices


def sees_subscription(found: Subscription, part: Part) -> bool:
    """Whether it is of customers who are in sight as a whole: what names none is the operator's own."""
    return bool(found.customers) and found.customers <= part.held


T = TypeVar("T")
Cut = Callable[[Any, Part], Any]
CUTS: Mapping[type, Cut] = MappingProxyType(  # documents, and what plans were made from; of every other kind, nothing
    {Catalogue: cut_catalogue, Policy: cut_policy, Campaign: cut_campaign, Fleet: cut_fleet}
)


def cut_known(part: Part, kind: type[T], load: Callable[[Connection], T | None]) -> T | None:
    """What is in sight of what `load` reads of the whole store; None of a kind that cannot be cut."""
    whole = part.read(load) if kind in CUTS else None
    found: T | None = None if whole is None else CUTS[kind](whole, part)
    return found
