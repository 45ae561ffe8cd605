"""When a window opens, waits for teams, or stays shut for the day."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermata.domain.outlooks import Answer, Outlook, judge_outlook

SHARES = st.floats(0, 1)


@pytest.mark.parametrize(
    ("planned", "now", "with_teams", "answer"),
    [
        (0.95, 0.95, 0.95, Answer.OPEN),
        (0.95, 0.80, 0.80, Answer.OPEN),
        (0.95, 0.79, 0.79, Answer.STOP),
        (0.95, 0.50, 0.90, Answer.WAIT),
        (0.60, 0.60, 0.60, Answer.OPEN),  # the plan was published with no more than that
        (0.60, 0.59, 0.59, Answer.STOP),
        (0.60, 0.10, 0.60, Answer.WAIT),
    ],
)
def test_a_window_is_asked_for_what_was_wanted_or_for_what_the_plan_had(
    planned: float, now: float, with_teams: float, answer: Answer
) -> None:
    assert judge_outlook(Outlook(planned=planned, now=now, with_teams=with_teams), 0.8) is answer


@given(SHARES, SHARES, SHARES)
def test_nobody_asked_for_anything_is_always_enough(planned: float, now: float, wanted: float) -> None:
    assert judge_outlook(Outlook(planned=planned, now=now, with_teams=now), 0.0) is Answer.OPEN
    assert judge_outlook(Outlook(planned=planned, now=max(planned, now), with_teams=now), wanted) is Answer.OPEN
