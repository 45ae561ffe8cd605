"""How the board says things: numbers, times and the sentences a tired person reads first."""

from fermata.domain.ahead import JobsAhead, Keeping
from fermata.domain.spoken import clock, day, foretold, moment, needs_you, nodes, zone_name
from fermata.services.board_views import Board, Chip, Figures, Head, Mark, Pace, Slip, Stage
from fermata.services.job_words import say_cost, say_keeping
from fermata.services.words import span_words

__all__ = [  # what templates and `render` say beside what stands here
    "clock",
    "day",
    "foretold",
    "moment",
    "needs_you",
    "nodes",
    "zone_name",
]

MARK_WORDS = {
    Mark.PLANNED: "planned",
    Mark.WAITING: "waiting",
    Mark.DRAINING: "draining",
    Mark.APPLYING: "applying",
    Mark.VERIFYING: "verifying",
    Mark.DONE: "done",
    Mark.OVERRUN: "overrun",
    Mark.MISSED: "missed",
    Mark.SKIPPED: "skipped, nothing to do",
}
STANDING = {
    Stage.NOT_STARTED: "published, not started",
    Stage.PAUSED: "paused: open windows finish, none opens",
    Stage.STOPPED: "stopped",
    Stage.FINISHED: "finished",
}


def number(value: int) -> str:
    """18,474."""
    return f"{value:,}"


def percent(part: int, whole: int, digits: int = 1) -> str:
    """97.4 %; never rounds up to 100 what is not all, nor down to 0 what is not none."""
    if whole <= 0:
        return "–"
    share = 100 * part / whole
    if 0 < part < whole:
        step = 10**-digits
        share = min(max(share, step), 100 - step)
    return f"{share:.{digits}f} %" if 0 < part < whole else f"{share:.0f} %"


def jobs(one: JobsAhead | None, zone: str) -> str:
    """What a drain would cost, and how jobs are kept off; empty where nothing is known of them."""
    if one is None:
        return ""
    cost = say_cost(one, lambda at: moment(at, zone))
    keeping = say_keeping(one) if one.keeping is not Keeping.NONE else ""
    return "; ".join(told for told in (cost, keeping) if told)


def slip(value: Slip) -> str:
    """ahead by 22 min, on time, behind by 14 min; empty when there is nothing to compare."""
    match value.pace:
        case Pace.AHEAD:
            return f"ahead by {span_words(value.by)}"
        case Pace.BEHIND:
            return f"behind by {span_words(value.by)}"
        case Pace.ON_TIME:
            return "on time"
        case Pace.NONE:
            return ""


def part(chip: Chip) -> str:
    """3/12 for a part of a rolled cluster, empty for a whole one."""
    return f"{chip.part}/{chip.parts}" if chip.parts > 1 else ""


def chip_label(chip: Chip, zone: str) -> str:
    """Everything a calendar cell means, in words."""
    rolled = f", part {chip.part} of {chip.parts}" if chip.parts > 1 else ""
    when = f"{clock(chip.start, zone)}–{clock(chip.end, zone)}"
    text = f"{chip.cluster}{rolled}: {MARK_WORDS[chip.mark]}, {when}, {nodes(chip.nodes)}"
    if chip.returned:
        text += f", {number(chip.returned)} returned"
    return f"{text}. {chip.why}" if chip.why else text


def day_text(head: Head) -> str:
    """Day 5 of 16."""
    if head.day is None:
        return f"Starts {day(head.first_day)}"
    if head.day <= head.days:
        return f"Day {head.day} of {head.days}"
    late = head.day - head.days
    return f"Day {head.day}, {late} day{'' if late == 1 else 's'} past the deadline"


def counts_text(figures: Figures) -> str:
    """1,204 of 18,474 nodes returned, 312 out of 1,800 allowed, 17 in the tail."""
    out = f"{number(figures.out)} out"
    if figures.cap is not None:
        out += f" of {number(figures.cap)} allowed"
    return (
        f"{number(figures.returned)} of {nodes(figures.in_scope)} returned, {out}, {number(figures.tail)} in the tail"
    )


def pace_text(board: Board) -> str:
    """The middle of the headline: the pace today, or what the run waits for."""
    if board.figures is None or board.head is None:
        return ""
    said = STANDING.get(board.stage) or slip(board.figures.slip)
    if said:
        return said
    if board.figures.next_start is None:
        return "no window left to open"
    return f"next window {moment(board.figures.next_start, board.head.timezone)}"


def headline(board: Board) -> str:
    """The whole first sentence, as one line of text."""
    if board.head is None or board.figures is None:
        return board.next_step.sentence if board.next_step else ""
    return " – ".join(t for t in (day_text(board.head), pace_text(board), counts_text(board.figures)) if t)


def zone_words(board: Board) -> str:
    """Whose wall clock the times are."""
    return f"of the campaign’s zone, {board.head.timezone}" if board.head else "UTC"
