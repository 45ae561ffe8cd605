"""Counter-offers: another time before the due date, accepted or refused by the operator."""

from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from tests.constraints import world as w
from tests.services.test_outcomes import _imported, covered, ledger, order  # noqa: F401 - the fixture is used here, too

from fermata.domain.ids import ApprovalId
from fermata.domain.policy import Conditions, ConsentEntry, Verdict
from fermata.services.consent import decide
from fermata.services.errors import Refusal
from fermata.services.offers import Answer, answer_offer, list_offers
from fermata.store import journal
from fermata.store.database import Database

DAY = timedelta(days=1)
TIME = Conditions(not_before=w.NOW + 5 * DAY, not_after=w.NOW + 6 * DAY)
NUMBERS = count()


def new_id(prefix: str) -> str:
    return f"{prefix}_{next(NUMBERS)}"


def offer(db: Database, scope: str = "cluster alpha") -> ConsentEntry:
    given = order(scope, Verdict.OFFERED, "after the training run", conditions=TIME)
    (said,) = decide(db, [given], now=w.NOW, new_id=new_id)
    assert said.entry is not None
    return said.entry


def answer(db: Database, of: ConsentEntry, *, accept: bool, days: int = 0) -> ConsentEntry:
    told = Answer(accept=accept, actor="operator-1", why="the team is away")
    return answer_offer(db, of.id, told, now=w.NOW + days * DAY, new_id=new_id)


def refusal_of(db: Database, of: ConsentEntry, *, accept: bool, days: int = 0) -> str:
    with pytest.raises(Refusal) as refused:
        answer(db, of, accept=accept, days=days)
    return f"{refused.value.reason}"


def test_an_open_offer_covers_nothing_and_is_listed_until_it_is_answered(db: Database) -> None:
    decide(db, [order("cluster alpha")], now=w.NOW, new_id=new_id)
    given = offer(db)
    assert covered(db) == 0
    (view,) = list_offers(db, now=w.NOW)
    assert (view.entry, view.nodes, view.over) == (given, 6, None)
    answer(db, given, accept=True)
    assert list_offers(db, now=w.NOW) == ()


def test_an_accepted_offer_is_its_givers_approval_for_that_time(db: Database) -> None:
    given = offer(db)
    accepted = answer(db, given, accept=True)
    assert accepted == replace(given, seq=2, id=accepted.id, verdict=Verdict.APPROVED, offer=given.id, at=w.NOW)
    assert (accepted.actor, accepted.conditions, covered(db)) == ("ann", TIME, 6)
    with db.read() as conn:
        line = journal.read(conn, subject="cluster:alpha")[-1]
    assert (line.event, line.actor, line.data["offer"]) == ("consent.approved", "operator-1", given.id)


def test_a_refused_offer_leaves_the_nodes_uncovered_and_says_why(db: Database) -> None:
    refused = answer(db, offer(db), accept=False)
    assert (refused.verdict, refused.actor, refused.reason) == (Verdict.REFUSED, "operator-1", "the team is away")
    assert covered(db) == 0


def test_an_offer_is_answered_once(db: Database) -> None:
    given = offer(db)
    answer(db, given, accept=False)
    assert "OFFER_OVER" in refusal_of(db, given, accept=True)
    assert len(ledger(db)) == 2


@pytest.mark.parametrize("scope", ["cluster alpha", "node alpha-n02", "supercomputer sc-alpha"])
@pytest.mark.parametrize("accept", [True, False])
def test_an_answer_never_speaks_over_a_later_word(db: Database, scope: str, accept: bool) -> None:
    given = offer(db)
    decide(db, [order(scope, Verdict.WITHDRAWN)], now=w.NOW, new_id=new_id)
    assert "another word was given since" in refusal_of(db, given, accept=accept)


def test_an_offer_whose_time_is_over_can_only_be_refused(db: Database) -> None:
    given = offer(db)
    (view,) = list_offers(db, now=w.NOW + 6 * DAY)
    assert view.over is not None
    assert "its time ended" in refusal_of(db, given, accept=True, days=6)
    assert answer(db, given, accept=False, days=6).verdict is Verdict.REFUSED


def test_an_unknown_offer_is_refused_with_the_nearest(db: Database) -> None:
    given = offer(db)
    assert "OFFER_UNKNOWN" in refusal_of(db, replace(given, id=ApprovalId("apr")), accept=True)
    approved = decide(db, [order("cluster beta")], now=w.NOW, new_id=new_id)[0].entry
    assert approved is not None
    assert "OFFER_UNKNOWN" in refusal_of(db, approved, accept=True)
