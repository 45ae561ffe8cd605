"""When windows may lie: calendar days of the campaign's zone, over changes of the clocks too."""

from datetime import UTC, date, datetime, time

import pytest
from tests.unit.planning import bench as b

from fermata.domain.campaign import Campaign, DailyWindow
from fermata.domain.pending import find_pending
from fermata.planning.days import Day, find_days
from fermata.planning.encoders import encode_windows, list_encoders
from fermata.planning.encoding import Facts

EARLY = datetime(2026, 1, 1, tzinfo=UTC)


def days_of(campaign: Campaign, now: datetime) -> tuple[Day, ...]:
    fleet, catalogue = b.make_fleet([], []), b.make_catalogue()
    inputs = b.make_inputs(fleet, catalogue, campaign, now=now)
    facts = Facts(inputs=inputs, pending=find_pending(fleet, catalogue))
    return find_days(encode_windows(facts, list_encoders()).calendar, campaign.deadline)


def campaign_on(first: date, last: date, start: time, end: time, *, weekends: bool = True) -> Campaign:
    hours = DailyWindow(start=start, back_in_service_by=end, hard_stop=end)
    return b.make_campaign(
        first_day=first, deadline=first, extension_until=last, daily_window=hours, weekends_staffed=weekends
    )


@pytest.mark.parametrize(
    ("day", "start", "minutes"),
    [
        (date(2026, 3, 7), datetime(2026, 3, 7, 9, tzinfo=UTC), 480),  # the day before the clocks go forward
        (date(2026, 3, 8), datetime(2026, 3, 8, 9, tzinfo=UTC), 420),  # 02:00 to 03:00 does not exist
        (date(2026, 11, 1), datetime(2026, 11, 1, 8, tzinfo=UTC), 540),  # 01:00 to 02:00 comes twice
    ],
)
def test_daily_window_loses_or_gains_the_hour_of_the_clocks(day: date, start: datetime, minutes: int) -> None:
    (found,) = days_of(campaign_on(day, day, time(1), time(9)), EARLY)
    assert found.room.start == start
    assert list(found.starts(minutes)) == [0]
    assert list(found.starts(minutes + 1)) == []


def test_weekends_are_left_out_where_nobody_staffs_them() -> None:
    days = days_of(campaign_on(date(2026, 1, 9), date(2026, 1, 12), time(11), time(19), weekends=False), EARLY)
    assert [day.date.day for day in days] == [9, 12]


def test_nothing_starts_before_now() -> None:
    now = datetime(2026, 1, 5, 20, 10, tzinfo=UTC)  # 12:10 local
    days = days_of(campaign_on(date(2026, 1, 4), date(2026, 1, 6), time(11), time(19)), now)
    assert [day.date.day for day in days] == [5, 6]
    assert next(days[0].starts(60)) == 90
    assert next(days[1].starts(60)) == 0


def test_late_days_count_from_the_deadline() -> None:
    days = days_of(campaign_on(date(2026, 1, 5), date(2026, 1, 7), time(11), time(19)), EARLY)
    assert [day.late for day in days] == [0, 1, 2]


def test_window_may_end_past_midnight_and_still_belongs_to_its_day() -> None:
    (day,) = days_of(campaign_on(date(2026, 1, 5), date(2026, 1, 5), time(22), time(6)), EARLY)
    assert day.room.end == datetime(2026, 1, 6, 14, tzinfo=UTC)
