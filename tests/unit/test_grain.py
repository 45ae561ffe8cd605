"""Steps of a simulated fleet may end on a coarser grain than the minute: a large campaign has fewer instants then."""

from datetime import timedelta

import pytest
from tests.simulation import small

from fermata.sim.fates import NO_FAULTS
from fermata.sim.mishaps import Command
from fermata.sim.world import World, open_world

MINUTE = timedelta(minutes=1)


def world(grain: int) -> World:
    return open_world(
        small.fleet(), small.catalogue(), faults=NO_FAULTS, seed=1, path=None, grain=timedelta(minutes=grain)
    )


def ends(grain: int, late: timedelta) -> list[timedelta]:
    """How long after `small.START` the drains of all nodes end, which begin `late`."""
    found = world(grain)
    names = sorted(found.nodes)
    found.do("lock", [Command(op="lock", key=f"w/{name}/lock/1", unit=name) for name in names], small.START + late)
    found.do("drain", [Command(op="drain", key=f"w/{name}/drain/1", unit=name) for name in names], small.START + late)
    steps = [found.steps[f"w/{name}/drain/1"] for name in names]
    return [step.ends_at - small.START for step in steps if step.ends_at is not None]


@pytest.mark.parametrize("late", [0, 2])
def test_steps_end_on_the_grain_near_to_when_they_would(late: int) -> None:
    fine, coarse = ends(1, late * MINUTE), ends(5, late * MINUTE)
    assert len(fine) == len(coarse)
    assert len(set(fine)) > 1
    assert all(end % (5 * MINUTE) == timedelta(0) and end > late * MINUTE for end in coarse)
    assert all(abs(there - here) <= 5 * MINUTE for there, here in zip(coarse, fine, strict=True))
