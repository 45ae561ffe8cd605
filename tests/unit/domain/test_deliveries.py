"""What a try came to decides when the next one is; and what follows a handshake."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermata.domain.deliveries import (
    MOVES,
    SCHEDULE,
    DeliveryState,
    Gone,
    NotNow,
    Outcome,
    Patience,
    Rejected,
    Taken,
    decide_next,
)
from fermata.domain.subscriptions import (
    ByHand,
    Consented,
    Greeting,
    NoConsent,
    SubscriptionState,
    decide_standing,
)

NOW = datetime(2026, 1, 5, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
BUSY = NotNow(why="it answered 500")


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(1, 10), (2, 30), (3, 60), (4, 300), (5, 600), (6, 1800), (7, 3600), (8, 3600), (20, 3600)]
)
def test_tries_follow_the_schedule_and_then_every_hour(attempt: int, seconds: int) -> None:
    after = decide_next(BUSY, attempt=attempt, first_at=NOW, now=NOW, patience=Patience())
    assert (after.state, after.at) == (DeliveryState.PENDING, NOW + seconds * SECOND)


@pytest.mark.parametrize(
    ("outcome", "state", "why"),
    [
        (Taken(), DeliveryState.DELIVERED, ""),
        (Rejected(why="it answered 400"), DeliveryState.DEAD, "it answered 400"),
        (Gone(why="it answered 410"), DeliveryState.DEAD, "it answered 410"),
    ],
)
def test_what_is_said_for_good_is_the_last_try(outcome: Outcome, state: DeliveryState, why: str) -> None:
    after = decide_next(outcome, attempt=1, first_at=NOW, now=NOW)
    assert (after.state, after.at, after.why) == (state, None, why)


def test_the_other_side_may_ask_for_more_time_but_not_for_less() -> None:
    def at(after: timedelta) -> datetime | None:
        return decide_next(NotNow(why="it answered 429", after=after), attempt=1, first_at=NOW, now=NOW).at

    assert (at(5 * HOUR), at(SECOND)) == (NOW + 5 * HOUR, NOW + 10 * SECOND)


@pytest.mark.parametrize(
    ("attempt", "tried_for", "why"),
    [
        (30, HOUR, "tried 30 time(s)"),
        (9, 24 * HOUR, "tried for 24 h"),
        (2, 23 * HOUR + 59 * 60 * SECOND + 31 * SECOND, "24 h"),
    ],
)
def test_patience_ends_by_number_and_by_time(attempt: int, tried_for: timedelta, why: str) -> None:
    after = decide_next(BUSY, attempt=attempt, first_at=NOW - tried_for, now=NOW)
    assert after.state is DeliveryState.DEAD
    assert why in after.why
    assert after.why.startswith("it answered 500; ")


@given(
    attempts_max=st.integers(1, 30),
    minutes=st.integers(1, 1440),
    asked=st.lists(st.integers(0, 7200), max_size=40),
)
def test_every_line_of_refusals_ends_within_patience(attempts_max: int, minutes: int, asked: list[int]) -> None:
    patience = Patience(attempts_max=attempts_max, lives=timedelta(minutes=minutes))
    at, attempt = NOW, 1
    while True:
        after = timedelta(seconds=asked[attempt % len(asked)]) if asked else None
        found = decide_next(NotNow(why="busy", after=after), attempt=attempt, first_at=NOW, now=at, patience=patience)
        if found.state is DeliveryState.DEAD:
            break
        assert found.at is not None
        assert found.at - at >= SCHEDULE[min(attempt, len(SCHEDULE)) - 1]
        assert found.at - NOW <= patience.lives
        at, attempt = found.at, attempt + 1
    assert attempt <= attempts_max


def test_only_what_was_dropped_is_over_for_ever() -> None:
    assert [state for state in DeliveryState if not MOVES[state]] == [DeliveryState.DROPPED]
    assert all(DeliveryState.PENDING in MOVES[state] for state in (DeliveryState.DEAD, DeliveryState.DELIVERED))


@pytest.mark.parametrize(
    ("greeting", "tried", "has_address", "state", "after"),
    [
        (Consented(rate=7), 1, False, SubscriptionState.OPEN, None),
        (ByHand(), 1, True, SubscriptionState.AWAITING_MANUAL, timedelta(minutes=10)),
        (ByHand(), 1, False, SubscriptionState.FAILED, None),
        (NoConsent(why="no"), 1, True, SubscriptionState.FAILED, None),
        (NoConsent(why="no", again=True), 1, True, SubscriptionState.UNCONFIRMED, 10 * SECOND),
        (NoConsent(why="no", again=True), 4, True, SubscriptionState.UNCONFIRMED, HOUR / 2),
        (NoConsent(why="no", again=True), 5, True, SubscriptionState.FAILED, None),
    ],
)
def test_consent_is_asked_for_a_few_times_and_never_assumed(
    greeting: Greeting, tried: int, has_address: bool, state: SubscriptionState, after: timedelta | None
) -> None:
    found = decide_standing(greeting, tried=tried, now=NOW, has_address=has_address)
    assert found.state is state
    assert found.next_greeting_at == (None if after is None else NOW + after)
    assert found.rate == (7 if state is SubscriptionState.OPEN else None)
