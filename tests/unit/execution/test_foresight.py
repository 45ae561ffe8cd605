"""Lessons are kept while there is nothing new to learn from, or too little to matter."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.constraints import world as w

from fermata.domain.forecasts import Forecast, Help, Remedy
from fermata.domain.ids import ClusterId, RunId, WindowId
from fermata.domain.reasons import Code, reason
from fermata.execution.foresight import LearnedFrom, Memory
from fermata.planning.forecast.learning import Under

SCENARIO = w.scenario()
STEP = Under(kind="drain", cluster=ClusterId("alpha"), minutes=7.0)
NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
BEFORE = LearnedFrom(
    seq=7,
    steps=1000,
    at=NOW,
    under=(STEP,),
    hang_share={"nic": 0.01},
    catalogue=SCENARIO.catalogue,
    fleet=SCENARIO.fleet,
)


def test_the_same_is_learned_from_the_same() -> None:
    assert BEFORE.is_same(replace(BEFORE, under=(replace(STEP),), hang_share={"nic": 0.01}))


@pytest.mark.parametrize(
    "news",
    [
        {"seq": 8},
        {"under": ()},
        {"under": (replace(STEP, minutes=17.0),)},
        {"hang_share": {"nic": 0.02}},
        {"catalogue": replace(SCENARIO.catalogue)},
        {"fleet": replace(SCENARIO.fleet)},
    ],
    ids=("lines", "steps over", "steps longer", "hangs", "catalogue", "fleet"),
)
def test_whatever_is_new_is_learned_from(news: dict[str, Any]) -> None:
    assert not BEFORE.is_same(replace(BEFORE, **news))


def later(**changed: Any) -> LearnedFrom:
    return replace(BEFORE, **{"seq": 30, "steps": 1019, "at": NOW + timedelta(minutes=20), "under": (), **changed})


def test_a_few_steps_more_among_many_are_learned_from_a_little_later() -> None:
    assert later().adds_little(BEFORE)


@pytest.mark.parametrize(
    "news",
    [
        {"steps": 1020},
        {"at": NOW + timedelta(minutes=30)},
        {"at": NOW - timedelta(minutes=1)},
        {"catalogue": replace(SCENARIO.catalogue)},
        {"fleet": replace(SCENARIO.fleet)},
    ],
    ids=("many steps", "half an hour", "a clock set back", "catalogue", "fleet"),
)
def test_more_than_that_is_learned_from_at_once(news: dict[str, Any]) -> None:
    assert not later(**news).adds_little(BEFORE)


def test_among_few_steps_every_one_is_learned_from() -> None:
    few = replace(BEFORE, steps=10)
    assert not later(steps=11).adds_little(few)
    assert not later(steps=0).adds_little(replace(BEFORE, steps=0))


WINDOW = WindowId("w")
HELPS = (Help(remedy=Remedy.RETURN_EARLY, kept=0.97, sentence="return early"),)


def at_risk(minutes: int, **more: Any) -> Forecast:
    at = NOW + timedelta(minutes=minutes)
    found = Forecast(run=RunId("r"), window=WINDOW, at=at, promised=NOW, planned_end=NOW, kept=0.5, is_alarming=True)
    return replace(found, **{"helps": HELPS, **more})


def test_what_helps_is_tried_when_a_window_comes_to_be_at_risk() -> None:
    assert Memory().helps(WINDOW, NOW) is None


def test_what_helps_is_tried_again_once_in_half_an_hour() -> None:
    memory = Memory()
    memory.note_helps(at_risk(0))
    memory.note_helps(at_risk(20))  # which was told with what was known
    assert memory.helps(WINDOW, NOW + timedelta(minutes=29)) == HELPS
    assert memory.helps(WINDOW, NOW + timedelta(minutes=30)) is None
    memory.note_helps(at_risk(30, helps=()))
    assert memory.helps(WINDOW, NOW + timedelta(minutes=59)) == ()


def test_of_another_window_what_helps_is_tried_for_itself() -> None:
    memory = Memory()
    memory.note_helps(at_risk(0))
    assert memory.helps(WindowId("other"), NOW) is None


def test_a_window_that_was_safe_meanwhile_has_what_helps_tried_at_once() -> None:
    memory = Memory()
    memory.note_helps(at_risk(0))
    memory.note_helps(at_risk(10, is_alarming=False))
    assert memory.helps(WINDOW, NOW + timedelta(minutes=20)) is None


def test_a_forecast_that_says_nothing_is_no_trial_of_what_helps() -> None:
    memory = Memory()
    memory.note_helps(at_risk(0, none=reason(Code.FORECAST_PAUSED, window=WINDOW), helps=()))
    assert memory.helps(WINDOW, NOW) is None
