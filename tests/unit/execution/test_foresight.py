"""Lessons are kept while there is nothing new to learn from, or too little to matter."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.constraints import world as w

from fermata.domain.ids import ClusterId
from fermata.execution.foresight import LearnedFrom
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
