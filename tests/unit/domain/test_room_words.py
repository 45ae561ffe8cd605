"""When a room is told something, and in which words: tables of facts and what follows from them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fermata.domain.forecasts import BackAt, Forecast, Help, Remedy
from fermata.domain.ids import ClusterId, RunId, TeamId, UpdateId, WindowId
from fermata.domain.phases import GoPhase, Phases
from fermata.domain.reasons import Code, Reason
from fermata.domain.room import (
    START,
    Answer,
    Asked,
    Bridge,
    Figures,
    Go,
    Handover,
    Message,
    MessageKind,
    Note,
    Place,
    RoomLine,
    Said,
    TailUnit,
    Turn,
    asked_topics,
    hold_without_go,
    is_bridge,
    read_book,
)
from fermata.domain.room_words import RoomFacts, due_at, next_half_hour, next_message, say_line
from fermata.domain.run_states import WindowState

RUN, WINDOW = RunId("run_1"), WindowId("w1")
OPENS = datetime(2026, 1, 7, 19, tzinfo=UTC)  # 11:00 in Los Angeles
MINUTE = timedelta(minutes=1)
TURNS = (
    Turn(team=TeamId("switches"), updates=(UpdateId("leaf"),), starts_at=OPENS + 15 * MINUTE),
    Turn(team=TeamId("nics"), updates=(UpdateId("nic"), UpdateId("os")), starts_at=OPENS + 90 * MINUTE),
)
OPEN = Figures(
    state=WindowState.OPEN,
    nodes=128,
    taken=128,
    returned=0,
    kept_out=0,
    working=128,
    in_tail=0,
    left_out=0,
    behind_minutes=14,
    median=OPENS + 300 * MINUTE,
    bound=OPENS + 330 * MINUTE,
    kept=0.95,
)


def forecast(*, alarming: bool = False, median: int = 300) -> Forecast:
    enough = BackAt(share=0.95, nodes=121, median=OPENS + median * MINUTE, bound=OPENS + (median + 30) * MINUTE)
    return Forecast(
        run=RUN,
        window=WINDOW,
        at=OPENS,
        promised=OPENS + 480 * MINUTE,
        planned_end=OPENS + 286 * MINUTE,
        back=(enough,),
        enough=enough,
        kept=0.62 if alarming else 0.95,
        kept_end=0.4,
        late_minutes=14,
        helps=(Help(remedy=Remedy.ADD_TEAM, kept=0.91, sentence="add a NIC team"),) if alarming else (),
        is_alarming=alarming,
    )


def line(what: Said, at: datetime = OPENS, actor: str = "ann") -> RoomLine:
    return RoomLine(run=RUN, window=WINDOW, at=at, actor=actor, what=what)


def facts(*lines: RoomLine, at: datetime = OPENS, asked: tuple[str, ...] = (), **changed: object) -> RoomFacts:
    made = RoomFacts(
        place=Place(
            run=RUN, window=WINDOW, cluster=ClusterId("alpha"), part=1, parts=1, timezone="America/Los_Angeles"
        ),
        at=at,
        planned_start=OPENS,
        planned_end=OPENS + 286 * MINUTE,
        back_by=OPENS + 480 * MINUTE,
        opened_at=OPENS,
        closed_at=None,
        recheck_at=None,
        figures=OPEN,
        forecast=forecast(),
        why=None,
        tail=(),
        ended=None,
        book=read_book(lines, TURNS, asked, OPENS),
    )
    return replace(made, **changed)  # type: ignore[arg-type]


def waiting(*lines: RoomLine, code: Code = Code.FROZEN, at: datetime = OPENS, asked: tuple[str, ...] = ()) -> RoomFacts:
    figures = replace(OPEN, state=WindowState.WAITING, taken=0, working=0, behind_minutes=None, median=None, kept=None)
    why = Reason(code=code, sentence="It is frozen until 12:00.")
    return facts(
        *lines, at=at, asked=asked, figures=figures, opened_at=None, forecast=None, why=why, recheck_at=at + 5 * MINUTE
    )


def tell(given: RoomFacts) -> Message:
    made = next_message(given)
    assert made is not None
    return made


def test_nothing_is_told_before_the_start_and_the_first_message_calls_the_roll() -> None:
    ahead = replace(OPEN, state=WindowState.PLANNED, taken=0, working=0, behind_minutes=None)
    assert next_message(facts(at=OPENS - MINUTE, figures=ahead, opened_at=None, forecast=None)) is None
    first = tell(facts())
    assert (first.kind, first.number) == (MessageKind.OPENED, 1)
    assert first.roll == (
        "switches (leaf) from 11:15: no answer yet",
        "nics (nic, os) from 12:30: no answer yet",
    )
    assert first.title == "alpha: open, behind by 14 min, as of 11:00 PST"
    assert first.done == "Done: 0 of 128 nodes back."
    assert first.left == "Not done: 128 at work."
    assert first.forecast == "Forecast: 95 % back about 16:00, 9 in 10 by 16:30; back by 19:00 with 95 %."


NO_GO = Go(topic="nic", is_go=False, why="x", planned_start=OPENS)
CHANGES: dict[str, tuple[Callable[..., RoomFacts], MessageKind | None]] = {
    "nothing": (facts, None),
    "at risk": (lambda *lines: facts(*lines, forecast=forecast(alarming=True)), MessageKind.CHANGED),
    "waits": (waiting, MessageKind.CHANGED),
    "nodes are back": (lambda *lines: facts(*lines, figures=replace(OPEN, returned=5, working=123)), None),
    "forecast moves": (lambda *lines: facts(*lines, forecast=forecast(median=400)), None),
    "bridge": (lambda *lines: facts(*lines, line(Bridge(url="https://b.example"))), MessageKind.CHANGED),
    "holder": (lambda *lines: facts(*lines, line(Handover(before="", after="ann", points=()))), MessageKind.CHANGED),
    "no-go": (lambda *lines: facts(*lines, line(NO_GO)), MessageKind.CHANGED),
    "note": (lambda *lines: facts(*lines, line(Note(text="x"))), None),
    "answer": (lambda *lines: facts(*lines, line(Answer(team=TeamId("nics"), text=""))), None),
    "closed": (lambda *lines: facts(*lines, figures=replace(OPEN, state=WindowState.CLOSED)), MessageKind.CLOSED),
    "cancelled": (lambda *lines: facts(*lines, figures=replace(OPEN, state=WindowState.CANCELLED)), MessageKind.CLOSED),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_counts_is_told_at_once_and_the_rest_waits(name: str) -> None:
    changed, kind = CHANGES[name]
    told = line(tell(facts()))
    made = next_message(changed(told))
    assert (made.kind if made is not None else None) is kind


def test_the_half_hour_is_told_in_full_when_something_is_new_and_short_when_not() -> None:
    told = line(tell(facts()))
    assert next_message(facts(told, at=OPENS + 29 * MINUTE)) is None
    later = OPENS + 30 * MINUTE
    full = tell(facts(told, at=later, figures=replace(OPEN, returned=5, working=123)))
    assert full.kind is MessageKind.UPDATE
    assert full.done == "Done: 5 of 128 nodes back."
    quiet = tell(facts(told, at=later, figures=replace(OPEN, behind_minutes=17)))
    assert quiet.kind is MessageKind.UPDATE, "the team of the second hour is asked for by now"
    again = tell(facts(told, line(quiet), at=OPENS + 60 * MINUTE, figures=replace(OPEN, behind_minutes=17)))
    assert again.kind is MessageKind.QUIET
    assert again.title == "alpha: nothing new since 11:30, 0 of 128 nodes back, as of 12:00 PST"
    assert len(again.lines) == 3, "the forecast, and how much is needed still"
    moved = replace(OPEN, median=OPENS + 320 * MINUTE)
    assert tell(facts(told, line(quiet), at=OPENS + 60 * MINUTE, figures=moved)).kind is MessageKind.UPDATE


def test_quiet_ones_do_not_hide_a_slow_drift() -> None:
    """Each is compared with the last full message, not with the quiet one before."""
    lines = [line(Answer(team=turn.team, text="")) for turn in TURNS]
    lines.append(line(tell(facts(*lines, at=OPENS + 60 * MINUTE))))
    kinds = []
    for step in (1, 2, 3):
        drifted = replace(OPEN, median=OPENS + (300 + 2 * step) * MINUTE)
        made = tell(facts(*lines, at=OPENS + (60 + 30 * step) * MINUTE, figures=drifted))
        kinds.append(made.kind)
        lines.append(line(made))
    assert kinds == [MessageKind.QUIET, MessageKind.QUIET, MessageKind.UPDATE]


def test_once_told_nothing_more_is_told_of_the_same_facts() -> None:
    told: list[RoomLine] = []
    for given in (waiting, facts, lambda *lines: facts(*lines, figures=replace(OPEN, state=WindowState.CLOSED))):
        told.append(line(tell(given(*told))))
        assert next_message(given(*told)) is None
    assert due_at(told[-1].what, OPENS) is None  # type: ignore[arg-type]


def test_a_team_is_asked_for_from_an_hour_before_its_turn_until_it_answers() -> None:
    def teams(*lines: RoomLine, at: datetime) -> list[str]:
        return [need.split()[3].strip(",") for need in tell(facts(*lines, at=at)).needs if need.startswith("An answer")]

    assert teams(at=OPENS) == ["switches"]
    assert teams(at=OPENS + 30 * MINUTE) == ["switches", "nics"]
    answered = line(Answer(team=TeamId("switches"), text=""), at=OPENS + 20 * MINUTE)
    assert teams(answered, at=OPENS + 30 * MINUTE) == ["nics"]
    (called, _) = read_book([answered], TURNS, (), OPENS).called
    assert (called.late_minutes(OPENS + 30 * MINUTE), called.answered_by) == (5, "ann")
    (missing, _) = read_book([], TURNS, (), OPENS).called
    assert [missing.late_minutes(OPENS + at * MINUTE) for at in (0, 15, 27)] == [0, 0, 12]


def test_a_promise_at_risk_says_what_would_help() -> None:
    needs = tell(facts(forecast=forecast(alarming=True))).needs
    assert "The promise, back by 19:00, is at risk: 91 % if you add a NIC team" in needs


def test_the_first_answer_of_a_team_stands_and_the_newest_of_all_else() -> None:
    book = read_book(
        [
            line(Answer(team=TeamId("nics"), text="here"), actor="bo"),
            line(Answer(team=TeamId("nics"), text="me too"), actor="cy"),
            line(Bridge(url="https://a.example")),
            line(Bridge(url="https://b.example")),
            line(Handover(before="", after="ann", points=())),
            line(Handover(before="ann", after="dee", points=("rack 7",))),
            line(Go(topic=START, is_go=True, why="all here", planned_start=OPENS)),
            line(Go(topic=START, is_go=False, why="wait", planned_start=OPENS), actor="bo"),
        ],
        TURNS,
        (START,),
        OPENS,
    )
    assert book.called[1].answered_by == "bo"
    assert (book.bridge, book.holder) == ("https://b.example", "dee")
    (asked,) = book.asked
    assert isinstance(asked, Asked)
    assert asked.word is not None
    assert (asked.word.is_go, asked.by, asked.is_open) == (False, "bo", False)


def test_a_go_of_another_start_is_void_and_a_no_go_is_not() -> None:
    for is_go, counts in ((True, False), (False, True)):
        said = line(Go(topic=START, is_go=is_go, why="x", planned_start=OPENS - timedelta(days=1)))
        (asked,) = read_book([said], TURNS, (START,), OPENS).asked
        assert (asked.word is not None, asked.is_open) == (counts, not counts)


@pytest.mark.parametrize(
    ("word", "asked", "start", "code"),
    [
        (None, False, OPENS, None),
        (None, True, OPENS, Code.GO_AWAITED),
        (True, True, OPENS, None),
        (True, True, OPENS + 24 * 60 * MINUTE, Code.GO_AWAITED),
        (True, False, OPENS + 24 * 60 * MINUTE, None),
        (False, False, OPENS, Code.NO_GO),
        (False, True, OPENS, Code.NO_GO),
        (False, False, OPENS + 24 * 60 * MINUTE, Code.NO_GO),
    ],
)
@pytest.mark.parametrize("topic", [START, "nic"])
def test_what_a_word_lets_begin(word: bool | None, asked: bool, start: datetime, code: Code | None, topic: str) -> None:
    said = None if word is None else line(Go(topic=topic, is_go=word, why="x", planned_start=OPENS))
    held = hold_without_go(WINDOW, topic, said, is_asked=asked, planned_start=start)
    assert (held.code if held is not None else None) is code
    if held is not None:
        assert ("--update nic" in held.sentence) is (topic == "nic")


@pytest.mark.parametrize(
    ("phases", "is_control", "asked"),
    [
        (Phases(), False, ()),
        (Phases(go_windows=frozenset({GoPhase.CONTROL})), True, (START,)),
        (Phases(go_windows=frozenset({GoPhase.CONTROL})), False, ()),
        (Phases(go_windows=frozenset({GoPhase.FULL})), False, (START,)),
        (Phases(go_updates=frozenset({UpdateId("nic"), UpdateId("gone")})), False, ("nic",)),
        (Phases(go_windows=frozenset(GoPhase), go_updates=frozenset({UpdateId("os")})), True, (START, "os")),
    ],
)
def test_what_the_campaign_asks_a_go_for(phases: Phases, is_control: bool, asked: tuple[str, ...]) -> None:
    assert asked_topics(phases, (UpdateId("nic"), UpdateId("os")), is_control=is_control) == asked


def test_what_waits_for_a_go_is_needed_until_it_is_said() -> None:
    asked = waiting(code=Code.GO_AWAITED, asked=(START,))
    assert tell(asked).needs[0] == "A go or no-go for the window: `fermata room go w1 --reason ...`."
    gone = waiting(line(Go(topic=START, is_go=True, why="x", planned_start=OPENS)), asked=(START,))
    assert not any("go or no-go" in need for need in tell(gone).needs)


def test_the_tail_is_named_up_to_three_with_its_owners() -> None:
    tail = tuple(TailUnit(unit=f"n{i}", owner="hosts", why="No reboot.") for i in range(5))
    made = tell(facts(figures=replace(OPEN, working=123, in_tail=5), tail=tail))
    assert made.left == (
        "Not done: 123 at work; 5 on the tail list (n0 with hosts, n1 with hosts, n2 with hosts and 2 more)."
    )


@pytest.mark.parametrize(
    ("at", "after"), [((19, 0), (19, 30)), ((19, 1), (19, 30)), ((19, 29), (19, 30)), ((19, 59), (20, 0))]
)
def test_the_next_half_hour_is_always_after(at: tuple[int, int], after: tuple[int, int]) -> None:
    day = OPENS.replace(hour=0)
    assert next_half_hour(day + timedelta(hours=at[0], minutes=at[1], seconds=7)) == day + timedelta(
        hours=after[0], minutes=after[1]
    )


@pytest.mark.parametrize("url", ["https://meet.example/x", "http://10.0.0.1/", "tel:+14255550100", "sip:bridge@ex"])
def test_a_link_a_number_and_a_call_are_bridges(url: str) -> None:
    assert is_bridge(url)


@pytest.mark.parametrize(
    "url", ["", "meet", "javascript:alert(1)", "data:text/html,x", "https://", "https://[", "https://a b", "tel:"]
)
def test_what_nobody_can_open_is_no_bridge(url: str) -> None:
    assert not is_bridge(url)


def test_every_kind_of_line_is_said_in_a_sentence() -> None:
    said = [say_line(line(what)) for what in (
        Answer(team=TeamId("nics"), text=""),
        Go(topic=START, is_go=True, why="all here", planned_start=OPENS),
        Go(topic="nic", is_go=False, why="bad", planned_start=OPENS),
        Handover(before="ann", after="dee", points=("rack 7.", "a call")),
        Bridge(url="tel:1"),
        Note(text="coffee"),
    )]  # fmt: skip
    assert said == [
        "nics is there.",
        "go for its start: all here",
        "no-go for nic: bad",
        "ann hands over to dee. Open: rack 7; a call.",
        "bridge: tel:1",
        "coffee",
    ]
