"""What `fermata watch` draws: the day as lines of text, for a terminal of any size, with or without colours."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from textwrap import wrap

from rich.text import Text

from fermata.cli import output
from fermata.server.web import words
from fermata.services.board_views import Axis, Board, Lane, Pace, TailRow
from fermata.services.words import span_words

LEAST_WIDTH, WIDE = 60, 120
TAIL_SHOWN = 10
HEAD_LINES, FOOT_LINES = 3, 1
STEP_LETTERS = {"drain": "d", "apply": "a", "reboot": "r", "verify": "v"}
STEP_STYLES = {"drain": "cyan", "apply": "blue", "reboot": "magenta", "verify": "green"}
PACE_STYLES = {Pace.AHEAD: "green", Pace.ON_TIME: "green", Pace.BEHIND: "bold red", Pace.NONE: ""}
KEYS = "↑ ↓ scroll, space next page, g top, q quit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Strokes:
    """What bars are drawn with."""

    done: str
    ahead: str
    median: str
    bound: str
    now: str
    promise: str
    idle: str


DRAWN = Strokes(done="━", ahead="╌", median="◆", bound="▷", now="┊", promise="│", idle="·")
TYPED = Strokes(done="=", ahead="-", median="M", bound=">", now=":", promise="|", idle=".")  # no UTF-8 there


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What is known. `old`: seconds since the figures were known to be true, None while they are; `trouble`: why."""

    board: Board | None
    where: str
    old: float | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """The size in characters; `height` None: as many lines as it takes."""

    width: int
    height: int | None
    strokes: Strokes = DRAWN

    @property
    def name(self) -> int:
        """Columns of a window's name."""
        return 24 if self.width < WIDE else 40

    @property
    def info(self) -> int:
        """Columns of what is said beside the bars."""
        return 30 if self.width < WIDE else 62

    @property
    def bar(self) -> int:
        """Columns of a bar."""
        return max(8, self.width - self.name - self.info - 2)


def draw(heard: Heard, screen: Screen, top: int = 0) -> tuple[list[Text], int]:
    """The lines of the frame, with the body from line `top` on, and how far it can be scrolled. With a height there are
    exactly so many lines.
    """
    head = [_fit(line, screen.width) for line in _head(heard, screen.width)]
    body = [_fit(line, screen.width) for line in _body(heard.board, screen)] if heard.board else []
    if screen.height is None:
        return [*head, *body], 0
    room = max(1, screen.height - len(head) - FOOT_LINES)
    last = max(0, len(body) - room)
    top = min(top, last)
    shown = body[top : top + room]
    shown += [Text("")] * (room - len(shown))
    where = f"lines {top + 1}–{min(len(body), top + room)} of {len(body)}; " if last else ""
    keys = KEYS if screen.strokes is DRAWN else KEYS.replace("↑ ↓", "j k")
    return [*head, *shown, _fit(Text(f"{where}{keys}", style="dim"), screen.width)], last


def _fit(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    line.no_wrap = True
    return line


def _head(heard: Heard, width: int) -> Iterator[Text]:
    board = heard.board
    if board is None or board.head is None or board.figures is None:
        yield Text(board.next_step.sentence if board and board.next_step else f"Asking {heard.where} ...", style="bold")
        yield _connection(heard)
        yield Text("  ".join(board.next_step.commands) if board and board.next_step else "")
        return
    zone = board.head.timezone
    clock = f"{words.moment(board.now, zone)} {words.zone_name(board.now, zone)}"
    first = Text.assemble(
        (board.head.title, "bold"), f"  {words.day_text(board.head)}, {board.stage.replace('_', ' ')}"
    )
    state = _connection(heard)
    gap = width - first.cell_len - len(clock) - state.cell_len - 4
    first.append(" " * max(2, gap)).append(clock, style="bold").append("  ")
    yield first + state if gap >= 0 or heard.old is None else state + Text("  ") + first
    figures = board.figures
    pace = Text(words.pace_text(board), style=PACE_STYLES[figures.slip.pace])
    if figures.end is not None and figures.promised is not None:
        ends = f"; today's last window back {words.clock(figures.end, zone)}"
        pace.append(f"{ends}, planned {words.clock(figures.promised, zone)}", style="default not bold")
    yield pace
    share = f"{words.percent(figures.in_service, figures.baseline)} in service"
    counts = words.counts_text(figures)
    yield Text(
        f"{counts}; {share}"
        if len(counts) + len(share) + 2 <= width
        else f"{counts.replace('returned', 'back')}; {share}"
    )


def _connection(heard: Heard) -> Text:
    if heard.old is None:
        return Text("live", style="green")
    why = heard.trouble or "nothing is heard"
    return Text(f"OLD: figures of {round(heard.old)} s ago, {why}", style="bold red")


def _body(board: Board, screen: Screen) -> Iterator[Text]:
    needs = list(needs_person(board))
    if needs:
        yield Text("Needs a person", style="bold yellow")
        for need in needs:
            yield from _folded(need, screen.width, "* ")
    for told in (board.trains, board.deadline):
        yield from _folded(told, screen.width, "  ") if told else ()
    yield from _lanes(board, screen)
    if board.tail_rows:
        yield Text(f"Not back: {output.count(len(board.tail_rows), 'node')}", style="bold")
        for row in board.tail_rows[:TAIL_SHOWN]:
            yield from _folded(_tail(row, board.now), screen.width, "* ")
        hidden = len(board.tail_rows) - TAIL_SHOWN
        yield from [Text(f"  and {hidden:,} more: fermata tail", style="dim")] if hidden > 0 else []


def _lanes(board: Board, screen: Screen) -> Iterator[Text]:
    if not board.lanes or board.axis is None or board.head is None or board.lanes_day is None:
        return
    count = output.count(len(board.lanes), "window")
    yield Text(f"{words.day(board.lanes_day)}: {count}", style="bold")
    yield _scale(board.axis, board.head.timezone, screen)
    for lane in board.lanes:
        yield from _lane(lane, board.axis, board, screen)
    yield from _folded(_legend(screen.strokes), screen.width, "", style="dim")


def needs_person(board: Board) -> Iterator[str]:
    """What waits for somebody, the most pressing first, as sentences."""
    if board.note:
        yield board.note
    yield from board.needs
    for held in board.held:
        yield f"{held.sentence} {'; '.join(held.commands)}".strip()
    for lane in board.lanes:
        for help_ in words.needs_you(lane.foretold)[1:]:
            yield f"{lane.chip.cluster}: {help_}"


def _folded(text: str, width: int, mark: str, *, style: str = "") -> Iterator[Text]:
    for number, line in enumerate(wrap(text, max(LEAST_WIDTH, width) - len(mark), break_on_hyphens=False) or [""]):
        yield Text((mark if number == 0 else " " * len(mark)) + line, style=style)


def _tail(row: TailRow, now: datetime) -> str:
    told = row.sentence if row.node in row.sentence else f"{row.node}: {row.sentence}"
    return f"{span_words(now - row.since)}, with {row.owner}: {told}"


def _scale(axis: Axis, zone: str, screen: Screen) -> Text:
    """Times above the bars: where they begin and end, and the promise."""
    cells = [" "] * screen.bar
    promise, ends = words.clock(axis.back_by, zone), words.clock(axis.end, zone)
    at = min(max(0, _column(axis.back_by, axis, screen.bar) - len(promise) // 2), screen.bar - len(promise))
    for start, text in ((at, promise), (0, words.clock(axis.start, zone)), (screen.bar - len(ends), ends)):
        before, after = start - 1, start + len(text)
        if all(cells[i] == " " for i in range(max(0, before), min(screen.bar, after + 1))):
            cells[start : start + len(text)] = text
    return Text(" " * (screen.name + 1) + "".join(cells), style="dim")


def _column(at: datetime, axis: Axis, cells: int) -> int:
    whole = (axis.end - axis.start).total_seconds() or 1.0
    return min(cells - 1, max(0, int((at - axis.start).total_seconds() / whole * cells)))


def _lane(lane: Lane, axis: Axis, board: Board, screen: Screen) -> Iterator[Text]:
    zone = board.head.timezone if board.head else "UTC"
    part = words.part(lane.chip)
    name = f"{lane.chip.cluster} {part}".strip()
    facts = Text(_counts(lane), style="default")
    pace = words.slip(lane.slip)
    if pace:
        facts.append(", ").append(pace, style=PACE_STYLES[lane.slip.pace])
    doing = words.MARK_WORDS[lane.chip.mark] if lane.closed or not lane.doing else lane.doing
    yield _row(Text(name, style="bold"), _planned_bar(lane, axis, board.now, screen), facts, screen)
    yield _row(Text(doing), _actual_bar(lane, axis, board.now, screen), Text(back_at(lane, zone)), screen)
    why = why_words(lane)
    if why:
        yield from _folded(why, screen.width, "  ", style="yellow" if lane.slip.pace is Pace.BEHIND else "dim")


def why_words(lane: Lane) -> str:
    """Why it is not as planned; empty while it is."""
    foretold = lane.foretold.why if lane.foretold is not None and lane.slip.pace is not Pace.ON_TIME else ""
    return "; ".join(text for text in (lane.chip.why, foretold) if text)


def _row(name: Text, bar: Text, info: Text, screen: Screen) -> Text:
    name.truncate(screen.name, overflow="ellipsis", pad=True)
    info.truncate(screen.info, overflow="ellipsis")
    return Text.assemble(name, " ", bar, " ", info)


def _counts(lane: Lane) -> str:
    return f"{lane.chip.returned:,}/{lane.chip.taken or lane.chip.nodes:,} back"


def back_at(lane: Lane, zone: str) -> str:
    """When its capacity is back: closed, foretold, or planned."""
    if lane.closed is not None:
        return f"closed {words.clock(lane.closed, zone)}"
    made = lane.foretold
    if made is not None and made.enough is not None:
        return f"back {words.clock(made.enough.median, zone)}, 9 in 10 by {words.clock(made.enough.bound, zone)}"
    if lane.opened is None:
        return f"{words.clock(lane.chip.start, zone)}–{words.clock(lane.chip.end, zone)} planned"
    return f"back about {words.clock(lane.forecast, zone)}"


def _planned_bar(lane: Lane, axis: Axis, now: datetime, screen: Screen) -> Text:
    cells = _empty_bar(axis, now, screen)
    for step in lane.steps:
        first, last = _column(step.start, axis, screen.bar), _column(step.end, axis, screen.bar)
        kind = step.kind.rpartition("_")[2]
        for column in range(first, max(last, first + 1)):
            cells[column] = (STEP_LETTERS[kind], STEP_STYLES[kind])
    return _joined(cells)


def _actual_bar(lane: Lane, axis: Axis, now: datetime, screen: Screen) -> Text:
    cells, strokes = _empty_bar(axis, now, screen), screen.strokes
    if lane.opened is not None:
        style = PACE_STYLES[lane.slip.pace]
        until = lane.closed or min(now, lane.forecast)
        _stretch(cells, (_column(lane.opened, axis, screen.bar), _column(until, axis, screen.bar)), strokes.done, style)
        if lane.closed is None:
            ahead = (_column(now, axis, screen.bar) + 1, _column(lane.forecast, axis, screen.bar))
            _stretch(cells, ahead, strokes.ahead, style)
    made = lane.foretold
    if made is not None and made.enough is not None and lane.closed is None:
        cells[_column(made.enough.bound, axis, screen.bar)] = (strokes.bound, "bold")
        cells[_column(made.enough.median, axis, screen.bar)] = (strokes.median, "bold")
    return _joined(cells)


_Cell = tuple[str, str]


def _empty_bar(axis: Axis, now: datetime, screen: Screen) -> list[_Cell]:
    cells = [(screen.strokes.idle, "dim")] * screen.bar
    cells[_column(axis.back_by, axis, screen.bar)] = (screen.strokes.promise, "yellow")
    if axis.start <= now <= axis.end:
        cells[_column(now, axis, screen.bar)] = (screen.strokes.now, "bold")
    return cells


def _stretch(cells: list[_Cell], span: tuple[int, int], stroke: str, style: str) -> None:
    for column in range(span[0], span[1] + 1):
        cells[column] = (stroke, style)


def _joined(cells: Iterable[_Cell]) -> Text:
    return Text.assemble(*cells)


def _legend(strokes: Strokes) -> str:
    steps: Sequence[str] = [f"{letter} {kind}" for kind, letter in STEP_LETTERS.items()]
    return (
        f"Above the plan: {', '.join(steps)}. Below what came of it: {strokes.done} so far, {strokes.median} foretold,"
        f" {strokes.bound} nine times in ten by then. {strokes.now} now, {strokes.promise} promised back."
    )
