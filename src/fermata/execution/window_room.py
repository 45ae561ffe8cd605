"""Follows what people say in the rooms of windows, and has each room told what is due."""

from datetime import datetime

from fermata.domain.operations import Run
from fermata.domain.run_states import WindowState
from fermata.execution.gating import wake_waiting
from fermata.execution.stage import Stage
from fermata.store import rooms


def follow_words(stage: Stage, now: datetime, newest: int) -> None:
    """Knows who said go or no-go before anything is decided at `now`; whoever may be meant is looked at when that
    changes. `newest`: the number of the last line of people, or 0.
    """
    desk = stage.rooms
    if desk.newest == newest:
        return
    with stage.database.read() as conn:
        found = rooms.go_words(conn, stage.run) if newest else {}
    before, desk.words, desk.newest = desk.words, found, newest
    if before != found:
        with stage.database.begin() as conn:
            wake_waiting(stage, conn, now)


def is_room_due(stage: Stage, now: datetime) -> bool:
    """True when a window stands otherwise than when the rooms were tended last, or a message is due by the clock."""
    if stage.site.rooms is None:
        return False
    desk = stage.rooms
    return (desk.next_at is not None and now >= desk.next_at) or desk.seen != _stands(stage)


def tend_rooms(stage: Stage, run: Run, now: datetime) -> None:
    """Once after a start, and then when it is due."""
    if stage.site.rooms is None:
        return
    stage.crash("before rooms")
    stage.rooms.next_at = stage.site.rooms.tend(run.id, now)
    stage.rooms.seen = _stands(stage)
    stage.crash("after rooms")


def _stands(stage: Stage) -> object:
    """What of the windows would be told at once, as far as it is known here without a look into the store."""
    begun = [
        (row.window, row.state, row.reason.code if row.reason is not None else None)
        for row in stage.windows.values()
        if row.state is not WindowState.PLANNED
    ]
    latest = stage.memory.latest or {}
    alarming = frozenset(window for window, made in latest.items() if made.is_alarming)
    plans = frozenset(row.plan for row in stage.windows.values())
    return stage.rooms.newest, begun, alarming, plans
