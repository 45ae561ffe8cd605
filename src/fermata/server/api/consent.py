"""Approvals and withdrawals."""

from datetime import UTC
from typing import Annotated

from fastapi import APIRouter, status
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fermata.domain.policy import ConsentEntry, Scope, ScopeLevel, Verdict
from fermata.server.context import Given
from fermata.services import consent

ORDERS_MAX = 20_000  # every node of a fleet, one by one
TEXT_MAX = 2000
NAME_MAX = 200

router = APIRouter(tags=["consent"])

Name = Annotated[str, Field(min_length=1, max_length=NAME_MAX)]
Text = Annotated[str, Field(max_length=TEXT_MAX)]


class Body(BaseModel):
    """What is sent: unknown members are refused."""

    model_config = ConfigDict(extra="forbid")


class ScopeBody(Body):
    """A part of the fleet."""

    level: ScopeLevel
    name: Name

    def to_scope(self) -> Scope:
        """As the domain has it."""
        return Scope(level=self.level, name=self.name)


class OrderBody(Body):
    """One word on one scope. `incarnation` is that of the request which was looked at; null takes the current one.

    `actor` null is that of all orders; `at` is when the word was given, null when it is recorded.
    """

    scope: ScopeBody
    reason: Text = ""
    incarnation: Annotated[int, Field(ge=1)] | None = None
    actor: Name | None = None
    at: AwareDatetime | None = None


class OrdersBody(Body):
    """All of them or none. `actor` null lets the customer's first approver speak: there is no sign-in yet."""

    actor: Name | None = None
    orders: Annotated[list[OrderBody], Field(min_length=1, max_length=ORDERS_MAX)]


class SaidLine(BaseModel):
    """What came of one order: the entry it added to the ledger, or null when its scope stood so already."""

    scope: Scope
    nodes: int
    entry: ConsentEntry | None


@router.post("/approvals", status_code=status.HTTP_201_CREATED)
def post_approvals(given: Given, body: OrdersBody) -> list[SaidLine]:
    """Approves everything the requests hold now, scope by scope."""
    return _decide(given, body, Verdict.APPROVED)


@router.post("/withdrawals", status_code=status.HTTP_201_CREATED)
def post_withdrawals(given: Given, body: OrdersBody) -> list[SaidLine]:
    """Takes approvals back, as long as no work has started there."""
    return _decide(given, body, Verdict.WITHDRAWN)


def _decide(given: Given, body: OrdersBody, verdict: Verdict) -> list[SaidLine]:
    orders = [
        consent.Order(
            scope=order.scope.to_scope(),
            verdict=verdict,
            actor=order.actor or body.actor,
            reason=order.reason,
            seen=order.incarnation,
            at=order.at.astimezone(UTC) if order.at else None,
        )
        for order in body.orders
    ]
    told = consent.decide(given.db, orders, now=given.now(), new_id=given.new_id)
    return [SaidLine(scope=said.order.scope, nodes=said.nodes, entry=said.entry) for said in told]
