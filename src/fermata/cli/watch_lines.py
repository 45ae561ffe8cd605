"""`fermata watch` in a pipe: a line for each change, or the facts as JSON."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from fermata.cli import output
from fermata.cli.watch_frame import back_at, needs_person, why_words
from fermata.server.web import words
from fermata.services.board_views import Board, Lane

MINUTE = timedelta(minutes=1)


def changes(before: Board | None, after: Board) -> Iterator[str]:
    """What a person has to hear between two looks; all of it at the first one."""
    told = set(needs_person(before)) if before is not None else set()
    known = _by_id(before)
    if before is None or _standing(before) != _standing(after):
        yield _line(after, words.headline(after))
    for need in needs_person(after):
        if need not in told:
            yield _line(after, f"Needs a person: {need}")
    for done in sorted(told - set(needs_person(after))):
        yield _line(after, f"Over: {done}")
    for lane in after.lanes:
        if lane.chip.id not in known or _lane_standing(known[lane.chip.id]) != _lane_standing(lane):
            yield _line(after, _lane(lane, after))


def facts(board: Board) -> dict[str, Any]:
    """The frame for machines: the same figures as `fermata status --json`."""
    figures, head = board.figures, board.head
    return {
        "schema": "fermata.watch/1",
        "as_of": output.iso(board.now),
        "campaign": head.id if head else None,
        "run": head.run if head else None,
        "stage": board.stage.value,
        "pace": figures.slip.pace.value if figures else None,
        "behind_minutes": round(figures.slip.by / MINUTE) if figures and words.slip(figures.slip) else None,
        "nodes_returned": figures.returned if figures else 0,
        "nodes_out": figures.out if figures else 0,
        "nodes_in_tail": figures.tail if figures else 0,
        "in_service": figures.in_service if figures else 0,
        "baseline_in_service": figures.baseline if figures else 0,
        "needs": list(needs_person(board)),
        "windows": [_window(lane) for lane in board.lanes],
    }


def _window(lane: Lane) -> dict[str, Any]:
    enough = lane.foretold.enough if lane.foretold is not None else None
    return {
        "window": lane.chip.id,
        "cluster": lane.chip.cluster,
        "mark": lane.chip.mark.value,
        "planned_start": output.iso(lane.chip.start),
        "planned_end": output.iso(lane.chip.end),
        "opened_at": _iso(lane.opened),
        "closed_at": _iso(lane.closed),
        "forecast_end": output.iso(lane.forecast),
        "back_median": _iso(enough.median if enough else None),
        "back_bound": _iso(enough.bound if enough else None),
        "pace": lane.slip.pace.value,
        "behind_minutes": round(lane.slip.by / MINUTE) if words.slip(lane.slip) else None,
        "nodes": lane.chip.nodes,
        "taken": lane.chip.taken,
        "returned": lane.chip.returned,
        "doing": lane.doing,
        "why": why_words(lane),
    }


def _iso(at: datetime | None) -> str | None:
    return None if at is None else output.iso(at)


def _by_id(board: Board | None) -> Mapping[str, Lane]:
    return {lane.chip.id: lane for lane in board.lanes} if board is not None else {}


def _standing(board: Board) -> tuple[Any, ...]:
    figures = board.figures
    return (board.stage, figures and (figures.slip.pace, figures.windows_done, figures.tail))


def _lane_standing(lane: Lane) -> tuple[Any, ...]:
    at_risk = lane.foretold is not None and lane.foretold.is_alarming
    return (lane.chip.mark, lane.opened, lane.closed, lane.slip.pace, at_risk, lane.chip.why)


def _line(board: Board, text: str) -> str:
    return f"{output.utc(board.now)}  {text}"


def _lane(lane: Lane, board: Board) -> str:
    zone = board.head.timezone if board.head else "UTC"
    part = f" {words.part(lane.chip)}" if words.part(lane.chip) else ""
    told = [
        words.MARK_WORDS[lane.chip.mark],
        f"{lane.chip.returned:,}/{lane.chip.taken or lane.chip.nodes:,} back",
        words.slip(lane.slip),
        f"{back_at(lane, zone)} {words.zone_name(board.now, zone)}",
        why_words(lane),
    ]
    return f"{lane.chip.cluster}{part}: {', '.join(text for text in told if text)}"
