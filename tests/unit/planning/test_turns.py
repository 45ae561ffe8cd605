"""Waiting for room and taking turns, in rehearsals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermata.domain.queues import TURN_SHARE
from fermata.planning.dice import Minutes
from fermata.planning.turns import take_turns, wait_for_room


def one(*minutes: float) -> Minutes:
    """One run."""
    return np.array([minutes], dtype=np.float32)


@pytest.mark.parametrize(
    ("arrive", "hold", "room", "begin"),
    [
        ((0, 0, 0), (5, 5, 5), 3, (0, 0, 0)),
        ((0, 0, 0), (5, 5, 5), 1, (0, 5, 10)),
        ((4, 0, 2), (5, 5, 5), 1, (10, 0, 5)),
        ((0, 0, 1, 1), (10, 2, 3, 3), 2, (0, 0, 2, 5)),
    ],
)
def test_first_come_is_first_served(
    arrive: tuple[float, ...], hold: tuple[float, ...], room: int, begin: tuple[float, ...]
) -> None:
    assert wait_for_room(one(*arrive), one(*hold), room).tolist() == [list(begin)]


def test_unit_that_never_comes_takes_no_room() -> None:
    assert wait_for_room(one(np.inf, 0, 0), one(5, 5, 5), 1).tolist() == [[np.inf, 0, 5]]


def test_domain_waits_until_the_last_of_another_is_through() -> None:
    begin = take_turns(one(0, 0, 1, 1), one(5, 30, 5, 5), np.array([0, 0, 1, 1]), at_once=1)
    assert begin.tolist() == [[0, 0, 30, 30]]


def test_fullest_domain_goes_first() -> None:
    begin = take_turns(one(0, 2, 2, 2), one(5, 5, 5, 5), np.array([0, 1, 2, 2]), at_once=1)
    assert begin.tolist() == [[0, 10, 5, 5]]


def test_stragglers_of_a_domain_go_after_those_who_wait() -> None:
    members = round(1 / (1 - TURN_SHARE)) + 1
    early, late = np.zeros(members - 1), np.array([9.0])
    arrive = np.concatenate([early, late, np.ones(members)])[None, :].astype(np.float32)
    begin = take_turns(arrive, np.full_like(arrive, 10), np.repeat([0, 1], members), at_once=1)
    assert set(begin[0, : members - 1].tolist()) == {0.0}
    assert set(begin[0, members:].tolist()) == {10.0}
    assert begin[0, members - 1] == 20


@given(
    arrive=st.lists(st.integers(0, 60), min_size=6, max_size=18),
    at_once=st.integers(1, 3),
    domains=st.integers(2, 5),
)
def test_never_more_domains_in_than_may_be(arrive: list[int], at_once: int, domains: int) -> None:
    places = np.sort(np.arange(len(arrive)) % domains)
    came = np.array([arrive], dtype=np.float32)
    hold = np.full_like(came, 7)
    begin = take_turns(came, hold, places, at_once=at_once)
    assert np.isfinite(begin).all()
    assert (begin >= came).all()
    for instant in begin[0]:
        running = (begin[0] <= instant) & (instant < begin[0] + hold[0])
        assert len(set(places[running].tolist())) <= at_once
