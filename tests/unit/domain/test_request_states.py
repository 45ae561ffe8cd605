"""The machine of a request: drawn in the docs, without traps, and its state follows from what is on record."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermata.domain.ids import CustomerId
from fermata.domain.policy import Notice, Policy
from fermata.domain.reasons import Code
from fermata.domain.request_standing import NextStep, stand
from fermata.domain.request_states import (
    ASKED,
    ENDED,
    MOVES,
    Evidence,
    IllegalRequestMove,
    RequestEvent,
    RequestState,
    derive,
    diagram_page,
    find_path,
    move,
)

S = RequestState
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PAGE = Path(__file__).parents[3] / "docs" / "request-machine.md"
NOBODY_YET = Evidence(is_open=True, units=10, due_at=NOW + DAY, waits_for=(CustomerId("lumen"),))
POLICY = Policy(customers={}, notice=Notice(), freezes=())


def test_page_in_the_docs_is_what_the_table_says() -> None:
    assert PAGE.read_text() == diagram_page(), "write it anew: see the last line of docs/request-machine.md"


def test_moves_outside_the_table_are_refused_with_a_code() -> None:
    for state, event in product(RequestState, RequestEvent):
        if (state, event) in MOVES:
            assert move("req_1", state, event) is MOVES[state, event]
        else:
            with pytest.raises(IllegalRequestMove) as refused:
                move("req_1", state, event)
            assert refused.value.reason.code is Code.REQUEST_MOVE_ILLEGAL
            assert refused.value.reason.sentence.startswith("req_1 is ")


def test_no_state_is_a_trap_or_out_of_reach() -> None:
    for state in RequestState:
        assert find_path(S.PENDING, state) or state is S.PENDING
        assert any(_follow(state, find_path(state, end)) is end for end in ENDED), f"{state} never ends"


@pytest.mark.parametrize(("before", "after"), list(product(RequestState, RequestState)))
def test_a_path_is_made_of_moves_of_the_table(before: RequestState, after: RequestState) -> None:
    assert _follow(before, find_path(before, after)) is after


def _follow(state: RequestState, events: tuple[RequestEvent, ...]) -> RequestState:
    for event in events:
        state = move("r", state, event)
    return state


@pytest.mark.parametrize("end", sorted(ENDED))
def test_what_is_over_is_only_reopened(end: RequestState) -> None:
    assert [event for (state, event) in MOVES if state is end] == [RequestEvent.REOPEN]


def test_nothing_is_scheduled_or_begun_straight_from_waiting_for_a_word() -> None:
    begins = (RequestEvent.SCHEDULE, RequestEvent.BEGIN)
    found = {state for state, event in MOVES if event in begins}
    assert found == {S.PARTLY_APPROVED, S.APPROVED, S.SCHEDULED, S.OVERDUE, S.IN_PROGRESS}
    assert (S.PARTLY_APPROVED, RequestEvent.SCHEDULE) not in MOVES


def test_work_under_way_is_neither_cancelled_nor_superseded() -> None:
    for event in (RequestEvent.CANCEL, RequestEvent.SUPERSEDE, RequestEvent.TAKE_BACK, RequestEvent.DECLINE):
        assert (S.IN_PROGRESS, event) not in MOVES


CASES = {
    "nobody said or was told anything": ({}, S.PENDING),
    "told": ({"notified_at": NOW - DAY}, S.NOTIFIED),
    "a part approved": ({"approved": 4, "notified_at": NOW}, S.PARTLY_APPROVED),
    "all approved": ({"approved": 10, "due_at": None}, S.APPROVED),
    "all approved, a part planned": ({"approved": 10, "due_at": None, "scheduled": 9}, S.APPROVED),
    "all planned": ({"approved": 10, "due_at": None, "scheduled": 10}, S.SCHEDULED),
    "a part planned, the rest not approved": ({"approved": 6, "scheduled": 6}, S.PARTLY_APPROVED),
    "begun": ({"approved": 6, "in_work": 1}, S.IN_PROGRESS),
    "declined until tomorrow": ({"declined_until": NOW + DAY}, S.DECLINED),
    "declined, and that time is over": ({"declined_until": NOW}, S.PENDING),
    "due and nothing approved": ({"due_at": NOW}, S.OVERDUE),
    "due and a part approved": ({"approved": 9, "due_at": NOW}, S.OVERDUE),
    "due, though work goes on beside it": ({"approved": 9, "in_work": 2, "due_at": NOW}, S.OVERDUE),
    "due, whatever was declined": ({"due_at": NOW, "declined_until": NOW + DAY}, S.OVERDUE),
    "to proceed once due": ({"proceeding": 10}, S.PENDING),
    "proceeds since it is due": ({"proceeding": 10, "due_at": NOW}, S.OVERDUE),
    "proceeds and is planned": ({"proceeding": 10, "scheduled": 10, "due_at": NOW}, S.SCHEDULED),
    "proceeds and has begun": ({"proceeding": 10, "in_work": 1, "due_at": NOW}, S.IN_PROGRESS),
    "nothing left, all done": ({"is_open": False, "units": 0}, S.COMPLETED),
    "nothing left, cancelled": ({"is_open": False, "units": 0, "ended": S.CANCELLED}, S.CANCELLED),
    "nothing left to ask for, but not back yet": ({"is_open": False, "units": 0, "in_work": 1}, S.IN_PROGRESS),
    "its target is gone": ({"units": 0, "due_at": None}, S.PENDING),
}


@pytest.mark.parametrize("case", CASES)
def test_the_state_follows_from_what_is_on_record(case: str) -> None:
    changes, expected = CASES[case]
    assert derive(replace(NOBODY_YET, **changes), NOW) is expected  # type: ignore[arg-type]


def test_every_state_is_shown_by_some_evidence() -> None:
    shown = {derive(replace(NOBODY_YET, **changes), NOW) for changes, _ in CASES.values()}  # type: ignore[arg-type]
    ended = Evidence(is_open=False, ended=S.SUPERSEDED)
    assert shown | {derive(ended, NOW)} == set(RequestState)


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    units = draw(st.integers(0, 4))
    approved = draw(st.integers(0, units))
    proceeding = draw(st.integers(0, units - approved))
    times = st.none() | st.sampled_from([NOW - DAY, NOW, NOW + DAY])
    return Evidence(
        is_open=draw(st.booleans()),
        units=units,
        approved=approved,
        proceeding=proceeding,
        scheduled=draw(st.integers(0, approved + proceeding)),
        in_work=draw(st.integers(0, 1)),
        due_at=draw(times) if approved < units else None,
        notified_at=draw(times),
        declined_until=draw(times),
        ended=draw(st.sampled_from(sorted(ENDED))),
    )


@given(evidences())
def test_nothing_counts_as_approved_or_scheduled_while_a_word_is_missing(evidence: Evidence) -> None:
    state = derive(evidence, NOW)
    if evidence.is_open and evidence.lacking:
        assert state in ASKED | {S.IN_PROGRESS}
        assert state is S.OVERDUE or not evidence.is_due(NOW)
    if state is S.APPROVED:
        assert evidence.approved == evidence.units > 0


@given(evidences(), evidences())
def test_whatever_happens_between_two_looks_has_a_path(before: Evidence, after: Evidence) -> None:
    start, end = derive(before, NOW), derive(after, NOW)
    assert _follow(start, find_path(start, end)) is end


@given(evidences())
def test_every_state_says_why_and_what_is_needed(evidence: Evidence) -> None:
    standing = stand(evidence, POLICY, NOW)
    assert standing.why.sentence
    if standing.state in ENDED:
        assert standing.needed is NextStep.NOTHING
    if standing.state is S.OVERDUE:
        assert standing.needed is (NextStep.ESCALATE if evidence.lacking else NextStep.PLAN)


def test_who_has_to_act_is_named() -> None:
    asked = stand(replace(NOBODY_YET, due_at=NOW), POLICY, NOW)
    assert (asked.needed, asked.who) == (NextStep.ESCALATE, ("lumen",))
    assert "escalate" in asked.why.sentence
    goes = stand(replace(NOBODY_YET, due_at=NOW, proceeding=10), POLICY, NOW)
    assert (goes.needed, goes.who, goes.why.code) == (NextStep.PLAN, ("conductor",), Code.REQUEST_PROCEEDS)
