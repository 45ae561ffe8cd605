"""Work that a page began: found again, joined, ended, told when it breaks, and forgotten at last."""

import threading
import time
from collections.abc import Callable

import pytest
from tests.server.campaign_world import SECONDS_MAX

from fermata.planning.stages import Stage
from fermata.server.errors import ServerBusy
from fermata.server.kept_work import Kept, KeptWork, State
from fermata.server.long_work import LongWork


def wait_for(done: Callable[[], bool]) -> None:
    for _ in range(SECONDS_MAX * 100):
        if done():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


def test_work_is_found_again_cancelled_and_leaves_room_for_others() -> None:
    place = LongWork()
    kept, go_on = KeptWork(place), threading.Event()

    def work(watch: Callable[[Stage, str], None], is_overdue: Callable[[], bool]) -> int:
        watch(Stage.FIRST, "as it is")
        assert go_on.wait(SECONDS_MAX)
        assert is_overdue()
        watch(Stage.BETTER, "")
        return 7

    begun = kept.begin("one", work)
    assert kept.begin("one", work) is begun, "the same question is not asked twice"
    with pytest.raises(ServerBusy):
        kept.begin("two", work)
    assert not place.take(), "the API's work has no room either"
    wait_for(lambda: begun.steps == 1)
    assert begun.told == "a first plan, as it is"
    begun.cancel()
    go_on.set()
    wait_for(lambda: begun.state is State.CANCELLED)
    assert begun.value is None
    assert kept.begin("two", lambda _watch, _late: 7) is not None
    wait_for(lambda: found(kept, "two").state is State.DONE)
    assert found(kept, "two").value == 7
    assert found(kept, "one").state is State.CANCELLED


def found(kept: KeptWork, name: str) -> Kept:
    there = kept.find(name)
    assert there is not None
    return there


def test_work_that_breaks_is_told_without_its_cause_and_gives_its_room_back() -> None:
    kept = KeptWork(LongWork())
    kept.begin("one", lambda _watch, _late: 1 // 0)
    wait_for(lambda: found(kept, "one").state is State.FAILED)
    assert "in its log" in found(kept, "one").why
    kept.begin("two", lambda _watch, _late: 2)
    wait_for(lambda: found(kept, "two").state is State.DONE)


def test_only_the_last_answers_are_kept() -> None:
    kept = KeptWork(LongWork())
    for number in range(30):
        kept.begin(str(number), lambda _watch, _late: 1)
        wait_for(lambda number=number: found(kept, str(number)).state is State.DONE)  # type: ignore[misc]
    assert kept.find("5") is None
    assert kept.find("6") is not None
