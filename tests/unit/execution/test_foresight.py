"""Lessons are kept only while there is nothing new to learn from."""

from dataclasses import replace
from typing import Any

import pytest
from tests.constraints import world as w

from fermata.domain.ids import ClusterId
from fermata.execution.foresight import LearnedFrom
from fermata.planning.forecast.learning import Under

SCENARIO = w.scenario()
STEP = Under(kind="drain", cluster=ClusterId("alpha"), minutes=7.0)
BEFORE = LearnedFrom(seq=7, under=(STEP,), hang_share={"nic": 0.01}, catalogue=SCENARIO.catalogue, fleet=SCENARIO.fleet)


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
