"""How the board says numbers, lengths and days."""

from datetime import date, timedelta

import pytest

from fermata.server.web import words
from fermata.server.web.render import mark_commands
from fermata.services.board_views import Head, Pace, Slip
from fermata.services.words import span_words


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [
        (0, 0, "–"),
        (0, 10, "0 %"),
        (10, 10, "100 %"),
        (17616, 18087, "97.4 %"),
        (18086, 18087, "99.9 %"),
        (1, 18087, "0.1 %"),
    ],
)
def test_share_never_claims_all_or_none_of_what_is_neither(part: int, whole: int, said: str) -> None:
    assert words.percent(part, whole) == said


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (0, "0 min"),
        (22, "22 min"),
        (-22, "22 min"),
        (60, "1 h 00"),
        (185, "3 h 05"),
        (1440, "1 d 0 h"),
        (3119, "2 d 3 h"),
    ],
)
def test_lengths_are_said_in_two_units_at_most(minutes: int, said: str) -> None:
    assert span_words(timedelta(minutes=minutes)) == said


@pytest.mark.parametrize(
    ("pace", "minutes", "said"),
    [
        (Pace.AHEAD, -22, "ahead by 22 min"),
        (Pace.BEHIND, 100, "behind by 1 h 40"),
        (Pace.ON_TIME, 3, "on time"),
        (Pace.NONE, 0, ""),
    ],
)
def test_pace_in_words(pace: Pace, minutes: int, said: str) -> None:
    assert words.slip(Slip(pace=pace, by=timedelta(minutes=minutes))) == said


@pytest.mark.parametrize(
    ("day", "said"),
    [
        (None, "Starts Sat 3 Jan"),
        (5, "Day 5 of 16"),
        (16, "Day 16 of 16"),
        (17, "Day 17, 1 day past the deadline"),
        (19, "Day 19, 3 days past the deadline"),
    ],
)
def test_day_of_the_campaign(day: int | None, said: str) -> None:
    head = Head(
        id="c",
        title="c",
        timezone="UTC",
        day=day,
        days=16,
        first_day=date(2026, 1, 3),
        deadline=date(2026, 1, 18),
        plan=None,
        run=None,
    )
    assert words.day_text(head) == said


@pytest.mark.parametrize(
    ("sentence", "html"),
    [
        ("`fermata tail` shows who is.", "<code>fermata tail</code> shows who is."),
        ("Say `a` or `b`", "Say <code>a</code> or <code>b</code>"),
        ("nothing to type", "nothing to type"),
        ("`<b>` & <i>", "<code>&lt;b&gt;</code> &amp; &lt;i&gt;"),
        ("a lone ` & <i>", "a lone ` &amp; &lt;i&gt;"),
    ],
)
def test_what_may_be_typed_is_shown_as_code_and_nothing_else_of_a_sentence_is_taken_for_markup(
    sentence: str, html: str
) -> None:
    assert mark_commands(sentence) == html
