"""Approvals, withdrawals and declines: orders, and what came of each."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import status
from pydantic import BaseModel, Field

from fermata.domain.ids import UpdateId
from fermata.domain.orders import NO_TERMS, Terms
from fermata.domain.policy import AfterDue, Conditions, ConsentEntry, Scope, ScopeLevel, Verdict
from fermata.domain.reasons import Reason
from fermata.server.api.bodies import Body, Instant, Name, Text
from fermata.server.api.nouns import open_noun
from fermata.server.api.tags import IfMatch, seen_incarnation
from fermata.server.context import Given
from fermata.services import consent

ORDERS_MAX = 20_000  # every node of a fleet, one by one
NODES_MAX = 1_000_000
ITEMS_MAX = 1_000

router = open_noun("consent")

Items = Annotated[list[Name], Field(max_length=ITEMS_MAX)]


class ScopeBody(Body):
    """A part of the fleet. A `group` is all nodes behind the shared device of that name."""

    level: Annotated[ScopeLevel, Field(strict=False)]
    name: Name

    def to_scope(self) -> Scope:
        """As the domain has it."""
        return Scope(level=self.level, name=self.name)


class ConditionsBody(Body):
    """What an approval holds itself to; see `Conditions`. Without any member they are refused."""

    not_before: Instant | None = None
    not_after: Instant | None = None
    nodes_per_day: Annotated[int, Field(ge=1, le=NODES_MAX)] | None = None
    with_updates: Items = Field(default_factory=list)
    with_scope: ScopeBody | None = None

    def to_conditions(self) -> Conditions:
        """As the domain has them."""
        return Conditions(
            not_before=_utc(self.not_before),
            not_after=_utc(self.not_after),
            nodes_per_day=self.nodes_per_day,
            with_updates=frozenset(UpdateId(name) for name in self.with_updates),
            with_scope=self.with_scope.to_scope() if self.with_scope else None,
        )


class OrderBody(Body):
    """One word on one scope. `incarnation` is that of the request which was looked at; null takes the current one.

    `actor` null is that of all orders; `at` is when the word was given, null when it is recorded. `only` and `without`
    name items of the request; null `only` is all of them.
    """

    scope: ScopeBody
    reason: Text = ""
    incarnation: Annotated[int, Field(ge=1)] | None = None
    actor: Name | None = None
    at: Instant | None = None
    only: Items | None = None
    without: Items = Field(default_factory=list)

    def to_terms(self) -> Terms:
        """As the domain has them; further members come with each verb."""
        if self.only is None and not self.without:
            return NO_TERMS
        only = frozenset(UpdateId(name) for name in self.only) if self.only is not None else None
        return Terms(only=only, without=frozenset(UpdateId(name) for name in self.without))


class ApprovalBody(OrderBody):
    """`flight`: a flight-ready update that is approved with the rest; one that `only` names is approved by itself."""

    flight: Name | None = None
    conditions: ConditionsBody | None = None

    def to_terms(self) -> Terms:
        """With flight and conditions."""
        plain = super().to_terms()
        if self.flight is None and self.conditions is None:
            return plain
        return Terms(
            only=plain.only,
            without=plain.without,
            flight=UpdateId(self.flight) if self.flight is not None else None,
            conditions=self.conditions.to_conditions() if self.conditions is not None else None,
        )


class DeclineBody(OrderBody):
    """`then`: what follows at `until`; it has to be said of one that is later than the due date."""

    until: Instant
    then: Annotated[AfterDue | None, Field(strict=False)] = None

    def to_terms(self) -> Terms:
        """With the end."""
        plain = super().to_terms()
        return Terms(only=plain.only, without=plain.without, until=_utc(self.until), then=self.then)


class ManyBody(Body):
    """What holds for all orders of a call. `since`: `seq` of the last word of the ledger that was seen; when another
    was said since of one of these requests, nothing is recorded. Null does not ask.
    """

    actor: Name | None = None
    atomic: bool = False
    since: Annotated[int, Field(ge=0)] | None = None


class ApprovalsBody(ManyBody):
    """Each order on its own, or with `atomic` all of them or none. `actor` null lets the customer's first approver
    speak where nobody signs in.
    """

    orders: Annotated[list[ApprovalBody], Field(min_length=1, max_length=ORDERS_MAX)]


class WithdrawalsBody(ManyBody):
    """As `ApprovalsBody`."""

    orders: Annotated[list[OrderBody], Field(min_length=1, max_length=ORDERS_MAX)]


class DeclinesBody(ManyBody):
    """As `ApprovalsBody`."""

    orders: Annotated[list[DeclineBody], Field(min_length=1, max_length=ORDERS_MAX)]


class OutcomeLine(BaseModel):
    """What came of one order: `entry` is what it added to the ledger, null when its scope stood so already or when it
    was `refused`, with the reason.
    """

    state: consent.OutcomeState
    scope: Scope
    nodes: int
    entry: ConsentEntry | None
    refused: Reason | None

    @staticmethod
    def of(outcome: consent.Outcome) -> "OutcomeLine":
        """The outcome as it is answered: values of our own need no second look."""
        return OutcomeLine.model_construct(
            state=outcome.state,
            scope=outcome.order.scope,
            nodes=outcome.nodes,
            entry=outcome.entry,
            refused=outcome.refused,
        )


@router.post("/approvals", status_code=status.HTTP_201_CREATED)
def post_approvals(given: Given, body: ApprovalsBody, if_match: IfMatch = None) -> list[OutcomeLine]:
    """Approves what the requests hold now, scope by scope. When every order is refused, the answer is a problem."""
    return decide_all(given, body, body.orders, Verdict.APPROVED, if_match)


@router.post("/withdrawals", status_code=status.HTTP_201_CREATED)
def post_withdrawals(given: Given, body: WithdrawalsBody, if_match: IfMatch = None) -> list[OutcomeLine]:
    """Takes words of consent back, as long as no work has started there."""
    return decide_all(given, body, body.orders, Verdict.WITHDRAWN, if_match)


@router.post("/declines", status_code=status.HTTP_201_CREATED)
def post_declines(given: Given, body: DeclinesBody, if_match: IfMatch = None) -> list[OutcomeLine]:
    """Says no until a time, with the reason."""
    return decide_all(given, body, body.orders, Verdict.DECLINED, if_match)


def decide_all(
    given: Given, body: ManyBody, orders: Sequence[OrderBody], verdict: Verdict, if_match: str | None
) -> list[OutcomeLine]:
    """Carries the orders out, as the body wants it. A tag of a request stands for its incarnation in every order."""
    seen = seen_incarnation(if_match)
    asked = [
        consent.Order(
            scope=order.scope.to_scope(),
            verdict=verdict,
            actor=order.actor or body.actor,
            reason=order.reason,
            seen=order.incarnation or seen,
            at=_utc(order.at),
            terms=order.to_terms(),
        )
        for order in orders
    ]
    if body.atomic:
        said = consent.decide(given.db, asked, now=given.now(), new_id=given.new_id, since=body.since)
        told = tuple(consent.Outcome(order=s.order, nodes=s.nodes, entry=s.entry) for s in said)
    else:
        told = consent.decide_each(given.db, asked, now=given.now(), new_id=given.new_id, since=body.since)
    return [OutcomeLine.of(outcome) for outcome in told]


def _utc(at: datetime | None) -> datetime | None:
    return at.astimezone(UTC) if at is not None else None
