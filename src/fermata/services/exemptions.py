"""Operator verbs of exemptions: one person asks that updates or work orders may pass a freeze, another confirms it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from fermata.domain.ids import ExemptionId, FreezeId, OrderId, UpdateId
from fermata.domain.policy import Exemption, Freeze, MaintenanceKind, Policy, Said
from fermata.domain.reasons import Code, Reason, reason
from fermata.services.approvers import find_approver
from fermata.services.errors import Refusal, nearest, refuse_all, refusing_unknown
from fermata.store import consent as consent_store
from fermata.store import inventory, journal, work_orders
from fermata.store.database import Database

NewId = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExemptionOrder:
    """What is asked for: `updates`, work `orders` and all orders of some `kinds`, which may pass `freeze`, and why.
    `actor` asks.
    """

    freeze: FreezeId
    updates: frozenset[UpdateId]
    reason: str
    actor: str
    orders: frozenset[OrderId] = frozenset()
    kinds: frozenset[MaintenanceKind] = frozenset()


def ask_exemption(db: Database, order: ExemptionOrder, *, now: datetime, new_id: NewId) -> Exemption:
    """Asks that updates or work orders may pass a freeze that lasts on. It does nothing before somebody else confirmed
    it. A kind lets orders pass that are opened later, too, each by its own criticality.

    Raises Refusal without a reason, when nothing is named, and with every update and order that is unknown, or over, or
    whose criticality the customer's policy does not exempt.
    """
    if not order.reason.strip():
        raise Refusal(reason(Code.REASON_MISSING, what=f"An exemption from {order.freeze}"))
    if not (order.updates or order.orders or order.kinds) or MaintenanceKind.DEPLOYMENT in order.kinds:
        raise Refusal(reason(Code.EXEMPTION_NAMES_NOTHING, freeze=order.freeze))
    with refusing_unknown(), db.begin() as conn:
        policy, catalogue = inventory.load_policy(conn), inventory.load_catalogue(conn)
        freeze = _find_freeze(policy, order.freeze, now)
        customer = policy.customers.get(freeze.customer)
        exempt = customer.except_criticality if customer else frozenset()
        known = catalogue.updates
        refuse_all(
            reason(Code.NO_SUCH_UPDATE, update=name, nearest=nearest(name, known))
            for name in sorted(order.updates)
            if name not in known
        )
        opened = work_orders.load_open(conn) if order.orders else {}
        refuse_all(
            reason(Code.ORDER_UNKNOWN, order=name, nearest=nearest(name, opened))
            for name in sorted(order.orders)
            if name not in opened
        )
        told: dict[str, str] = {name: known[name].criticality.value for name in sorted(order.updates)}
        told |= {name: opened[name].criticality.value for name in sorted(order.orders)}
        if not exempt:
            told |= {f"every work order of kind {kind}": "of no criticality that is exempt" for kind in order.kinds}
        refuse_all(
            reason(
                Code.FREEZE_NOT_EXEMPT,
                update=name,
                criticality=criticality,
                customer=freeze.customer,
                exempt=", ".join(sorted(exempt)) or "nothing",
            )
            for name, criticality in told.items()
            if criticality not in exempt
        )
        exemption = Exemption(
            id=ExemptionId(new_id("exm")),
            freeze=freeze.id,
            updates=order.updates,
            reason=order.reason,
            asked=Said(actor=order.actor, at=now),
            orders=order.orders,
            kinds=order.kinds,
        )
        consent_store.add_exemption(conn, exemption)
        journal.append(conn, _entry("exemption.asked", exemption, now=now, actor=order.actor))
        return exemption


def confirm_exemption(db: Database, exemption_id: ExemptionId, *, now: datetime, actor: str | None = None) -> Exemption:
    """Lets what it names pass from now on. `actor` decides for the freeze's customer (None: its first approver) and is
    not who asked. Raises Refusal otherwise, and for one that is unknown, confirmed already, or whose freeze is over.
    """
    with refusing_unknown(), db.begin() as conn:
        policy = inventory.load_policy(conn)
        found = {exemption.id: exemption for exemption in policy.exemptions}
        exemption = found.get(exemption_id)
        if exemption is None:
            raise Refusal(reason(Code.EXEMPTION_UNKNOWN, exemption=exemption_id, nearest=nearest(exemption_id, found)))
        if exemption.confirmed is not None:
            raise Refusal(_stands_already(exemption.id, exemption.confirmed))
        freeze = _find_freeze(policy, exemption.freeze, now)
        spoken = find_approver(policy, [freeze.customer], actor)
        if not isinstance(spoken, str):
            raise Refusal(spoken)
        if spoken == exemption.asked.actor:
            raise Refusal(reason(Code.SAME_PERSON, actor=spoken, exemption=exemption.id, customer=freeze.customer))
        said = Said(actor=spoken, at=now)
        confirmed = replace(exemption, confirmed=said)
        was_first = consent_store.confirm_exemption(conn, exemption.id, said)
        assert was_first, "it was read as not confirmed in this transaction"
        journal.append(conn, _entry("exemption.confirmed", confirmed, now=now, actor=spoken))
        return confirmed


def _find_freeze(policy: Policy, freeze_id: FreezeId, now: datetime) -> Freeze:
    lasting = {freeze.id: freeze for freeze in policy.freezes if freeze.end > now}
    if freeze_id not in lasting:
        raise Refusal(reason(Code.FREEZE_UNKNOWN, freeze=freeze_id, nearest=nearest(freeze_id, lasting)))
    return lasting[freeze_id]


def _stands_already(exemption_id: ExemptionId, said: Said) -> Reason:
    return reason(Code.EXEMPTION_CONFIRMED, exemption=exemption_id, actor=said.actor, at=f"{said.at:%Y-%m-%d %H:%MZ}")


def _entry(event: str, exemption: Exemption, *, now: datetime, actor: str) -> journal.Entry:
    return journal.Entry(
        at=now,
        actor=actor,
        event=event,
        subject=f"freeze:{exemption.freeze}",
        why=exemption.reason,
        data={
            "exemption": exemption.id,
            "updates": sorted(exemption.updates),
            "orders": sorted(exemption.orders),
            "kinds": sorted(exemption.kinds),
        },
    )
