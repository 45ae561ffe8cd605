"""Recurring windows: the words they are said in, the days they fall on, and what daylight saving does to them."""

from datetime import UTC, date, datetime, timedelta
from itertools import takewhile

import pytest
from dateutil import rrule  # type: ignore[import-untyped]  # another implementation of the same rules
from hypothesis import given
from hypothesis import strategies as st

from fermata.domain.recurrence import (
    BadRecurrence,
    MonthlyWeekday,
    Recurrence,
    RecurringWindow,
    Unit,
    parse_recurrence,
    say_recurrence,
)
from fermata.domain.windows import Interval

FIRST = date(2026, 1, 3)  # a Saturday


@pytest.mark.parametrize(
    ("words", "days"),
    [
        ("Day", ["2026-01-03", "2026-01-04", "2026-01-05"]),
        ("3Days", ["2026-01-03", "2026-01-06", "2026-01-09"]),
        ("Week", ["2026-01-03", "2026-01-10", "2026-01-17"]),
        ("week saturday,sunday", ["2026-01-03", "2026-01-04", "2026-01-10"]),
        ("2Weeks Monday", ["2026-01-12", "2026-01-26", "2026-02-09"]),  # the Monday of FIRST's week is over
        ("Month", ["2026-01-03", "2026-02-03", "2026-03-03"]),
        ("2Months", ["2026-01-03", "2026-03-03", "2026-05-03"]),
        ("Month day23,day24", ["2026-01-23", "2026-01-24", "2026-02-23"]),
        ("Month day31", ["2026-01-31", "2026-03-31", "2026-05-31"]),  # February has no such day
        ("Month Last Sunday", ["2026-01-25", "2026-02-22", "2026-03-29"]),
        ("Month Fourth Monday", ["2026-01-26", "2026-02-23", "2026-03-23"]),
        ("Month Last Sunday Offset-3", ["2026-01-22", "2026-02-19", "2026-03-26"]),
        ("Month Third Sunday Offset6", ["2026-01-24", "2026-02-21", "2026-03-21"]),
        ("Month First Monday Offset-6", ["2026-01-27", "2026-02-24", "2026-03-31"]),  # of 2 February, 2 March, 6 April
    ],
)
def test_words_fall_on_days(words: str, days: list[str]) -> None:
    found = parse_recurrence(words).dates(FIRST, date(2027, 1, 1))
    assert [day.isoformat() for day in sorted(found)][:3] == days


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "it must be Day, Week or Month"),
        ("Fortnight", "it must be Day, Week or Month"),
        ("0Days", "from 1 to 365"),
        ("Day Monday", "nothing may follow Day"),
        ("Week Sat", "Sat is no weekday"),
        ("Week Saturday,,Sunday", "nothing is no weekday"),
        ("Month day32", "day32 is no day of a month"),
        ("Month Fifth Monday", "Fifth must be one of First, Second, Third, Fourth, Last"),
        ("Month Last Sunday Offset7", "from -6 to 6"),
    ],
)
def test_words_that_say_no_recurrence_are_told_what_would(words: str, sentence: str) -> None:
    with pytest.raises(BadRecurrence, match=sentence):
        parse_recurrence(words)


WEEKLY = st.builds(
    Recurrence,
    unit=st.just(Unit.WEEK),
    every=st.integers(1, 6),
    weekdays=st.sets(st.integers(0, 6)).map(sorted).map(tuple),
)
DAILY = st.builds(Recurrence, unit=st.just(Unit.DAY), every=st.integers(1, 40))
MONTHLY = st.builds(
    Recurrence,
    unit=st.just(Unit.MONTH),
    every=st.integers(1, 14),
    month_days=st.sets(st.integers(1, 31)).map(sorted).map(tuple),
)
NTH = st.builds(
    Recurrence,
    unit=st.just(Unit.MONTH),
    every=st.integers(1, 14),
    by_weekday=st.builds(
        MonthlyWeekday,
        ordinal=st.sampled_from([1, 2, 3, 4, -1]),
        weekday=st.integers(0, 6),
        offset_days=st.just(0),
    ),
)


@given(
    recurrence=st.one_of(DAILY, WEEKLY, MONTHLY, NTH),
    first=st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    days=st.integers(0, 900),
)
def test_days_are_those_of_the_calendar_standard(recurrence: Recurrence, first: date, days: int) -> None:
    """RFC 5545's rules, as another implementation reads them, name the same days."""
    until = first + timedelta(days=days)
    frequency = {Unit.DAY: rrule.DAILY, Unit.WEEK: rrule.WEEKLY, Unit.MONTH: rrule.MONTHLY}[recurrence.unit]
    nth = recurrence.by_weekday
    rule = rrule.rrule(
        frequency,
        interval=recurrence.every,
        dtstart=datetime.combine(first, datetime.min.time()),
        byweekday=rrule.weekdays[nth.weekday](nth.ordinal) if nth else recurrence.weekdays or None,
        bymonthday=recurrence.month_days or None,
        wkst=rrule.MO,
    )
    expected = takewhile(lambda day: day < until, (at.date() for at in rule))
    assert sorted(set(recurrence.dates(first, until))) == list(expected)


@given(recurrence=st.one_of(DAILY, WEEKLY, MONTHLY, NTH))
def test_what_is_said_is_read_again(recurrence: Recurrence) -> None:
    assert parse_recurrence(say_recurrence(recurrence)) == recurrence


def window(zone: str, start: str, hours: int, words: str | None, expires: str | None = None) -> RecurringWindow:
    return RecurringWindow(
        id="nights",
        start=datetime.fromisoformat(start),
        duration=timedelta(hours=hours),
        zone=zone,
        recurrence=parse_recurrence(words) if words else None,
        expires=datetime.fromisoformat(expires) if expires else None,
    )


def told(of: RecurringWindow, first: str, until: str) -> list[str]:
    asked = (datetime.fromisoformat(at).replace(tzinfo=UTC) for at in (first, until))
    return [f"{i.start:%m-%d %H:%M} {i.end:%m-%d %H:%M}" for i in of.intervals(*asked)]


@pytest.mark.parametrize(
    ("of", "first", "until", "expected"),
    [
        pytest.param(
            window("Europe/Paris", "2026-03-01 22:00", 6, "Day"),
            "2026-03-28 12:00",
            "2026-03-30 12:00",
            ["03-28 21:00 03-29 03:00", "03-29 20:00 03-30 02:00"],
            id="clocks go forward: the next night begins an hour earlier in UTC",
        ),
        pytest.param(
            window("Europe/Paris", "2026-03-01 02:30", 1, "Day"),
            "2026-03-29 00:00",
            "2026-03-30 00:00",
            ["03-29 01:30 03-29 02:30"],
            id="a skipped hour moves forward, 02:30 is 03:30 that day",
        ),
        pytest.param(
            window("America/New_York", "2026-10-01 01:30", 2, "Day"),
            "2026-11-01 00:00",
            "2026-11-02 00:00",
            ["11-01 05:30 11-01 07:30"],
            id="of a repeated hour the first counts, and two hours are two hours",
        ),
        pytest.param(
            window("Etc/UTC", "2026-01-01 22:00", 6, "Day"),
            "2026-01-05 03:00",
            "2026-01-05 04:00",
            ["01-04 22:00 01-05 04:00"],
            id="one that began the day before is given whole",
        ),
        pytest.param(
            window("Etc/UTC", "2026-01-01 22:00", 6, None),
            "2026-01-01 00:00",
            "2027-01-01 00:00",
            ["01-01 22:00 01-02 04:00"],
            id="once",
        ),
        pytest.param(
            window("Etc/UTC", "2026-01-01 22:00", 6, "Day", expires="2026-01-03 22:00"),
            "2026-01-01 00:00",
            "2027-01-01 00:00",
            ["01-01 22:00 01-02 04:00", "01-02 22:00 01-03 04:00"],
            id="none starts when it has expired",
        ),
        pytest.param(
            window("Etc/UTC", "2026-01-10 00:00", 6, "Day"), "2026-01-01 00:00", "2026-01-10 00:00", [], id="not yet"
        ),
    ],
)
def test_windows_are_intervals(of: RecurringWindow, first: str, until: str, expected: list[str]) -> None:
    assert told(of, first, until) == expected


def test_windows_of_two_zones_share_an_instant_only_if_they_do() -> None:
    pacific = window("America/Los_Angeles", "2026-01-01 20:00", 4, "Day")
    day = [datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)]
    assert list(pacific.intervals(*day)) == [
        Interval(datetime(2026, 1, 2, 4, tzinfo=UTC), datetime(2026, 1, 2, 8, tzinfo=UTC))
    ]
