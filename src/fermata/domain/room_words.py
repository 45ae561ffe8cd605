"""The message that a room is due, made from facts alone: what is done, what is not, the forecast, what is needed.

Told at every change that counts and at each half hour of the clock; short when nothing is new.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fermata.domain.forecasts import ON_TIME, Forecast, Timing, timing_of
from fermata.domain.reasons import Reason
from fermata.domain.room import (
    OVER,
    START,
    Answer,
    Asked,
    Bridge,
    Called,
    Ended,
    Figures,
    Go,
    Handover,
    Marks,
    Message,
    MessageKind,
    Note,
    Place,
    RoomBook,
    RoomLine,
    TailUnit,
)
from fermata.domain.run_states import NOT_OPENED_YET, WindowState
from fermata.domain.spoken import clock, foretold, moment, needs_you, nodes, span_words, zone_name
from fermata.domain.windows import calendar_day

CADENCE = timedelta(minutes=30)
CALLED_BEFORE = timedelta(hours=1)  # a team is asked for from so long before its start on
SHOWN = 3  # of a list in a message; longer ones are counted
MINUTE = timedelta(minutes=1)
_STATES = {
    WindowState.PLANNED: "starts",
    WindowState.WAITING: "waits",
    WindowState.OPEN: "open",
    WindowState.CLOSED: "closed",
    WindowState.MISSED: "missed",
    WindowState.SKIPPED: "skipped",
    WindowState.CANCELLED: "cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomFacts:
    """What is known of a window `at` one moment: its status, its nodes that are not back, and what people said.

    `why`: why it waits or did not run; `ended`: once it is closed.
    """

    place: Place
    at: datetime
    planned_start: datetime
    planned_end: datetime
    back_by: datetime
    opened_at: datetime | None
    closed_at: datetime | None
    recheck_at: datetime | None
    figures: Figures
    forecast: Forecast | None
    why: Reason | None
    tail: tuple[TailUnit, ...]
    ended: Ended | None
    book: RoomBook

    @property
    def has_begun(self) -> bool:
        """True from the window's start on, or from when it does more than to lie ahead."""
        return self.figures.state is not WindowState.PLANNED or self.at >= self.planned_start


def due_at(last: Message | None, planned_start: datetime) -> datetime | None:
    """When the next message is due if nothing changes before; None: the room is closed."""
    if last is None:
        return planned_start
    return None if last.kind is MessageKind.CLOSED else next_half_hour(last.at)


def is_past(state: WindowState, back_by: datetime, now: datetime) -> bool:
    """True of a window of which it is too late to begin to tell: another plan took it away, or its day is over."""
    return state is WindowState.CANCELLED or (state in OVER and now >= back_by + CADENCE)


def next_half_hour(at: datetime) -> datetime:
    """The first half hour of the clock after `at`."""
    whole = at.replace(minute=0, second=0, microsecond=0)
    return whole + CADENCE * ((at - whole) // CADENCE + 1)


def next_message(facts: RoomFacts) -> Message | None:
    """The message that is due, or None. The same facts after the message was told: None."""
    kind = _kind(facts)
    if kind is None:
        return None
    told = facts.book.messages
    full = next((message for message in reversed(told) if message.kind is not MessageKind.QUIET), None)
    made = _tell(facts, kind, len(told) + 1)
    if kind is MessageKind.UPDATE and full is not None and _is_nothing_new(full, made):
        return _hush(facts, made, full)
    return made


def _kind(facts: RoomFacts) -> MessageKind | None:
    last = facts.book.messages[-1] if facts.book.messages else None
    if last is None and (not facts.has_begun or is_past(facts.figures.state, facts.back_by, facts.at)):
        return None
    if last is not None and last.kind is MessageKind.CLOSED:
        return None
    if facts.figures.state in OVER:
        return MessageKind.CLOSED
    if last is None:
        return MessageKind.OPENED
    if last.marks != find_marks(facts):
        return MessageKind.CHANGED
    return MessageKind.UPDATE if facts.at >= next_half_hour(last.at) else None


def find_marks(facts: RoomFacts) -> Marks:
    """What is told at once when it changes."""
    waits = facts.figures.state in NOT_OPENED_YET
    return Marks(
        state=facts.figures.state,
        code=facts.why.code.value if facts.why is not None and waits else "",
        is_alarming=facts.forecast is not None and facts.forecast.is_alarming,
        bridge=facts.book.bridge,
        holder=facts.book.holder,
        words=tuple((one.topic, one.word.is_go) for one in facts.book.asked if one.word is not None),
    )


def _is_nothing_new(before: Message, now: Message) -> bool:
    """True when nothing that is counted or said of it has changed."""
    return counts_alike(before.figures, now.figures) and before.needs == now.needs and before.left == now.left


def counts_alike(then: Figures, here: Figures) -> bool:
    """True when all that is counted is as it was, and the forecast has moved by no more than it can tell."""
    if _counted(then) != _counted(here):
        return False
    if then.median is None or here.median is None:
        return then.median is here.median
    return abs(here.median - then.median) <= ON_TIME


def _counted(figures: Figures) -> Figures:
    return replace(figures, median=None, bound=None, kept=None, behind_minutes=None)


def _hush(facts: RoomFacts, made: Message, full: Message) -> Message:
    """The short one. Its numbers are those of now, as of every message."""
    since = say_time(facts, full.at)
    counts = _counts(facts.figures)
    needs = f"Still needed: {len(made.needs)}, as told at {since}." if made.needs else ""
    title = f"{say_place(facts.place)}: nothing new since {since}, {counts}, as of {say_now(facts)}"
    return replace(made, kind=MessageKind.QUIET, title=title, done="", left=needs, needs=())


def _tell(facts: RoomFacts, kind: MessageKind, number: int) -> Message:
    book, figures = facts.book, facts.figures
    is_open = figures.state is WindowState.OPEN
    return Message(
        number=number,
        kind=kind,
        at=facts.at,
        timezone=facts.place.timezone,
        planned_start=facts.planned_start,
        planned_end=facts.planned_end,
        teams=tuple(one.team for one in book.called),
        title=_title(facts),
        done=_done(facts),
        left=_left(facts),
        forecast=say_forecast(facts) if is_open else _ended(facts),
        needs=open_needs(facts),
        roll=_roll(facts) if kind is MessageKind.OPENED else (),
        bridge=book.bridge,
        holder=book.holder,
        figures=figures,
        marks=find_marks(facts),
    )


def say_place(place: Place) -> str:
    """alpha, or alpha part 1 of 2."""
    return place.cluster + (f" part {place.part} of {place.parts}" if place.parts > 1 else "")


def say_now(facts: RoomFacts) -> str:
    """The time of a message, with its zone."""
    zone = facts.place.timezone
    return f"{clock(facts.at, zone)} {zone_name(facts.at, zone)}"


def say_time(facts: RoomFacts, at: datetime) -> str:
    """On the campaign's clock; with its day where that is not the day of the message."""
    zone = facts.place.timezone
    is_today = calendar_day(at, zone) == calendar_day(facts.at, zone)
    return clock(at, zone) if is_today else moment(at, zone)


def _title(facts: RoomFacts) -> str:
    figures = facts.figures
    pace = ""
    if figures.behind_minutes is not None and figures.state in (WindowState.OPEN, WindowState.CLOSED):
        pace = f", {pace_words(figures.behind_minutes)}"
    return f"{say_place(facts.place)}: {_STATES[figures.state]}{pace}, as of {say_now(facts)}"


def pace_words(minutes: int) -> str:
    """ahead by 22 min, on time, behind by 3 h 05: as the board has it."""
    late = minutes * MINUTE
    timing = timing_of(late)
    return str(timing) if timing is Timing.ON_TIME else f"{timing} by {span_words(late)}"


def _counts(figures: Figures) -> str:
    if figures.state in NOT_OPENED_YET:
        return f"none of {nodes(figures.nodes)} taken"
    back = f"{figures.returned:,} of {nodes(figures.taken)} back"
    return back + (f", {figures.kept_out:,} more proven but left out as found" if figures.kept_out else "")


def _done(facts: RoomFacts) -> str:
    figures = facts.figures
    if figures.state is WindowState.PLANNED:
        return f"Planned for {say_time(facts, facts.planned_start)}. Nothing is taken yet."
    if figures.state is WindowState.WAITING:
        why = facts.why.sentence if facts.why is not None else ""
        again = f" Looked at again {say_time(facts, facts.recheck_at)}." if facts.recheck_at is not None else ""
        return f"Done: nothing is taken yet. {why}{again}"
    if facts.opened_at is None:
        return f"It did not run. {facts.why.sentence if facts.why is not None else ''}".strip()
    return f"Done: {_counts(figures)}."


def _left(facts: RoomFacts) -> str:
    figures = facts.figures
    if figures.state in NOT_OPENED_YET:
        return f"Not done: {nodes(figures.nodes)}."
    if facts.opened_at is None:
        return ""
    parts = [f"{figures.working:,} at work"] if figures.working else []
    if figures.in_tail:
        parts.append(f"{figures.in_tail:,} on the tail list ({_tail(facts.tail)})")
    if figures.left_out:
        parts.append(f"{figures.left_out:,} left out at the opening")
    return f"Not done: {'; '.join(parts)}." if parts else "Not done: nothing."


def _tail(tail: Sequence[TailUnit]) -> str:
    more = f" and {len(tail) - SHOWN:,} more" if len(tail) > SHOWN else ""
    return ", ".join(f"{one.unit} with {one.owner}" for one in tail[:SHOWN]) + more


def _ended(facts: RoomFacts) -> str:
    ended = say_ended(facts)
    return f"{ended} All of it: `fermata report`." if ended else ""


def say_ended(facts: RoomFacts) -> str:
    """Of a window that is closed, what the report says of it."""
    if facts.ended is None or facts.opened_at is None or facts.closed_at is None:
        return ""
    planned = f"{say_time(facts, facts.planned_start)} to {say_time(facts, facts.planned_end)}"
    actual = f"{say_time(facts, facts.opened_at)} to {say_time(facts, facts.closed_at)}"
    ready = "Not enough is back to ramp up"
    if facts.ended.ready_at is not None:
        ready = f"Enough was back to ramp up at {say_time(facts, facts.ended.ready_at)}"
    kept = "kept" if facts.ended.kept_promise else "broken"
    promise = f"the promise, back by {say_time(facts, facts.back_by)}, was {kept}"
    return f"Planned {planned}, open {actual}. {ready}; {promise}."


def open_needs(facts: RoomFacts) -> tuple[str, ...]:
    """What waits for a person."""
    place, book, state = facts.place, facts.book, facts.figures.state
    if state in OVER:
        return tuple(f"{one.unit} is not back: {one.why}" for one in facts.tail[:SHOWN])
    risk = needs_you(facts.forecast) if state is WindowState.OPEN else []
    promised = say_time(facts, facts.back_by)
    return (
        *(say_open(one, place) for one in book.asked if is_needed(one, state)),
        *(_say_team(facts, one) for one in book.called if is_called(one, facts.at)),
        *(f"The promise, back by {promised}, is at risk: {one}" for one in risk),
        *(() if book.holder else (f"Nobody has the room: `fermata room handover {place.window} --to NAME`.",)),
        *(() if book.bridge else (f"There is no bridge: `fermata room bridge {place.window} URL`.",)),
    )


def is_needed(one: Asked, state: WindowState) -> bool:
    """True while a go is asked for that could still let something begin."""
    return one.is_open and not (one.topic == START and state is WindowState.OPEN)


def say_open(one: Asked, place: Place) -> str:
    """Which go is waited for."""
    what, option = ("the window", "") if one.topic == START else (one.topic, f" --update {one.topic}")
    return f"A go or no-go for {what}: `fermata room go {place.window}{option} --reason ...`."


def is_called(one: Called, now: datetime) -> bool:
    """True of a team that begins within the hour, or should have, and has not answered."""
    return one.answered_at is None and now >= one.starts_at - CALLED_BEFORE


def _say_team(facts: RoomFacts, one: Called) -> str:
    turn = "its turn was" if facts.at >= one.starts_at else "its turn is"
    when = f"{turn} at {say_time(facts, one.starts_at)}"
    return f"An answer of {one.team}, {when}: `fermata room answer {facts.place.window} {one.team}`."


def _roll(facts: RoomFacts) -> tuple[str, ...]:
    return tuple(_say_called(facts, one) for one in facts.book.called)


def _say_called(facts: RoomFacts, one: Called) -> str:
    said = "no answer yet"
    if one.answered_at is not None:
        said = f"answered {say_time(facts, one.answered_at)} by {one.answered_by}"
    return f"{one.team} ({', '.join(one.updates)}) from {say_time(facts, one.starts_at)}: {said}"


def say_forecast(facts: RoomFacts) -> str:
    """As board and status have it, with a capital and a full stop; nothing stays nothing."""
    text = foretold(facts.forecast, facts.place.timezone)
    if not text:
        return ""
    return f"Forecast: {text}" + ("" if text.endswith(".") else ".")


def say_line(line: RoomLine) -> str:
    """What somebody said, in a sentence."""
    match line.what:
        case Answer(team=team, text=text):
            return f"{team} is there" + (f": {text}" if text else ".")
        case Go(topic=topic, is_go=is_go, why=why):
            return f"{'go' if is_go else 'no-go'} for {'its start' if topic == START else topic}: {why}"
        case Note(text=text):
            return text
        case Handover(before=before, after=after, points=points):
            had = f"{before} hands over to {after}." if before else f"{after} has the room."
            return had + (f" Open: {'; '.join(point.rstrip('.') for point in points)}." if points else "")
        case Bridge(url=url):
            return f"bridge: {url}"
        case Message() as message:
            return message.title
