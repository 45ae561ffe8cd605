"""One window by itself, for the page that a click on the calendar opens. Pure."""

from collections import Counter
from collections.abc import Sequence

from fermata.domain.node_states import FINAL, UnitKind, UnitState
from fermata.domain.windows import calendar_day
from fermata.services.board_assembly import Subject
from fermata.services.board_lanes import Conduct, make_axis, make_chip, make_lanes, step_words
from fermata.services.board_views import Board, Day, LeftOutRow, StepRow, WindowView
from fermata.store.board import UnitCount


def view_window(subject: Subject, conduct: Conduct, board: Board, window_id: str) -> WindowView | None:
    """The window of that id in the plan in force, or None."""
    window = next((w for w in subject.followed.windows if w.id == window_id), None)
    if window is None:
        return None
    zone = subject.campaign.timezone
    status = conduct.windows.get(window.id)
    counts = conduct.counts.get(window.id, ())
    chip = make_chip(window, status, counts, board.now)
    day = Day(
        day=calendar_day(window.start, zone),
        is_today=False,
        is_past=False,
        after_deadline=False,
        nodes=chip.nodes,
        returned=chip.returned,
        done=0,
        chips=(chip,),
    )
    lanes = make_lanes(day, {window.id: window}, conduct, board.now)
    at = _units_at(counts)
    left_out = status.left_out if status else ()
    return WindowView(
        now=board.now,
        timezone=zone,
        lane=lanes[0],
        axis=make_axis(subject.campaign, day, lanes),
        updates=window.updates,
        reboots_per_node=window.reboots_per_node,
        steps=tuple(
            StepRow(what=step_words(step), start=step.start, end=step.end, units=at[index])
            for index, step in enumerate(window.steps)
        ),
        left_out=tuple(LeftOutRow(nodes=group.nodes, sentence=group.reason.sentence) for group in left_out),
        tail=tuple(row for row in board.tail_rows if row.window == window_id),
        plan=subject.followed.plan.id,
    )


def _units_at(counts: Sequence[UnitCount]) -> Counter[int]:
    """Units that still have to leave each step; a proven device has."""
    at: Counter[int] = Counter()
    for count in counts:
        is_over = count.state in FINAL or (count.kind is UnitKind.DEVICE and count.state is UnitState.PROVEN)
        if not is_over and count.state is not UnitState.PENDING:
            at[count.position] += count.units
    return at
