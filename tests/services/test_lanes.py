"""Who asks for long queries waits for others who do, and keeps nobody else."""

from fermata.services.lanes import REMEMBERED_SECONDS, Lane, Lanes, asked_by
from fermata.services.query import DEFAULT_LIMITS, quick


class Hand:
    """A clock that stands still until it is moved."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


def test_a_long_query_puts_its_caller_into_the_slow_lane_and_nobody_else() -> None:
    lanes = Lanes(Hand())
    with asked_by("one"):
        assert lanes.lane() is Lane.QUICK
        lanes.note_slow()
        assert lanes.lane() is Lane.SLOW
        with asked_by("two"):
            assert lanes.lane() is Lane.QUICK
        assert lanes.lane() is Lane.SLOW


def test_a_long_query_is_forgotten_after_a_while() -> None:
    clock = Hand()
    lanes = Lanes(clock)
    with asked_by("one"):
        lanes.note_slow()
        clock.at = REMEMBERED_SECONDS - 1
        assert lanes.lane() is Lane.SLOW
        clock.at = REMEMBERED_SECONDS
        assert lanes.lane() is Lane.QUICK


def test_what_nobody_asks_over_a_connection_has_no_second_try() -> None:
    assert Lanes(Hand()).lane() is Lane.SLOW


def test_the_quick_lane_ends_a_query_soon_and_stands_back_behind_nobody() -> None:
    limits = quick(DEFAULT_LIMITS)
    assert limits.seconds < DEFAULT_LIMITS.seconds / 10
    assert limits.niceness == 0 < DEFAULT_LIMITS.niceness
    assert limits.memory_mib == DEFAULT_LIMITS.memory_mib
