"""Counter-offers: another time before the due date, and the operator's answer."""

from typing import Annotated

from fastapi import status
from pydantic import Field

from fermata.domain.ids import ApprovalId
from fermata.domain.orders import Terms
from fermata.domain.policy import ConsentEntry, Verdict
from fermata.server.api.bodies import Body, Name, Text
from fermata.server.api.consent import (
    ORDERS_MAX,
    ConditionsBody,
    ManyBody,
    OrderBody,
    OutcomeLine,
    decide_all,
)
from fermata.server.api.nouns import open_noun
from fermata.server.api.tags import IfMatch
from fermata.server.context import Given
from fermata.services import offers

router = open_noun("consent")


class OfferBody(OrderBody):
    """The time that is offered, `not_before` to `not_after`, and what else it would hold the work to."""

    conditions: ConditionsBody

    def to_terms(self) -> Terms:
        """With the conditions."""
        plain = super().to_terms()
        return Terms(only=plain.only, without=plain.without, conditions=self.conditions.to_conditions())


class OffersBody(ManyBody):
    """As `ApprovalsBody`."""

    orders: Annotated[list[OfferBody], Field(min_length=1, max_length=ORDERS_MAX)]


class AnswerBody(Body):
    """Who answers for the operator, and why."""

    actor: Name
    why: Text = ""


@router.get("/offers")
def get_offers(given: Given) -> list[offers.OfferView]:
    """Counter-offers that nobody answered, oldest first; `over` says why one cannot be accepted any more."""
    return list(offers.list_offers(given.db, now=given.now()))


@router.post("/offers", status_code=status.HTTP_201_CREATED)
def post_offers(given: Given, body: OffersBody, if_match: IfMatch = None) -> list[OutcomeLine]:
    """Offers another time: nothing there is covered until the operator answers."""
    return decide_all(given, body, body.orders, Verdict.OFFERED, if_match)


@router.post("/offers/{offer_id}/accept", status_code=status.HTTP_201_CREATED)
def post_acceptance(given: Given, offer_id: str, body: AnswerBody) -> ConsentEntry:
    """Accepts one: it is its giver's approval for that time from now on."""
    return _answer(given, offer_id, body, accept=True)


@router.post("/offers/{offer_id}/refuse", status_code=status.HTTP_201_CREATED)
def post_refusal(given: Given, offer_id: str, body: AnswerBody) -> ConsentEntry:
    """Refuses one: nothing there is covered, as before."""
    return _answer(given, offer_id, body, accept=False)


def _answer(given: Given, offer_id: str, body: AnswerBody, *, accept: bool) -> ConsentEntry:
    answer = offers.Answer(accept=accept, actor=body.actor, why=body.why)
    return offers.answer_offer(given.db, ApprovalId(offer_id), answer, now=given.now(), new_id=given.new_id)
