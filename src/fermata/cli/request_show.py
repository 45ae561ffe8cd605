"""Requests and work orders in words: where each stands, why, what is needed next and from whom."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fermata.cli import output
from fermata.domain.freshness import OldWord
from fermata.domain.request_book import Meeting
from fermata.domain.request_standing import NextStep, Standing
from fermata.services.records import Entry
from fermata.services.request_words import next_words, say_meeting, state_words
from fermata.services.requests import OrderView

NODES_SHOWN = 3  # of one order on a terminal; all of them in --json


def print_standing(standing: Standing, *, since: datetime | None) -> None:
    """State, why, and what is needed next."""
    when = f" since {output.utc(since)}" if since else ""
    output.out.print(f"State: {state_words(standing.state)}{when}", markup=False, soft_wrap=True)
    output.out.print(f"  {standing.why}", markup=False, soft_wrap=True)
    if standing.needed is not NextStep.NOTHING:
        approvers = f" (approvers: {', '.join(standing.approvers)})" if standing.approvers else ""
        output.out.print(f"Next: {next_words(standing)}{approvers}", markup=False, soft_wrap=True)


def print_orders(orders: Sequence[OrderView]) -> None:
    """Work orders of a request, and what each meets on its nodes."""
    headings = ("order", "target", "cause", "impact", "due", "nodes", "state", "next")
    rows = [
        (
            view.order.id,
            view.order.target,
            view.order.cause,
            view.order.impact,
            f"{view.order.due_at:%Y-%m-%d}",
            _some(view.order.nodes),
            state_words(view.standing.state),
            next_words(view.standing),
        )
        for view in orders
    ]
    table = output.table("Work orders", headings, rows)
    table.table.columns[0].no_wrap = True
    output.out.print(table)
    for view in orders:
        for meeting in view.meets:
            output.out.print(f"{view.order.id} {say_meeting(meeting)}", markup=False, soft_wrap=True)
        for line in view.known:
            output.out.print(f"{view.order.id} {line}", markup=False, soft_wrap=True)


def print_history(history: Sequence[Entry]) -> None:
    """What the journal says of a request."""
    rows = [(output.utc(entry.at), entry.event.removeprefix("request."), entry.actor, entry.why) for entry in history]
    output.out.print(output.table("History", ("at", "what", "by", "why"), rows))


def standing_json(standing: Standing) -> dict[str, Any]:
    """With stable keys."""
    return {
        "state": standing.state,
        "why": {"code": standing.why.code, "sentence": standing.why.sentence},
        "needed": standing.needed,
        "who": list(standing.who),
        "approvers": list(standing.approvers),
    }


def order_json(view: OrderView) -> dict[str, Any]:
    """With stable keys."""
    order = view.order
    return {
        "id": order.id,
        "level": order.target.level,
        "name": order.target.name,
        "cause": order.cause,
        "impact": order.impact,
        "criticality": order.criticality,
        "due_at": output.iso(order.due_at),
        "wanted_at": output.iso(order.wanted_at) if order.wanted_at else None,
        "nodes": list(order.nodes),
        "customers": list(order.customers),
        "opened_by": view.opened.actor,
        "opened_at": output.iso(view.opened.at),
        "started_by": view.started.actor if view.started else None,
        "started_at": output.iso(view.started.at) if view.started else None,
        **standing_json(view.standing),
        "tail": view.tail or None,
        "known": list(view.known),
        "meets": [meeting_json(meeting) for meeting in view.meets],
    }


def entry_json(entry: Entry) -> dict[str, Any]:
    """With stable keys."""
    return {
        "at": output.iso(entry.at),
        "actor": entry.actor,
        "event": entry.event,
        "why": entry.why,
        "data": dict(entry.data),
    }


def meeting_json(meeting: Meeting) -> dict[str, Any]:
    """With stable keys."""
    return {
        "request": meeting.request,
        "kind": meeting.kind,
        "order": meeting.order,
        "state": meeting.state,
        "outcome": meeting.outcome,
        "nodes": meeting.nodes,
    }


def _some(names: Sequence[str]) -> str:
    more = len(names) - NODES_SHOWN
    return ", ".join(names[:NODES_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def print_stale(stale: Sequence[OldWord]) -> None:
    """What is shown by an old word."""
    for old in stale:
        output.out.print(str(old.reason), markup=False, soft_wrap=True)


def stale_json(stale: Sequence[OldWord]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {
            "source": old.source,
            "observed_at": output.iso(old.observed_at) if old.observed_at else None,
            "nodes": old.nodes,
            "devices": old.devices,
            "code": old.reason.code,
            "sentence": old.reason.sentence,
        }
        for old in stale
    ]
