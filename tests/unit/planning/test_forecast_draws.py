"""The dice of a forecast: what befalls few befalls as many as it should."""

import numpy as np
import pytest
from tests.unit.planning import forecasts

from fermata.planning.forecast.draws import Draws
from fermata.planning.forecast.evidence import REBOOT
from fermata.planning.forecast.normal import Floats

ROW = forecasts.row(forecasts.window())
RUNS, UNITS = 400, 200
BEGINS = np.full(UNITS, -1.0)


def throw(seed: int = 1) -> Draws:
    known = forecasts.learn()
    belief = known.lessons.belief(ROW.cluster)
    return Draws(belief, known.lessons.slow, known.odds, catalogue=known.catalogue, runs=RUNS, seed=(seed,))


def share_lost(elapsed: Floats) -> float:
    lost, _ = throw().falls_out(elapsed)
    return len(lost) / (RUNS * UNITS)


def test_as_many_fall_out_as_the_odds_say() -> None:
    assert share_lost(BEGINS) == pytest.approx(forecasts.learn().odds.fallout.mean, rel=0.15)


def test_who_reboots_for_long_is_likelier_to_be_lost() -> None:
    patience = throw().patience(REBOOT)
    early, late = share_lost(np.full(UNITS, 1.0)), share_lost(np.full(UNITS, 0.9 * patience))
    assert early < 0.05
    assert late > 0.5


def test_steps_that_begin_fail_as_often_as_the_odds_say_and_take_their_time_again() -> None:
    odds = forecasts.learn().odds
    takes, again = throw().step("nic", UNITS, BEGINS)
    wanted = odds.redo["nic"].mean + odds.hang["nic"].mean
    assert len(again.runs) / takes.size == pytest.approx(wanted, rel=0.25)
    assert again.minutes.min() > 0
    assert len(set(zip(again.runs.tolist(), again.units.tolist(), strict=True))) == len(again.runs)


def test_nobody_waits_longer_for_a_step_than_the_conductor_does() -> None:
    dice = throw()
    takes, _ = dice.step("nic", UNITS, np.full(UNITS, 10.0))
    assert takes.max() <= dice.patience("nic") - 10.0
    assert takes.min() >= 0
