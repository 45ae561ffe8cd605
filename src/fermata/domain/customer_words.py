"""What the customer of a window is told along with the messages of its room: the same figures, and what concerns it.

Left out is what those who do the work say to each other: who they are, what they wait for, why a unit failed.
"""

from collections.abc import Mapping
from dataclasses import replace

from fermata.domain.codes import Code
from fermata.domain.reasons import AnyCode
from fermata.domain.room import Message, MessageKind, OwnWords
from fermata.domain.room_words import (
    RoomFacts,
    counts_alike,
    pace_words,
    say_ended,
    say_forecast,
    say_now,
    say_place,
    say_time,
)
from fermata.domain.run_states import NOT_OPENED_YET, WindowState
from fermata.domain.spoken import nodes

STATES = {
    WindowState.PLANNED: "is to begin",
    WindowState.WAITING: "waits",
    WindowState.OPEN: "is under way",
    WindowState.CLOSED: "is over",
    WindowState.MISSED: "did not take place",
    WindowState.SKIPPED: "did not take place",
    WindowState.CANCELLED: "is cancelled",
}
APPROVAL = "for an approval"
WAITS: Mapping[AnyCode, str] = {
    Code.FROZEN: "for the end of a freeze",
    Code.FROZEN_BEFORE_LOCK: "for the end of a freeze",
    Code.APPROVAL_MISSING: APPROVAL,
    Code.APPROVAL_OUTDATED: APPROVAL,
    Code.APPROVAL_WITHDRAWN: APPROVAL,
    Code.APPROVAL_DECLINED: APPROVAL,
    Code.APPROVAL_EXCLUDES: APPROVAL,
    Code.GO_AWAITED: "for the word of those who conduct it",
    Code.NO_GO: "for the word of those who conduct it",
    Code.HELD_BY_OPERATOR: "for the word of those who conduct it",
}
OTHERWISE = "until all that it needs is there"  # limits, other windows, checks: others' business


def add_own_words(facts: RoomFacts, made: Message) -> Message:
    """The message with what its customer is told, which is nothing while nothing changed for it. Of what is as urgent
    to it as to those who do the work it hears at once; of counts and the forecast at the half hours.
    """
    before = next((message for message in reversed(facts.book.messages) if message.own is not None), None)
    said = OwnWords(lines=_lines(facts, made), waits=_waits(facts), is_first=before is None)
    if before is None or before.own is None or made.kind is MessageKind.CLOSED:
        return replace(made, own=said)
    was = before.own.waits, before.figures.state, before.marks.is_alarming
    is_news = was != (said.waits, made.figures.state, made.marks.is_alarming)
    is_turn = made.kind in (MessageKind.UPDATE, MessageKind.QUIET)
    if is_news or (is_turn and not counts_alike(before.figures, made.figures)):
        return replace(made, own=said)
    return made


def _waits(facts: RoomFacts) -> str:
    if facts.figures.state is not WindowState.WAITING or facts.why is None:
        return ""
    return WAITS.get(facts.why.code, OTHERWISE)


def _lines(facts: RoomFacts, made: Message) -> tuple[str, ...]:
    figures = made.figures
    pace = ""
    if figures.behind_minutes is not None and figures.state in (WindowState.OPEN, WindowState.CLOSED):
        pace = f", {pace_words(figures.behind_minutes)}"
    title = f"{say_place(facts.place)}: maintenance {STATES[figures.state]}{pace}, as of {say_now(facts)}"
    body = _not_begun(facts) if facts.opened_at is None else _begun(facts)
    return (title, *(line for line in body if line))


def _not_begun(facts: RoomFacts) -> tuple[str, ...]:
    size = f"{nodes(facts.figures.nodes)} {'is' if facts.figures.nodes == 1 else 'are'} in service as before."
    if facts.figures.state not in NOT_OPENED_YET:
        return (f"Nothing was begun: its {size}",)
    planned = f"Planned {say_time(facts, facts.planned_start)} to {say_time(facts, facts.planned_end)}."
    waits = _waits(facts)
    again = f" Looked at again {say_time(facts, facts.recheck_at)}." if facts.recheck_at is not None else ""
    need = "We need from you: your word on what is open in your request." if waits == APPROVAL else ""
    return (f"{planned} {size}", f"It waits {waits}.{again}" if waits else "", need)


def _begun(facts: RoomFacts) -> tuple[str, ...]:
    figures = facts.figures
    done = f"Back in service: {figures.returned:,} of {nodes(figures.taken)}."
    parts = [f"{figures.working:,} being worked on"] if figures.working else []
    if figures.in_tail:
        parts.append(f"{figures.in_tail:,} in repair")
    if figures.kept_out:
        parts.append(f"{figures.kept_out:,} done, and out of service as before")
    if figures.left_out:
        parts.append(f"{figures.left_out:,} left as found")
    left = f"Not back: {'; '.join(parts)}." if parts else ""
    if figures.state is not WindowState.OPEN:
        return (done, left, say_ended(facts))
    is_alarming = facts.forecast is not None and facts.forecast.is_alarming
    risk = f"The promise, back by {say_time(facts, facts.back_by)}, is at risk." if is_alarming else ""
    return (done, left, say_forecast(facts), risk)
