"""The rooms of windows while a day is conducted: told on time, once, in the numbers of the status, and held by a go."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.simulation import small, stagehand
from tests.simulation.crashing import Killed, Saboteur
from tests.simulation.rooms import ROUGH, WINDOW, lines, rig, told

from fermata.cli.main import main
from fermata.domain.ids import CampaignId, RunId, TeamId, UpdateId
from fermata.domain.phases import GoPhase, Phases
from fermata.domain.policy import Verdict
from fermata.domain.reasons import Code
from fermata.domain.room import Bridge, Message, MessageKind
from fermata.domain.room_words import next_half_hour
from fermata.domain.run_states import RunState, WindowState
from fermata.services import intents
from fermata.services import runs as run_service
from fermata.services.errors import Refusal
from fermata.services.intents import Wanted
from fermata.services.room_telling import StoreRooms
from fermata.services.rooms import (
    AnswerOrder,
    BridgeOrder,
    GoOrder,
    HandoverOrder,
    NoteOrder,
    RoomOrder,
    Speaker,
    show_room,
    speak,
)
from fermata.store import consent, inventory, journal, rooms, runs

MINUTE = timedelta(minutes=1)
GO = Phases(go_windows=frozenset({GoPhase.FULL}))


def say(found: stagehand.Rig, said: RoomOrder, *, actor: str = "ann") -> None:
    speak(found.database, Speaker(window=WINDOW, actor=actor, at=found.clock.now()), said)


def state_of(found: stagehand.Rig) -> tuple[WindowState, Code | None]:
    with found.database.read() as conn:
        row = runs.load_window(conn, found.run, WINDOW)
    assert row is not None
    return row.state, row.reason.code if row.reason else None  # type: ignore[return-value]


class _Beside:
    """Asks for the status of the command line at the moment of every message."""

    def __init__(self, found: stagehand.Rig, capture: pytest.CaptureFixture[bytes]) -> None:
        self._found, self._capture = found, capture
        self._real = StoreRooms(found.database)
        self.seen: list[tuple[Message, dict[str, Any]]] = []

    def tend(self, run: RunId, now: datetime) -> datetime | None:
        before = len(told(self._found))
        due = self._real.tend(run, now)
        for message in told(self._found)[before:]:
            assert message.at == now
            self.seen.append((message, self._ask()))
        return due

    def _ask(self) -> dict[str, Any]:
        self._capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["status", "--json", "--store", str(self._found.folder / "store.sqlite")])
        assert not ended.value.code
        (window,) = json.loads(self._capture.readouterr().out)["windows"]
        return dict(window)


def test_a_whole_day_is_told_in_the_numbers_of_the_status(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    found = rig(tmp_path, faults=ROUGH)
    found.rooms = beside = _Beside(found, capfdbinary)
    found.conduct()
    assert len(beside.seen) >= 5
    assert {message.kind for message, _ in beside.seen} >= {MessageKind.OPENED, MessageKind.UPDATE, MessageKind.CLOSED}
    assert any(message.figures.in_tail for message, _ in beside.seen)
    for message, window in beside.seen:
        figures = message.figures
        for name in ("state", "nodes", "taken", "returned", "kept_out", "working", "in_tail", "behind_minutes"):
            assert window[name] == getattr(figures, name), (message.at, name)
        assert figures.left_out == sum(len(group["nodes"]) for group in window["left_out"])
        forecast = window["forecast"] or {}
        enough = forecast.get("enough") or {}
        for name in ("median", "bound"):
            assert (_at(enough[name]) if enough else None) == getattr(figures, name)
        assert forecast.get("kept") == figures.kept
        assert _said_of(message)[:2] == [window["returned"], window["taken"]]


def _said_of(message: Message) -> list[int]:
    """The numbers that stand in what is done: in the words themselves."""
    return [int(number) for number in re.findall(r"\d+", message.done or message.title.partition(", ")[2])]


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_messages_come_at_the_start_on_every_half_hour_and_at_the_end(tmp_path: Path) -> None:
    found = rig(tmp_path)
    found.conduct()
    made = told(found)
    assert made[0].at == small.START
    assert [message.number for message in made] == list(range(1, len(made) + 1))
    for before, after in pairwise(made):
        assert after.at == next_half_hour(before.at) or after.kind in (MessageKind.CHANGED, MessageKind.CLOSED)
    with found.database.read() as conn:
        row = runs.load_window(conn, found.run, WINDOW)
    assert row is not None
    assert made[-1].at == row.closed_at
    assert "the promise, back by 19:00, was kept" in made[-1].forecast


def test_every_message_is_announced_once_in_its_own_words_under_one_key(tmp_path: Path) -> None:
    found = rig(tmp_path)
    found.conduct(until=small.START + 31 * MINUTE)
    say(found, HandoverOrder(to="ann"))
    found.conduct()
    with found.database.read() as conn:
        sent = journal.read(conn, limit=10_000, subject=f"incident:window:{WINDOW}")
    made = told(found)
    assert [line.data["subject"] for line in sent] == [message.title for message in made]
    assert [line.data["text"].split("\n")[0] for line in sent] == [message.done or message.left for message in made]
    assert [line.data["facts"]["returned"] for line in sent] == [message.figures.returned for message in made]
    events = [line.event for line in sent]
    assert (events[0], events[-1], events.count("incident.acknowledged")) == ("incident.opened", "incident.closed", 1)
    assert {tuple(line.data["teams"]) for line in sent} == {("hosts", "switches")}
    assert all(line.data["customers"] == line.data["clusters"] == [] for line in sent), "customers have notices"


def test_the_site_s_bridge_is_set_before_the_first_message(tmp_path: Path) -> None:
    found = rig(tmp_path, bridge="https://meet.example/{cluster}/{window}")
    found.conduct(until=small.START + MINUTE)
    first, second = lines(found)
    assert first.what == Bridge(url="https://meet.example/c0/win-c0")
    assert isinstance(second.what, Message)
    assert second.what.bridge == "https://meet.example/c0/win-c0"
    assert "Bridge: https://meet.example/c0/win-c0" in second.what.door


@pytest.mark.timeout(300)
def test_killed_at_every_point_it_tells_the_same_as_if_it_never_was(tmp_path: Path) -> None:
    calm = rig(_folder(tmp_path, "calm"), nodes=4, faults=ROUGH)
    calm.conduct()
    found = rig(_folder(tmp_path, "killed"), nodes=4, faults=ROUGH)
    spared: set[tuple[object, str]] = set()

    def kills(_number: int, point: str) -> bool:
        place = (found.clock.now(), point)
        if place in spared:
            return False
        spared.add(place)
        return True

    saboteur, killed = Saboteur(kills), 0
    while True:
        found.site = saboteur.around(found.site)
        found.rooms = _Torn(StoreRooms(found.database), saboteur)
        try:
            run = found.conduct(crash=saboteur)
            break
        except Killed:
            killed += 1
            found.restart()
    assert run.state is RunState.FINISHED
    assert killed > 50
    assert {"before rooms", "after rooms"} <= set(saboteur.names)
    assert [_facts(message) for message in told(found)] == [_facts(message) for message in told(calm)]


def _facts(message: Message) -> object:
    """All but the forecast, which is made anew at every start."""
    kind = MessageKind.UPDATE if message.kind is MessageKind.QUIET else message.kind
    figures = replace(message.figures, median=None, bound=None, kept=None, behind_minutes=None)
    return message.number, message.at, kind, figures


class _Torn:
    """Killed after the messages are stored and before anybody knows."""

    def __init__(self, real: StoreRooms, crash: Callable[[str], None]) -> None:
        self._real = real
        self._crash = crash

    def tend(self, run: RunId, now: datetime) -> datetime | None:
        due = self._real.tend(run, now)
        self._crash("rooms told")
        return due


def test_asked_twice_at_one_moment_nothing_is_told_twice(tmp_path: Path) -> None:
    found = rig(tmp_path)
    found.conduct(until=small.START + 61 * MINUTE)
    before = lines(found)
    for _ in range(3):
        StoreRooms(found.database).tend(found.run, found.clock.now())
    assert lines(found) == before


def test_a_window_whose_phase_asks_for_a_go_waits_for_it_and_opens_with_it(tmp_path: Path) -> None:
    found = rig(tmp_path, campaign=replace(small.campaign(), phases=GO))
    found.conduct(until=small.START + 20 * MINUTE)
    assert state_of(found) == (WindowState.WAITING, Code.GO_AWAITED)
    assert any("A go or no-go for the window" in need for need in told(found)[-1].needs)
    say(found, GoOrder(is_go=False, why="the switch team is not there"))
    found.conduct(until=found.clock.now() + 10 * MINUTE)
    assert state_of(found) == (WindowState.WAITING, Code.NO_GO)
    assert "the switch team is not there" in told(found)[-1].done
    said_at = found.clock.now()
    say(found, GoOrder(is_go=True, why="they are"))
    found.conduct(until=said_at + 1 * MINUTE)
    assert state_of(found)[0] is WindowState.OPEN
    opened = next(message for message in told(found) if message.figures.state is WindowState.OPEN)
    assert opened.kind is MessageKind.CHANGED
    assert found.conduct().state is RunState.FINISHED


def test_a_go_lets_nothing_begin_that_an_operator_or_a_missing_consent_forbids(tmp_path: Path) -> None:
    found = rig(tmp_path, campaign=replace(small.campaign(), phases=GO))
    say(found, GoOrder(is_go=True, why="all here"))
    intents.say(
        found.database, Wanted(window=WINDOW), run_service.Desired.PAUSE, now=found.clock.now(), actor="ann", why="hold"
    )
    found.conduct(until=small.START + 30 * MINUTE)
    assert state_of(found) == (WindowState.WAITING, Code.HELD_BY_OPERATOR)
    with found.database.begin() as conn:
        consent.append_entry(conn, small.approval(small.catalogue(), Verdict.WITHDRAWN, seq=2))
    intents.say(
        found.database, Wanted(window=WINDOW), run_service.Desired.RUN, now=found.clock.now(), actor="ann", why="go on"
    )
    found.conduct(until=small.START + 60 * MINUTE)
    assert state_of(found)[0] is WindowState.SKIPPED
    assert told(found)[-1].kind is MessageKind.CLOSED
    assert "It did not run" in told(found)[-1].done


def test_where_nothing_asks_for_it_a_no_go_holds_all_the_same(tmp_path: Path) -> None:
    found = rig(tmp_path)
    say(found, GoOrder(is_go=False, why="a storm"))
    found.conduct(until=small.START + 30 * MINUTE)
    assert state_of(found) == (WindowState.WAITING, Code.NO_GO)


def test_an_update_that_asks_for_a_go_begins_on_no_node_before_it(tmp_path: Path) -> None:
    phases = Phases(go_updates=frozenset({UpdateId("nic")}))
    found = rig(tmp_path, campaign=replace(small.campaign(), phases=phases), nodes=8)
    found.conduct(until=small.START + 150 * MINUTE)
    assert state_of(found)[0] is WindowState.OPEN
    assert _writes(found, "nic") == 0
    assert _writes(found, "bmc") > 0
    waiting = [op.reason for op in found.ops() if op.reason is not None and op.reason.code is Code.GO_AWAITED]
    assert waiting
    assert "fermata room go win-c0 --update nic" in waiting[0].sentence
    say(found, GoOrder(topic="nic", is_go=True, why="leaf is fine"))
    assert found.conduct().state is RunState.FINISHED
    assert _writes(found, "nic") == 8


def test_a_word_on_an_update_counts_for_the_tail_of_a_window_that_is_closed(tmp_path: Path) -> None:
    phases = Phases(go_updates=frozenset({UpdateId("nic")}))
    found = rig(tmp_path, campaign=replace(small.campaign(), phases=phases), nodes=8)
    found.conduct(until=small.START + timedelta(hours=9))
    assert state_of(found)[0] is WindowState.CLOSED
    assert _writes(found, "nic") == 0
    say(found, GoOrder(topic="nic", is_go=True, why="late, and fine"))
    assert found.conduct().state is RunState.FINISHED
    assert _writes(found, "nic") == 8
    with pytest.raises(Refusal, match="WINDOW_OVER"):
        say(found, GoOrder(topic="nic", is_go=False, why="too late"))


def _writes(found: stagehand.Rig, update: str) -> int:
    with found.database.read() as conn:
        ended = list(journal.read_events(conn, ("step.ended",)))
    return sum(line.data.get("step") == f"apply:{update}" for line in ended)


def test_answers_hand_overs_and_the_bridge_stand_in_the_room_and_in_the_journal(tmp_path: Path) -> None:
    found = rig(tmp_path)
    found.conduct(until=small.START + 5 * MINUTE)
    say(found, AnswerOrder(team=TeamId("hosts"), text="two of us"), actor="bo")
    say(found, AnswerOrder(team=TeamId("hosts")), actor="cy")
    say(found, HandoverOrder(to="ann", points=("rack 7 is warm",)))
    say(found, HandoverOrder(to="dee"), actor="ann")
    say(found, BridgeOrder(url="https://meet.example/1"))
    say(found, BridgeOrder(url="https://meet.example/1"))
    say(found, NoteOrder(text="coffee is out"))
    facts = show_room(found.database, WINDOW).gathered.facts
    hosts = next(one for one in facts.book.called if one.team == "hosts")
    assert (hosts.answered_by, hosts.text, hosts.late_minutes(found.clock.now())) == ("bo", "two of us", 0)
    assert (facts.book.holder, facts.book.bridge) == ("dee", "https://meet.example/1")
    with found.database.read() as conn:
        events = [line.event for line in journal.read(conn, limit=10_000) if line.event.startswith("room.")]
    assert events == ["room.answered", "room.handed_over", "room.handed_over", "room.bridge_set", "room.noted"]
    handed = [line.what for line in lines(found) if hasattr(line.what, "points")]
    assert handed[0].points[0] == "rack 7 is warm"
    assert any("switches" in point for point in handed[0].points)
    assert not any("Nobody has the room" in point for point in handed[0].points)
    assert (handed[1].before, handed[1].after) == ("ann", "dee")
    found.conduct(until=found.clock.now() + 1 * MINUTE)
    assert told(found)[-1].kind is MessageKind.CHANGED
    assert (told(found)[-1].holder, told(found)[-1].bridge) == ("dee", "https://meet.example/1")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (AnswerOrder(team=TeamId("host")), Code.TEAM_NOT_CALLED),
        (GoOrder(is_go=True, why=" "), Code.WHY_MISSING),
        (GoOrder(topic="nicc", is_go=True, why="x"), Code.GO_OF_NOTHING),
        (GoOrder(is_go=True, why="x"), Code.GO_TOO_LATE),
        (NoteOrder(text="  "), Code.WHY_MISSING),
        (HandoverOrder(to=" "), Code.WHY_MISSING),
        (BridgeOrder(url="javascript:alert(1)"), Code.BRIDGE_UNUSABLE),
        (BridgeOrder(url="https://"), Code.BRIDGE_UNUSABLE),
        (BridgeOrder(url="https://a b"), Code.BRIDGE_UNUSABLE),
        (BridgeOrder(url="https://a/" + "x" * 600), Code.BRIDGE_UNUSABLE),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(tmp_path: Path, said: RoomOrder, code: Code) -> None:
    found = rig(tmp_path)
    found.conduct(until=small.START + 5 * MINUTE)
    before = lines(found)
    with pytest.raises(Refusal) as refused:
        say(found, said)
    assert refused.value.reason.code is code
    assert lines(found) == before


def test_of_a_window_that_is_not_there_or_over_nothing_is_said(tmp_path: Path) -> None:
    found = rig(tmp_path)
    with pytest.raises(Refusal, match=r"RUN_WINDOW_UNKNOWN.*nearest is win-c0"):
        speak(found.database, Speaker(window="win-c1", actor="ann", at=small.NOW), NoteOrder(text="x"))  # type: ignore[arg-type]
    found.conduct()
    for said in (AnswerOrder(team=TeamId("hosts")), BridgeOrder(url="https://a.example")):
        with pytest.raises(Refusal, match="WINDOW_OVER"):
            say(found, said)
    say(found, NoteOrder(text="that was it"))


def test_who_comes_after_the_day_tells_nothing_of_it(tmp_path: Path) -> None:
    found = rig(tmp_path)
    found.rooms = None
    found.conduct()
    StoreRooms(found.database).tend(found.run, small.START + timedelta(days=2))
    assert told(found) == []


def test_the_campaign_is_stored_with_what_it_asks_a_go_for(tmp_path: Path) -> None:
    phases = Phases(go_windows=frozenset({GoPhase.CONTROL}), go_updates=frozenset({UpdateId("nic")}))
    found = rig(tmp_path, campaign=replace(small.campaign(), phases=phases))
    with found.database.read() as conn:
        assert inventory.load_campaign(conn, CampaignId("small")).phases == phases
        assert rooms.last_messages(conn, found.run) == {}


def _folder(parent: Path, name: str) -> Path:
    made = parent / name
    made.mkdir()
    return made
