"""What the customer of a window is told beside the room: of its own nodes, in its own words, when something changed."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.unit.domain.test_room_words import MINUTE, OPEN, OPENS, facts, forecast, line, tell, waiting

from fermata.domain.customer_words import add_own_words
from fermata.domain.ids import TeamId
from fermata.domain.reasons import Code
from fermata.domain.room import Answer, Bridge, Ended, Go, Handover, Message, MessageKind, OwnWords, RoomLine, TailUnit
from fermata.domain.room_words import RoomFacts
from fermata.domain.run_states import WindowState


def own(given: RoomFacts) -> OwnWords | None:
    return told(given).own


def told(given: RoomFacts) -> Message:
    return add_own_words(given, tell(given))


def after(given: RoomFacts) -> RoomLine:
    """The message of these facts, as a line of the room."""
    return line(told(given), at=given.at)


def words(given: RoomFacts) -> str:
    said = own(given)
    assert said is not None
    return "\n".join(said.lines)


def test_the_first_words_have_the_figures_of_the_message() -> None:
    found = own(facts(figures=replace(OPEN, returned=12, working=110, in_tail=6)))
    assert found is not None
    assert found.is_first
    assert found.lines == (
        "alpha: maintenance is under way, behind by 14 min, as of 11:00 PST",
        "Back in service: 12 of 128 nodes.",
        "Not back: 110 being worked on; 6 in repair.",
        "Forecast: 95 % back about 16:00, 9 in 10 by 16:30; back by 19:00 with 95 %.",
    )


def test_nothing_is_said_of_those_who_do_the_work_nor_of_a_unit() -> None:
    held = line(Handover(before="", after="zed", points=("rack 7 is warm",)))
    tail = (TailUnit(unit="alpha-n7", owner="dc-team", why="its fan failed"),)
    risky = facts(
        line(Bridge(url="https://meet.example/1")),
        held,
        line(Go(topic="nic", is_go=False, why="bo says no", planned_start=OPENS)),
        figures=replace(OPEN, in_tail=1, working=127),
        tail=tail,
        forecast=forecast(alarming=True),
    )
    stopped = waiting(code=Code.HELD_BY_OPERATOR)
    for given in (risky, stopped, replace(risky, figures=replace(OPEN, state=WindowState.CLOSED), closed_at=OPENS)):
        for secret in ("zed", "meet", "fermata ", "alpha-n7", "fan", "dc-team", "bo says", "NIC team", "frozen until"):
            assert secret not in words(given), (secret, words(given))
    assert "The promise, back by 19:00, is at risk." in words(risky)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (Code.FROZEN, "It waits for the end of a freeze. Looked at again 11:05."),
        (Code.APPROVAL_MISSING, "It waits for an approval. Looked at again 11:05."),
        (Code.GO_AWAITED, "It waits for the word of those who conduct it. Looked at again 11:05."),
        (Code.LIMIT_FULL, "It waits until all that it needs is there. Looked at again 11:05."),
    ],
)
def test_it_hears_why_its_window_waits_and_no_more_than_concerns_it(code: Code, said: str) -> None:
    found = words(waiting(code=code))
    assert said in found
    assert ("We need from you" in found) is (code is Code.APPROVAL_MISSING)
    assert "Planned 11:00 to 15:46. 128 nodes are in service as before." in found


def at(minutes: int) -> datetime:
    return OPENS + minutes * MINUTE


def test_it_hears_at_once_of_states_and_risks_and_of_nothing_that_is_the_room_s() -> None:
    first = after(facts())
    for change in (Bridge(url="https://b.example"), Handover(before="", after="ann", points=())):
        changed = facts(first, line(change), at=at(10))
        assert tell(changed).kind is MessageKind.CHANGED
        assert own(changed) is None
    assert "at risk" in words(facts(first, at=at(10), forecast=forecast(alarming=True)))
    moved = after(waiting())
    other = waiting(moved, code=Code.APPROVAL_MISSING, at=at(10))
    assert "for an approval" in words(other)
    limits = after(waiting(code=Code.LIMIT_FULL))
    assert own(waiting(limits, code=Code.WAITS_FOR_CAPACITY, at=at(10))) is None, "another limit is the same to it"


def test_at_half_hours_it_hears_of_counts_and_of_nothing_while_they_stand() -> None:
    first = after(facts())
    assert own(facts(first, at=at(30))) is None
    some = replace(OPEN, returned=5, working=123)
    assert "5 of 128" in words(facts(first, at=at(30), figures=some))
    assert own(facts(first, at=at(30), forecast=forecast(median=303), figures=replace(OPEN, median=at(303)))) is None
    assert own(facts(first, at=at(30), figures=replace(OPEN, median=at(320)))) is not None


def test_what_was_counted_when_only_the_room_heard_is_told_at_the_next_half_hour() -> None:
    first = after(facts())
    some = replace(OPEN, returned=5, working=123)
    there = [line(Answer(team=TeamId(name), text="")) for name in ("switches", "nics")]
    bridge = line(Bridge(url="https://b.example"))
    silent = facts(first, bridge, *there, at=at(10), figures=some)
    assert own(silent) is None
    second = after(silent)
    later = facts(first, bridge, *there, second, at=at(30), figures=some)
    assert told(later).kind is MessageKind.QUIET, "to the room nothing is new"
    assert "5 of 128" in words(later)


def test_the_end_is_always_told() -> None:
    first = after(facts())
    closed = facts(
        first,
        at=at(60),
        figures=replace(OPEN, state=WindowState.CLOSED, returned=127, working=0, in_tail=1),
        closed_at=at(60),
        ended=Ended(ready_at=at(55), kept_promise=True),
    )
    assert words(closed).endswith(
        "Not back: 1 in repair.\n"
        "Planned 11:00 to 15:46, open 11:00 to 12:00. "
        "Enough was back to ramp up at 11:55; the promise, back by 19:00, was kept."
    )
    missed = replace(closed, figures=replace(OPEN, state=WindowState.MISSED), opened_at=None, closed_at=None)
    assert "Nothing was begun" in words(missed)
    assert told(closed).at - OPENS == timedelta(hours=1)
