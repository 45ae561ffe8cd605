"""Freezes, and what may pass them."""

from datetime import UTC
from typing import Annotated, Literal

from fastapi import Query, Request, Response, status
from pydantic import Field

from fermata.domain.ids import CustomerId, ExemptionId, FreezeId, OrderId, UpdateId
from fermata.domain.policy import Exemption, Freeze, MaintenanceKind
from fermata.server.api.bodies import NAME_MAX, TEXT_MAX, Body, Instant, Name
from fermata.server.api.consent import ScopeBody
from fermata.server.api.cursors import CursorParam, LimitParam, page
from fermata.server.api.nouns import open_noun
from fermata.server.context import Given
from fermata.services import exemptions, freezes

UPDATES_MAX = 1_000

router = open_noun("consent")


class FreezeBody(Body):
    """No work in `scope` over `[start, end)`. `customer` null is the one that holds the scope."""

    scope: ScopeBody
    start: Instant
    end: Instant
    reason: Annotated[str, Field(min_length=1, max_length=TEXT_MAX)]
    customer: Name | None = None
    actor: Name | None = None


class ExemptionBody(Body):
    """What may pass the freeze, and why: updates, work orders, or all orders of a kind, at least one of them. Somebody
    else than `actor` has to confirm it.
    """

    updates: list[Name] = Field(default_factory=list, max_length=UPDATES_MAX)
    orders: list[Name] = Field(default_factory=list, max_length=UPDATES_MAX)
    kinds: list[Literal["repair", "decommission"]] = Field(default_factory=list, max_length=2)
    reason: Annotated[str, Field(min_length=1, max_length=TEXT_MAX)]
    actor: Name


class ConfirmBody(Body):
    """`actor` null lets the customer's first approver speak where nobody signs in."""

    actor: Name | None = None


@router.get("/freezes")
def get_freezes(
    given: Given,
    request: Request,
    response: Response,
    over: bool = False,
    cursor: CursorParam = None,
    limit: LimitParam = 1000,
) -> list[freezes.FreezeView]:
    """Freezes that are not over (or all on record), by when they begin, each with its exemptions."""
    return page(
        freezes.list_freezes(given.db, now=given.now(), over=over),
        lambda view: (view.freeze.start.isoformat(), view.freeze.id),
        like=(str, str),
        cursor=cursor,
        limit=limit,
        exchange=(request, response),
    )


@router.post("/freezes", status_code=status.HTTP_201_CREATED)
def post_freeze(given: Given, body: FreezeBody) -> Freeze:
    """Closes a scope for a time; beats approvals."""
    order = freezes.FreezeOrder(
        scope=body.scope.to_scope(),
        start=body.start.astimezone(UTC),
        end=body.end.astimezone(UTC),
        reason=body.reason,
        customer=CustomerId(body.customer) if body.customer else None,
        actor=body.actor,
    )
    return freezes.add_freeze(given.db, order, now=given.now(), new_id=given.new_id)


@router.delete("/freezes/{freeze_id}")
def delete_freeze(
    given: Given,
    freeze_id: str,
    actor: Annotated[str | None, Query(max_length=NAME_MAX)] = None,
    why: Annotated[str, Query(max_length=TEXT_MAX)] = "",
) -> freezes.EndedFreeze:
    """Opens a scope again from now on; answers with the freeze as it stood."""
    return freezes.end_freeze(given.db, FreezeId(freeze_id), now=given.now(), actor=actor, why=why)


@router.post("/freezes/{freeze_id}/exemptions", status_code=status.HTTP_201_CREATED)
def post_exemption(given: Given, freeze_id: str, body: ExemptionBody) -> Exemption:
    """Asks that updates or work orders may pass a freeze. It does nothing before a second person confirmed it."""
    order = exemptions.ExemptionOrder(
        freeze=FreezeId(freeze_id),
        updates=frozenset(UpdateId(name) for name in body.updates),
        reason=body.reason,
        actor=body.actor,
        orders=frozenset(OrderId(name) for name in body.orders),
        kinds=frozenset(MaintenanceKind(kind) for kind in body.kinds),
    )
    return exemptions.ask_exemption(given.db, order, now=given.now(), new_id=given.new_id)


@router.post("/exemptions/{exemption_id}/confirm")
def post_confirmation(given: Given, exemption_id: str, body: ConfirmBody) -> Exemption:
    """The second person's word: what it names may pass from now on."""
    return exemptions.confirm_exemption(given.db, ExemptionId(exemption_id), now=given.now(), actor=body.actor)
