"""Operator verbs of freezes: close a scope for a time, or open it again before its time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.ids import CustomerId, FreezeId
from fermata.domain.policy import Exemption, Freeze, Policy, Scope, ScopeLevel
from fermata.domain.reasons import Code, reason
from fermata.domain.scopes import Scopes
from fermata.services.approvers import find_approver, judge_scope
from fermata.services.errors import Refusal, nearest, refusing_unknown
from fermata.services.fleets import read_fleet
from fermata.store import consent as consent_store
from fermata.store import inventory, journal
from fermata.store.database import Database, NotStored

NewId = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeOrder:
    """A freeze to be added over `[start, end)`, UTC. `customer` None is the one that holds the scope.

    `actor` None lets the customer's first approver speak: for a machine of one's own, where nobody signs in.
    """

    scope: Scope
    start: datetime
    end: datetime
    reason: str
    customer: CustomerId | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedFreeze:
    """A freeze as it stood, and when (UTC) its scope was opened again."""

    freeze: Freeze
    ended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeView:
    """A freeze, and what may pass it once a second person says so, or may already."""

    freeze: Freeze
    exemptions: tuple[Exemption, ...]


def list_freezes(db: Database, *, now: datetime, over: bool = False) -> tuple[FreezeView, ...]:
    """Those that are not over, or with `over` all on record, by when they begin."""
    with refusing_unknown(), db.read() as conn:
        policy = inventory.load_policy(conn)
    lasting = sorted((f for f in policy.freezes if over or f.end > now), key=lambda freeze: (freeze.start, freeze.id))
    return tuple(
        FreezeView(freeze=freeze, exemptions=tuple(e for e in policy.exemptions if e.freeze == freeze.id))
        for freeze in lasting
    )


def read_policy(db: Database) -> Policy | None:
    """The policy with all its freezes and exemptions as of now; None before one was imported."""
    with db.read() as conn:
        try:
            return inventory.load_policy(conn)
        except NotStored:
            return None


def add_freeze(db: Database, order: FreezeOrder, *, now: datetime, new_id: NewId) -> Freeze:
    """Closes a scope. Raises Refusal without a reason, for an unknown scope, one that another customer holds too, or an
    empty time.
    """
    if not order.reason.strip():
        raise Refusal(reason(Code.REASON_MISSING, what=f"A freeze of {order.scope}"))
    with refusing_unknown(), db.begin() as conn:
        policy = inventory.load_policy(conn)
        customer = _judge(Scopes(fleet=read_fleet(conn)), order)
        actor = _approver(policy, customer, order.actor)
        freeze = Freeze(
            id=FreezeId(new_id("freeze")),
            customer=customer,
            scope=order.scope,
            start=order.start,
            end=order.end,
            reason=order.reason,
        )
        consent_store.add_freeze(conn, freeze)
        journal.append(conn, _entry("freeze.added", freeze, now=now, actor=actor, why=order.reason))
        return freeze


def end_freeze(
    db: Database, freeze_id: FreezeId, *, now: datetime, actor: str | None = None, why: str = ""
) -> EndedFreeze:
    """Opens a scope again from now on. Raises Refusal when no freeze of that id lasts on."""
    with refusing_unknown(), db.begin() as conn:
        policy = inventory.load_policy(conn)
        lasting = {freeze.id: freeze for freeze in policy.freezes if freeze.end > now}
        if freeze_id not in lasting:
            raise Refusal(reason(Code.FREEZE_UNKNOWN, freeze=freeze_id, nearest=nearest(freeze_id, lasting)))
        freeze = lasting[freeze_id]
        spoken = _approver(policy, freeze.customer, actor)
        consent_store.end_freeze(conn, freeze_id, now)
        journal.append(conn, _entry("freeze.ended", freeze, now=now, actor=spoken, why=why))
        return EndedFreeze(freeze=freeze, ended_at=now)


def _judge(scopes: Scopes, order: FreezeOrder) -> CustomerId:
    if order.scope.level is ScopeLevel.GROUP:
        raise Refusal(reason(Code.FREEZE_OF_GROUP, device=order.scope.name))
    wrong = judge_scope(scopes, order.scope)
    if wrong is not None:
        raise Refusal(wrong)
    customers = scopes.customers(order.scope)
    customer = order.customer or customers[0]
    if customers != (customer,):
        raise Refusal(reason(Code.FREEZE_NOT_YOURS, scope=order.scope, customer=customer))
    if order.end <= order.start:
        raise Refusal(reason(Code.FREEZE_EMPTY, start=order.start, end=order.end))
    return customer


def _approver(policy: Policy, customer: CustomerId, actor: str | None) -> str:
    found = find_approver(policy, [customer], actor)
    if isinstance(found, str):
        return found
    raise Refusal(found)


def _entry(event: str, freeze: Freeze, *, now: datetime, actor: str, why: str) -> journal.Entry:
    return journal.Entry(
        at=now,
        actor=actor,
        event=event,
        subject=f"freeze:{freeze.id}",
        why=why,
        data={
            "customer": freeze.customer,
            "scope": str(freeze.scope),
            "start": freeze.start.isoformat(),
            "end": freeze.end.isoformat(),
        },
    )
