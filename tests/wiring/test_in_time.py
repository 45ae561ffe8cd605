"""A notifier that does not come back from a call holds up nobody, and tells nothing twice."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from threading import Event
from threading import enumerate as enumerate_threads
from time import monotonic

import pytest
from tests.wiring.test_routed_site import EAST, WEST, open_simulated, ports_of, route, switchboard

from fermata.domain.ids import StepKey
from fermata.domain.observations import Accepted, Answer, Denied, Later, Unsure
from fermata.ports import Notice, NoticeKind, OutcomeUnknown, Refused, TryLater
from fermata.wiring import in_time
from fermata.wiring.in_time import AGAIN, InTime
from fermata.wiring.routed import route_site

SHORT = timedelta(milliseconds=100)
LATER = Later(after=AGAIN)
LONG_SECONDS = 30.0


class Slow:
    """Answers when it is let go."""

    def __init__(self, answer: Callable[[], Answer] = Accepted) -> None:
        self.goes_on, self.is_in = Event(), Event()
        self.told: list[StepKey] = []
        self._answer = answer

    def notify(self, notices: Sequence[Notice]) -> Mapping[StepKey, Answer]:
        self.is_in.set()
        assert self.goes_on.wait(LONG_SECONDS)
        self.told += [notice.key for notice in notices]
        return {notice.key: self._answer() for notice in notices}


@pytest.fixture
def slow() -> Iterator[Slow]:
    made = Slow()
    yield made
    made.goes_on.set()


def notice(unit: str) -> Notice:
    key = StepKey(f"run_1/w/{unit}/repair:reboot/1")
    return Notice(key=key, kind=NoticeKind.NEEDS_REPAIR, subject=unit, sentence=f"{unit} stays dark")


ONE, OTHER = notice("c0-n000"), notice("c1-n000")


def end(slow: Slow) -> None:
    """Lets the call end, and waits until it has."""
    slow.goes_on.set()
    for thread in enumerate_threads():
        if thread.name == "fermata-notifier":
            thread.join(LONG_SECONDS)


def test_who_is_slow_is_waited_for_so_long_and_no_longer(slow: Slow) -> None:
    patient = InTime(slow, patience=SHORT)
    began = monotonic()
    assert patient.notify([ONE]) == {ONE.key: LATER}
    assert monotonic() - began < LONG_SECONDS / 2
    assert slow.is_in.is_set()


def test_who_is_still_at_it_is_neither_asked_nor_waited_for(slow: Slow) -> None:
    patient = InTime(slow, patience=timedelta(seconds=2))
    patient.notify([ONE])
    began = monotonic()
    assert patient.notify([ONE, OTHER]) == {ONE.key: LATER, OTHER.key: LATER}
    assert monotonic() - began < 1
    end(slow)
    assert slow.told == [ONE.key]


def test_what_came_of_a_late_call_is_the_answer_when_it_is_asked_for_and_nothing_is_told_twice(slow: Slow) -> None:
    patient = InTime(slow, patience=SHORT)
    patient.notify([ONE])
    end(slow)
    assert patient.notify([OTHER]) == {OTHER.key: Accepted()}
    assert patient.notify([ONE, OTHER]) == {ONE.key: Accepted(), OTHER.key: Accepted()}
    assert slow.told == [ONE.key, OTHER.key, OTHER.key], "the last was answered, and is asked for anew by its caller"


@pytest.mark.parametrize("error", [TryLater(AGAIN), Refused("no such channel"), OutcomeUnknown(), KeyError("a fault")])
def test_a_late_call_that_fails_is_made_again(error: Exception) -> None:
    def fail() -> Answer:
        raise error

    slow = Slow(fail)
    patient = InTime(slow, patience=SHORT)
    patient.notify([ONE])
    end(slow)
    with pytest.raises(type(error)):  # in time, so that it is said
        patient.notify([ONE])
    assert slow.told == [ONE.key, ONE.key]


def test_answers_that_nobody_asks_for_are_not_kept_for_ever(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_time, "CALL_SIZE_MAX", 1)
    patient = InTime(slow, patience=SHORT)
    patient.notify([ONE, OTHER])
    end(slow)
    patient.notify([])
    assert patient.notify([OTHER, ONE]) == {ONE.key: Accepted(), OTHER.key: Accepted()}
    assert slow.told == [ONE.key, OTHER.key, ONE.key]


def test_an_adapter_that_hangs_holds_up_no_other_of_the_site(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InTime.__init__, "__kwdefaults__", {"patience": SHORT})
    adapters = {EAST: ports_of(open_simulated()), WEST: ports_of(open_simulated(), notifier=slow)}
    site = route_site(switchboard(adapters, route(EAST, "c0"), route(WEST, "c1")))
    assert site.notifier.notify([ONE, OTHER]) == {ONE.key: Accepted(), OTHER.key: LATER}
    stranger = notice("c7-n000")
    found = site.notifier.notify([ONE, stranger])
    assert found[ONE.key] == Accepted()
    assert isinstance(found[stranger.key], Denied)
    assert Unsure() not in found.values()
