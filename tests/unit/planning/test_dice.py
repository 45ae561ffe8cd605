"""Pools of draws: the same everywhere, and distributed as the dice that they stand for."""

import numpy as np
import pytest

from fermata.domain.updates import Duration
from fermata.planning.dice import POOL, Dice, FreshDice, PooledDice, Pools

DURATION = Duration(p50=20, p90=35)
SHAPE = (200, 100)


def dice_of(kind: str) -> Dice:
    if kind == "fresh":
        return FreshDice(random=np.random.default_rng(5))
    return PooledDice(pools=Pools(), start=77)


@pytest.mark.parametrize("kind", ["fresh", "pooled"])
def test_lengths_follow_their_duration(kind: str) -> None:
    takes = dice_of(kind).last(DURATION, SHAPE)
    assert takes.shape == SHAPE
    assert np.median(takes) == pytest.approx(20, rel=0.02)
    assert np.quantile(takes, 0.9) == pytest.approx(35, rel=0.02)


@pytest.mark.parametrize("kind", ["fresh", "pooled"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_things_happen_to_their_share(kind: str, share: float) -> None:
    places = dice_of(kind).pick(share, SHAPE)
    assert len(places) / (SHAPE[0] * SHAPE[1]) == pytest.approx(share, abs=0.01)
    assert (np.diff(places) > 0).all()


def test_each_run_may_have_a_share_of_its_own() -> None:
    share = np.array([[0.0], [1.0]], dtype=np.float32)
    assert dice_of("fresh").pick(share, (2, 3)).tolist() == [3, 4, 5]


def test_pooled_draws_of_a_step_are_not_those_of_the_step_before() -> None:
    dice = dice_of("pooled")
    first, second = (dice.last(DURATION, SHAPE) for _ in range(2))
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.05


def test_pool_that_ends_is_read_from_the_front_again() -> None:
    pools = Pools()
    whole = PooledDice(pools=pools, start=0)
    late = PooledDice(pools=pools, start=POOL - 3)
    assert late.last(DURATION, (1, 5))[0, 3:].tolist() == whole.last(DURATION, (1, 2))[0].tolist()
    places = PooledDice(pools=pools, start=POOL - 3).pick(1.0, (2, POOL))
    assert places.tolist() == list(range(2 * POOL))


def test_what_is_drawn_belongs_to_the_caller() -> None:
    pools = Pools()
    PooledDice(pools=pools, start=0).last(DURATION, SHAPE)[:] = 0
    assert PooledDice(pools=pools, start=0).last(DURATION, SHAPE).min() > 0
