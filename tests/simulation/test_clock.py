"""Virtual time: paced by its speed on average, never ahead of the work."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from fermata.sim.clock import VirtualClock

START = datetime(2026, 1, 3, tzinfo=UTC)
HOUR_A_SECOND = 3600.0


def never() -> bool:
    return False


def test_waiting_takes_as_long_as_the_speed_says() -> None:
    clock = VirtualClock(START, HOUR_A_SECOND)
    began = time.monotonic()
    assert clock.wait_until(START + timedelta(minutes=18), never) == START + timedelta(minutes=18)
    assert time.monotonic() - began == pytest.approx(0.3, abs=0.15)


def test_time_stands_still_while_work_is_done() -> None:
    clock = VirtualClock(START, HOUR_A_SECOND)
    time.sleep(0.05)
    assert clock.now() == START


def test_time_lost_to_work_is_caught_up_with_in_quiet_hours() -> None:
    clock = VirtualClock(START, HOUR_A_SECOND)
    began = time.monotonic()
    for minute in (1, 2, 3):
        time.sleep(0.1)  # work that takes longer than the minute it falls into
        clock.wait_until(START + timedelta(minutes=minute), never)
    clock.wait_until(START + timedelta(minutes=30), never)
    assert time.monotonic() - began == pytest.approx(0.5, abs=0.15)


def test_a_stop_ends_the_wait_before_its_instant() -> None:
    clock = VirtualClock(START, HOUR_A_SECOND)
    assert clock.wait_until(START + timedelta(hours=10), lambda: True) < START + timedelta(hours=1)


def test_without_a_speed_nothing_is_waited_for() -> None:
    clock = VirtualClock(START, None)
    began = time.monotonic()
    clock.wait_until(START + timedelta(days=10), never)
    assert time.monotonic() - began < 0.1
