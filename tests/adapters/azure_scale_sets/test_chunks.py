"""Who is started together, and what follows when a placement group takes nobody of a chunk."""

from datetime import UTC, datetime, timedelta

from fermata.adapters.azure_scale_sets.chunks import Group, choose, judge

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
AGAIN = timedelta(minutes=1)
WHY = "AllocationFailed: no room"
NAMES = ("a", "b", "c", "d", "e")


def group(size: int = 4, size_max: int = 8) -> Group:
    return Group(size=size, size_max=size_max)


def failing(found: Group, chunk: tuple[str, ...], running: tuple[str, ...] = ()) -> Group:
    return judge(found, chunk, running, WHY, NOW, AGAIN)


def test_as_many_are_started_as_went_through_before() -> None:
    assert choose(group(size=2), NAMES, NOW) == ("a", "b")
    assert choose(group(size=8), NAMES, NOW) == NAMES


def test_chunk_of_which_nobody_runs_is_tried_in_halves() -> None:
    found = failing(group(), ("a", "b", "c", "d"))
    assert found.size == 2
    found = failing(found, ("a", "b"))
    assert found.size == 1
    assert choose(found, NAMES, NOW) == ("e",)


def test_chunk_that_runs_is_followed_by_one_of_twice_its_size_up_to_the_limit() -> None:
    found = judge(group(size=1), ("a",), ("a",), "", NOW, AGAIN)
    assert found.size == 2
    assert judge(group(size=8), tuple("abcdefgh"), tuple("abcdefgh"), "", NOW, AGAIN).size == 8


def test_small_chunk_that_runs_does_not_make_the_next_one_smaller() -> None:
    assert judge(group(size=8), ("a",), ("a",), "", NOW, AGAIN).size == 8


def test_instance_that_fails_alone_is_left_for_a_while_and_says_nothing_of_the_size() -> None:
    found = failing(group(), ("a",))
    assert found.size == 4
    assert choose(found, NAMES, NOW) == ("b", "c", "d", "e")
    assert "a" not in choose(found, NAMES, NOW + AGAIN - timedelta(seconds=1))
    assert choose(failing(group(size=8), ("a",)), NAMES, NOW + AGAIN) == ("b", "c", "d", "e", "a")


def test_those_that_failed_least_often_go_first_so_that_a_bad_one_does_not_keep_the_others() -> None:
    found = failing(failing(group(), ("a", "b", "c", "d")), ("a", "b"))
    assert choose(judge(found, ("e",), ("e",), "", NOW, AGAIN), ("a", "b", "c", "d"), NOW) == ("c", "d")


def test_of_a_chunk_that_came_in_part_the_rest_is_counted_as_failed() -> None:
    found = failing(group(), ("a", "b", "c", "d"), ("a", "b", "c"))
    assert set(found.tried) == {"d"}
    assert found.tried["d"].why == WHY
    assert found.tried["d"].again_at is None
    assert found.size == 2


def test_what_was_tried_is_forgotten_once_it_runs() -> None:
    assert judge(failing(group(), ("a",)), ("a",), ("a",), "", NOW, AGAIN).tried == {}
