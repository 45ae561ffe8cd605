"""A day of many runs at once goes as one run after the other would, followed by a plain loop over the minutes."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.planning.risk.day import RECHECK_MINUTES, DayPlay, Tail
from fermata.planning.risk.stage import Cap, Scene, set_stage

ALPHA = b.make_cluster("alpha")
LIMIT = c.Limit(what=c.LimitKind.NODES_OUT, at_once=1)


def template() -> Scene:
    """Some window of a real plan, to be moved about."""
    nodes = b.make_nodes(ALPHA, [2])
    inputs = b.make_inputs(b.make_fleet([ALPHA], nodes), b.make_catalogue(b.LONG_NIC), b.make_campaign())
    return set_stage(inputs, b.planned(inputs)).scenes[0]


TEMPLATE = template()


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A window of `nodes` nodes; `back`: a row per run."""

    start: int
    latest: int
    back: tuple[tuple[int, ...], ...]


@st.composite
def days(draw: st.DrawFn) -> tuple[list[Drawn], int]:
    runs = draw(st.integers(1, 3))
    windows = []
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, 6)) * 10
        nodes = draw(st.integers(1, 3))
        row = st.tuples(*[st.integers(1, 80) for _ in range(nodes)])
        back = draw(st.tuples(*[row for _ in range(runs)]))
        windows.append(Drawn(start=start, latest=start + draw(st.integers(0, 5)) * 5, back=back))
    return sorted(windows, key=lambda window: window.start), draw(st.integers(3, 8))


def play(windows: list[Drawn], allowed: int, *, gated: bool) -> DayPlay:
    moved = [make_scene(window) for window in windows]
    back = [np.array(window.back, dtype=np.float32) for window in windows]
    cap = Cap(limit=LIMIT, name="nodes_out", allowed=allowed)
    day = DayPlay(scenes=moved, back=back, caps=(cap,), tail=Tail(), gated=gated)
    day.play()
    return day


def make_scene(window: Drawn) -> Scene:
    nodes = len(window.back[0])
    fields = {name: getattr(TEMPLATE, name) for name in ("window", "cast")}
    return Scene(
        **fields,
        needed=nodes,
        start=window.start,
        end=window.start + 60,
        latest=window.latest,
        back_by=1000,
        kinds=(((0,), np.arange(nodes)),),
        opens=(),
    )


def follow(windows: list[Drawn], run: int, allowed: int, *, gated: bool) -> tuple[list[int], int]:
    """When each window opens in one run, and the most that is ever out."""
    opened = [-1] * len(windows)
    most = 0
    for minute in range(200):
        if not gated or minute % RECHECK_MINUTES == windows[0].start % RECHECK_MINUTES:
            for number, window in enumerate(windows):
                is_due = window.start <= minute and opened[number] < 0
                if not is_due or (gated and minute > window.latest) or (not gated and minute != window.start):
                    continue
                if not gated or out(windows, opened, run, minute) + len(window.back[run]) <= allowed:
                    opened[number] = minute
        most = max(most, out(windows, opened, run, minute))
    return opened, most


def out(windows: list[Drawn], opened: list[int], run: int, minute: int) -> int:
    return sum(
        at + back > minute for window, at in zip(windows, opened, strict=True) if at >= 0 for back in window.back[run]
    )


@pytest.mark.parametrize("gated", [False, True])
@given(day=days())
@settings(derandomize=True, deadline=timedelta(seconds=5), max_examples=60)
def test_a_day_goes_as_a_plain_loop_over_its_minutes_would(gated: bool, day: tuple[list[Drawn], int]) -> None:
    windows, allowed = day
    played = play(windows, allowed, gated=gated)
    for run in range(len(windows[0].back)):
        opened, most = follow(windows, run, allowed, gated=gated)
        assert played.opened[run].tolist() == opened
        assert played.most[run, 0] == most


def test_nodes_that_are_out_overnight_count_the_next_day_until_they_are_back() -> None:
    day = play([Drawn(start=0, latest=0, back=((5, 2000), (5, 6)))], 9, gated=False)
    day.hand_over(1440)
    assert day.tail.count(1440, 2, 1).tolist() == [[1], [0]]
    day.tail.keep(2000)
    assert day.tail.count(2000, 2, 1).tolist() == [[0], [0]]
