"""Operator verbs of counter-offers: list those that are open, accept one, refuse one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from fermata.domain.ids import ApprovalId
from fermata.domain.ledger import nodes_of
from fermata.domain.orders import first_due
from fermata.domain.policy import ConsentEntry, Verdict
from fermata.domain.reasons import Code, Reason, reason
from fermata.services.consent import store_entries
from fermata.services.consent_desk import Desk, find_open_offers, open_desk
from fermata.services.errors import Refusal, nearest, refusing_unknown
from fermata.store.database import Database

NewId = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the operator says to a counter-offer: `accept`, or refuse it."""

    accept: bool
    actor: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferView:
    """A counter-offer that waits for an answer, and why it can no longer be accepted, if it cannot."""

    entry: ConsentEntry
    nodes: int
    over: Reason | None = None


def list_offers(db: Database, *, now: datetime) -> tuple[OfferView, ...]:
    """Those that nobody answered, oldest first."""
    with refusing_unknown(), db.read() as conn:
        desk = open_desk(conn, now)
        return tuple(
            OfferView(entry=entry, nodes=len(tuple(nodes_of(desk.scopes.fleet, entry))), over=_judge_over(desk, entry))
            for entry in find_open_offers(desk.ledger).values()
        )


def answer_offer(db: Database, offer: ApprovalId, answer: Answer, *, now: datetime, new_id: NewId) -> ConsentEntry:
    """Accepts a counter-offer, which makes it its giver's approval for that time, or refuses it.

    Raises Refusal for one that is unknown, was answered or overtaken, or, to be accepted, whose time is over.
    """
    with refusing_unknown(), db.begin() as conn:
        desk = open_desk(conn, now)
        given = {entry.id: entry for entry in desk.ledger if entry.verdict is Verdict.OFFERED}
        if offer not in given:
            raise Refusal(reason(Code.OFFER_UNKNOWN, offer=offer, nearest=nearest(offer, given)))
        entry = given[offer]
        over = _judge_over(desk, entry, refusing=not answer.accept)
        if over is not None:
            raise Refusal(over)
        said = replace(
            entry,
            seq=desk.seq + 1,
            id=ApprovalId(new_id("apr")),
            verdict=Verdict.APPROVED if answer.accept else Verdict.REFUSED,
            actor=entry.actor
            if answer.accept
            else answer.actor,  # the consent is the customer's, whoever accepts its time
            at=now,
            reason=entry.reason if answer.accept else answer.why,
            offer=offer,
        )
        (seq,) = store_entries(conn, [said], now, answered_by=answer.actor)
        return replace(said, seq=seq)


def _judge_over(desk: Desk, entry: ConsentEntry, *, refusing: bool = False) -> Reason | None:
    """Why a counter-offer can no longer be answered."""
    answered = next((e for e in desk.ledger if e.offer == entry.id), None)
    if answered is not None:
        word = "accepted" if answered.verdict is Verdict.APPROVED else "refused"
        return _over(entry, f"it was {word} at {answered.at:%Y-%m-%d %H:%MZ}")
    newest = [desk.decisions.entry(node) for node in nodes_of(desk.scopes.fleet, entry)]
    if not newest or any(word is not entry for word in newest):  # an answer would speak over what was said since
        return _over(entry, "another word was given since on its scope, or none of its nodes is left")
    if refusing:
        return None
    end = entry.conditions.not_after
    assert end is not None, "an offer has an end"
    if end <= desk.now:
        return _over(entry, f"its time ended at {end:%Y-%m-%d %H:%MZ}")
    request = desk.requests.get(entry.request)
    due = first_due(entry.updates, desk.about(request)) if request is not None else None
    if due is not None and end > due:
        return _over(entry, f"it ends after the due date, which is {due:%Y-%m-%d %H:%MZ} by now")
    return None


def _over(entry: ConsentEntry, why: str) -> Reason:
    return reason(Code.OFFER_OVER, offer=entry.id, why=why)
