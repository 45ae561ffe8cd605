"""The rooms of windows: what is told in them, made from the status, and what people say there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from fermata.domain.ids import CampaignId, RunId, TeamId, UpdateId, WindowId
from fermata.domain.operations import Run, WindowRun
from fermata.domain.reasons import Code, reason
from fermata.domain.room import (
    BRIDGE_MAX,
    BRIDGE_SCHEMES,
    OVER,
    START,
    Answer,
    Bridge,
    Go,
    Handover,
    Message,
    Note,
    RoomLine,
    Said,
    is_bridge,
)
from fermata.domain.room_words import due_at
from fermata.domain.run_states import NOT_OPENED_YET, WindowState
from fermata.services.errors import Refusal, nearest
from fermata.services.room_facts import Gathered, Sources
from fermata.services.run_status import assemble
from fermata.services.run_views import RunStatus
from fermata.services.runs import find_run
from fermata.store import journal, rooms, runs, unit_ops, wakes
from fermata.store.database import Connection, Database
from fermata.store.journal import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomView:
    """A room as it is at `as_of`: `told` has its messages, `lines` all else, both the newest first.

    `needs`: of the last message. `bridge`, `holder` "": none yet. `opens_at`: when the window starts, while nothing was
    told yet. `is_over`: the last message was told.
    """

    gathered: Gathered
    as_of: datetime
    opens_at: datetime | None
    is_over: bool
    told: tuple[Message, ...]
    lines: tuple[RoomLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomLineShort:
    """One window of a run in the list of rooms. `last` None: nothing was told there yet."""

    window: WindowId
    state: WindowState
    planned_start: datetime
    last: Message | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomList:
    """The rooms of a run by planned start."""

    run: RunId
    as_of: datetime
    rooms: tuple[RoomLineShort, ...]


def show_room(
    database: Database,
    window: WindowId,
    *,
    campaign: CampaignId | None = None,
) -> RoomView:
    """The room of a window of the campaign's newest run, as of the instant up to which that was worked on. Refused when
    there is no such window.
    """
    with database.read() as conn:
        found = find_run(conn, campaign, live=False)
        _require(conn, found.id, window)
        lines, status = rooms.load_lines(conn, found.id, window), assemble(conn, found, found.clock_at)
        gathered = Sources().gather(conn, found, status, window, lines, found.clock_at)
    assert gathered is not None, "a run has a status of each of its windows"
    return view_room(gathered, lines)


def look_into(
    database: Database, status: RunStatus, window: WindowId, now: datetime, sources: Sources
) -> RoomView | None:
    """The room of a window of a run whose status was read already; None when it has no such window."""
    with database.read() as conn:
        run = runs.load_run(conn, status.run)
        assert run is not None, "its status was read"
        lines = rooms.load_lines(conn, run.id, window)
        gathered = sources.gather(conn, run, status, window, lines, now)
    return view_room(gathered, lines) if gathered is not None else None


def view_room(gathered: Gathered, lines: Sequence[RoomLine]) -> RoomView:
    """The room as it is shown."""
    told = tuple(line.what for line in reversed(lines) if isinstance(line.what, Message))
    return RoomView(
        gathered=gathered,
        as_of=gathered.facts.at,
        opens_at=None if told else gathered.facts.planned_start,
        is_over=bool(told) and due_at(told[0], gathered.facts.at) is None,
        told=told,
        lines=tuple(line for line in reversed(lines) if not isinstance(line.what, Message)),
    )


def list_rooms(database: Database, campaign: CampaignId | None = None) -> RoomList:
    """Every window of the newest run, with what was told in its room last. Refused when there is no run."""
    with database.read() as conn:
        run = find_run(conn, campaign, live=False)
        lasts = rooms.last_messages(conn, run.id)
        rows = runs.load_windows(conn, run.id)
    found = (
        RoomLineShort(window=row.window, state=row.state, planned_start=row.planned_start, last=lasts.get(row.window))
        for row in rows
    )
    return RoomList(run=run.id, as_of=run.clock_at, rooms=tuple(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Who says something, when, in the room of which window: of the campaign's newest run, or of the only one."""

    window: WindowId
    actor: str
    at: datetime
    campaign: CampaignId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerOrder:
    """A team is there, and what it adds."""

    team: TeamId
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoOrder:
    """Go or no-go on START or on an update of the window, and why."""

    topic: str = START
    is_go: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteOrder:
    """Something that others should know."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoverOrder:
    """Who has the room from now on, and what is open beside what the room asks for itself."""

    to: str
    points: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeOrder:
    """Where people meet from now on."""

    url: str


RoomOrder = AnswerOrder | GoOrder | NoteOrder | HandoverOrder | BridgeOrder


def speak(database: Database, by: Speaker, said: RoomOrder) -> RoomLine:
    """Records what a person says in a room. Returns its line, the earlier one where it says nothing new. Refused in
    general for a window that the run does not have; by word, see below.
    """
    match said:
        case AnswerOrder(team=team, text=text):
            return _answer(database, by, team, text)
        case GoOrder():
            return _say_go(database, by, said)
        case NoteOrder(text=text):
            return _note(database, by, text)
        case HandoverOrder(to=to, points=points):
            return _hand_over(database, by, to, points)
        case BridgeOrder(url=url):
            return _set_bridge(database, by, url)
        case _:
            assert_never(said)


def _answer(database: Database, by: Speaker, team: TeamId, text: str) -> RoomLine:
    """A team is there. A second answer of it changes nothing and returns the first. Refused for a team that has no step
    in the window, and once the window is over.
    """
    with database.begin() as conn:
        run = _find(conn, by, verb="answer")
        turns = Sources().turns(conn, run, by.window)
        teams = [turn.team for turn in turns]
        if team not in teams:
            known = ", ".join(teams) or "none"
            told = nearest(team, teams)
            raise Refusal(reason(Code.TEAM_NOT_CALLED, team=team, window=by.window, nearest=told, teams=known))
        said = Answer(team=team, text=text.strip())
        for line in rooms.load_lines(conn, run.id, by.window):
            if isinstance(line.what, Answer) and line.what.team == team:
                return line
        return _say(conn, run, by, said, why=said.text)


def _say_go(database: Database, by: Speaker, word: GoOrder) -> RoomLine:
    """A person's go or no-go on the start of a window, or on one of its updates. It lets nothing begin that consent,
    freezes, gates or an operator's word forbid. Refused without a reason, for an update that the window does not bring,
    for the start of a window that is open, and once nothing is left of it.
    """
    verb, topic = "go" if word.is_go else "no-go", word.topic
    if not word.why.strip():
        raise Refusal(reason(Code.WHY_MISSING, verb=f"room {verb}"))
    with database.begin() as conn:
        run = _find(conn, by)
        row = _require(conn, run.id, by.window)
        if row.state in OVER and not _has_tail(conn, row):
            raise Refusal(reason(Code.WINDOW_OVER, window=by.window, state=row.state, verb=verb))
        if topic == START and row.state not in NOT_OPENED_YET:
            raise Refusal(reason(Code.GO_TOO_LATE, window=by.window))
        updates = Sources().updates(conn, run, by.window)
        if topic != START and UpdateId(topic) not in updates:
            told = nearest(topic, updates)
            known = ", ".join(updates) or "none"
            raise Refusal(reason(Code.GO_OF_NOTHING, window=by.window, update=topic, nearest=told, updates=known))
        said = Go(topic=topic, is_go=word.is_go, why=word.why.strip(), planned_start=row.planned_start)
        line = _say(conn, run, by, said, why=said.why)
        wakes.hint(conn)
        return line


def _note(database: Database, by: Speaker, text: str) -> RoomLine:
    """Something that others should know. Refused when it is empty."""
    if not text.strip():
        raise Refusal(reason(Code.WHY_MISSING, verb="room note"))
    with database.begin() as conn:
        run = _find(conn, by)
        return _say(conn, run, by, Note(text=text.strip()), why=text.strip())


def _hand_over(database: Database, by: Speaker, to: str, points: Sequence[str]) -> RoomLine:
    """Somebody else has the room from now on. What is open is `points`, and what the room asks for now. Refused when
    nobody is named.
    """
    if not to.strip():
        raise Refusal(reason(Code.WHY_MISSING, verb="room handover"))
    with database.begin() as conn:
        run = _find(conn, by)
        lines = rooms.load_lines(conn, run.id, by.window)
        before = next((line.what.after for line in reversed(lines) if isinstance(line.what, Handover)), "")
        taken = [*lines, _line(run, by, Handover(before=before, after=to.strip(), points=()))]
        gathered = Sources().gather(conn, run, assemble(conn, run, by.at), by.window, taken, by.at)
        asked = gathered.open_points() if gathered is not None else ()
        open_points = tuple(dict.fromkeys((*(p.strip() for p in points if p.strip()), *asked)))
        said = Handover(before=before, after=to.strip(), points=open_points)
        line = _say(conn, run, by, said, why="; ".join(said.points))
        wakes.hint(conn)
        return line


def _set_bridge(database: Database, by: Speaker, url: str) -> RoomLine:
    """Where people meet from now on. The same link again changes nothing. Refused for what is no link, and once the
    window is over.
    """
    url = url.strip()
    if not is_bridge(url):
        raise Refusal(
            reason(Code.BRIDGE_UNUSABLE, url=url[:80] or "nothing", most=BRIDGE_MAX, schemes=", ".join(BRIDGE_SCHEMES))
        )
    with database.begin() as conn:
        run = _find(conn, by, verb="meet about")
        lines = rooms.load_lines(conn, run.id, by.window)
        last = next((line for line in reversed(lines) if isinstance(line.what, Bridge)), None)
        if last is not None and last.what == Bridge(url=url):
            return last
        line = _say(conn, run, by, Bridge(url=url), why=url)
        wakes.hint(conn)
        return line


def _find(conn: Connection, by: Speaker, *, verb: str = "") -> Run:
    """The run. Refused where there is no such window and, with `verb`, once it is over."""
    run = find_run(conn, by.campaign, live=False)
    row = _require(conn, run.id, by.window)
    if verb and row.state in OVER:
        raise Refusal(reason(Code.WINDOW_OVER, window=by.window, state=row.state, verb=verb))
    return run


def _has_tail(conn: Connection, row: WindowRun) -> bool:
    """True while work goes on with units of a window that is closed."""
    ops = unit_ops.ops_of_window(conn, row.run, row.window) if row.state is WindowState.CLOSED else ()
    return any(op.finished_at is None for op in ops)


def _require(conn: Connection, run: RunId, window: WindowId) -> WindowRun:
    row = runs.load_window(conn, run, window)
    if row is None:
        known = [found.window for found in runs.load_windows(conn, run)]
        raise Refusal(reason(Code.RUN_WINDOW_UNKNOWN, run=run, window=window, nearest=nearest(window, known)))
    return row


def _say(conn: Connection, run: Run, by: Speaker, said: Said, *, why: str) -> RoomLine:
    line = rooms.append_line(conn, _line(run, by, said))
    event, data = _event(said)
    subject = f"window:{by.window}"
    journal.append(conn, Entry(at=by.at, actor=by.actor, event=event, subject=subject, why=why, data=data))
    return line


def _line(run: Run, by: Speaker, said: Said) -> RoomLine:
    return RoomLine(run=run.id, window=by.window, at=by.at, actor=by.actor, what=said)


def _event(said: Said) -> tuple[str, dict[str, object]]:
    match said:
        case Answer(team=team):
            return "room.answered", {"team": team}
        case Go(topic=topic, is_go=is_go):
            return ("room.go" if is_go else "room.no_go"), {"topic": topic}
        case Note():
            return "room.noted", {}
        case Handover(before=before, after=after):
            return "room.handed_over", {"before": before, "after": after}
        case Bridge(url=url):
            return "room.bridge_set", {"url": url}
        case Message():
            raise AssertionError("messages are the conductor's")
