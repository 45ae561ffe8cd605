"""Work in a process of its own: answers come back, failures are said once, and nobody waits or is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from fermata.services.aside import AsideFailed
from fermata.wiring.aside import NICENESS, ChildAside

PATIENCE_SECONDS = 30.0
PARENT = """
import sys, time
from functools import partial
from fermata.wiring.aside import ChildAside
from tests.wiring.test_aside import note_and_sleep
ChildAside().begin("it", partial(note_and_sleep, sys.argv[1]))
time.sleep(600)
"""


def wait_for(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except FileNotFoundError:
        return False


def who_and_how(number: int) -> tuple[int, int, int]:
    print("what is printed is no answer")  # noqa: T201 - it goes astray
    return number + 1, os.getpid(), os.nice(0)


def note_and_sleep(place: str) -> None:
    Path(place).write_text(str(os.getpid()))
    time.sleep(600)


def fail() -> None:
    message = "on purpose"
    raise ValueError(message)


def end_here() -> None:
    os._exit(7)


def test_an_answer_comes_from_another_process_that_stands_back_behind_all_others() -> None:
    aside = ChildAside[tuple[int, int, int]]()
    aside.begin("it", partial(who_and_how, 41))
    assert aside.is_under_way("it")
    assert aside.take("it") is None, "whoever asks does not wait"
    wait_for(lambda: not aside.is_under_way("it"))
    found = aside.take("it")
    assert found is not None
    assert found[0] == 42
    assert found[1] != os.getpid()
    assert found[2] == min(os.nice(0) + NICENESS, 19)
    assert aside.take("it") is None, "an answer is taken once"


@pytest.mark.parametrize("work", [fail, end_here, lambda: None])
def test_work_that_ends_without_an_answer_says_so_once_and_may_be_begun_again(work: Callable[[], None]) -> None:
    aside = ChildAside[None | tuple[int, int, int]]()
    aside.begin("it", work)
    wait_for(lambda: not aside.is_under_way("it"))
    with pytest.raises(AsideFailed, match="it: the process"):
        aside.take("it")
    assert aside.take("it") is None
    aside.begin("it", partial(who_and_how, 1))
    wait_for(lambda: not aside.is_under_way("it"))
    again = aside.take("it")
    assert again is not None
    assert again[0] == 2


def test_what_is_under_way_is_not_begun_twice_and_others_wait_their_turn(tmp_path: Path) -> None:
    aside = ChildAside[object]()
    places = [tmp_path / "first", tmp_path / "again"]
    for place in places:
        aside.begin("it", partial(note_and_sleep, str(place)))
    aside.begin("other", partial(who_and_how, 1))
    wait_for(lambda: places[0].exists() and places[0].read_text() != "")
    time.sleep(0.5)
    assert aside.is_under_way("other")
    os.kill(int(places[0].read_text()), signal.SIGKILL)
    wait_for(lambda: not aside.is_under_way("other"))
    assert not places[1].exists()
    with pytest.raises(AsideFailed):
        aside.take("it")


def test_it_ends_with_the_process_that_asked_however_that_one_ends(tmp_path: Path) -> None:
    place = tmp_path / "child"
    with subprocess.Popen([sys.executable, "-c", PARENT, str(place)]) as parent:
        try:
            wait_for(lambda: place.exists() and place.read_text() != "")
            child = int(place.read_text())
            assert is_alive(child)
        finally:
            parent.kill()
    wait_for(lambda: not is_alive(child))
