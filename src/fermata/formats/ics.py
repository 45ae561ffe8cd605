"""Plans as a calendar (iCalendar, RFC 5545): one event per window, for the people whose days it fills."""

from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event

import fermata
from fermata.domain.campaign import Campaign
from fermata.domain.plans import Mode, Plan, Window
from fermata.formats.plans import write_whole

_SECONDS_A_STEP = 60  # a SEQUENCE counts minutes since 1970: it must grow with each plan, and fit into 32 bits


def write_calendar(plan: Plan, campaign: Campaign, path: Path, *, parent: Plan | None = None) -> None:
    """Writes the file whole or not at all. Raises OSError when there is no room or no right."""
    write_whole(calendar_to_bytes(plan, campaign, parent=parent), path)


def calendar_to_bytes(plan: Plan, campaign: Campaign, *, parent: Plan | None = None) -> bytes:
    """The same plan gives the same bytes. An event is known by campaign, cluster and part, so that a later plan moves
    it where a calendar has it already; windows of `parent` that are no more are cancelled.
    """
    calendar = Calendar()
    calendar.add("prodid", f"-//Fermata//{fermata.__version__}//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", campaign.title)
    for window in plan.windows:
        calendar.add_component(_make_event(plan, window, campaign))
    for window in _find_gone(plan, parent):
        event = _make_event(plan, window, campaign)
        event.add("status", "CANCELLED")
        calendar.add_component(event)
    return bytes(calendar.to_ical())


def _find_gone(plan: Plan, parent: Plan | None) -> Iterator[Window]:
    there = {(window.cluster, window.part) for window in plan.windows}
    return (w for w in (parent.windows if parent else ()) if (w.cluster, w.part) not in there)


def _make_event(plan: Plan, window: Window, campaign: Campaign) -> Event:
    part = "whole" if window.mode is Mode.WHOLE else f"part {window.part} of {window.parts}"
    nodes = f"{len(window.nodes):,} node{'' if len(window.nodes) == 1 else 's'}"
    event = Event()
    event.add("uid", f"{campaign.id}.{window.cluster}.{window.part}@fermata")
    event.add("dtstamp", plan.created_at)
    event.add("sequence", int(plan.created_at.timestamp()) // _SECONDS_A_STEP)
    event.add("dtstart", window.start)
    event.add("dtend", window.end)
    event.add("summary", f"{window.cluster}: {nodes} out, {part}")
    event.add("categories", ["whole" if window.mode is Mode.WHOLE else "rolled"])
    event.add("description", _describe(plan, window, campaign, nodes))
    return event


def _describe(plan: Plan, window: Window, campaign: Campaign, nodes: str) -> str:
    zone = ZoneInfo(campaign.timezone)
    local = f"{window.start.astimezone(zone):%H:%M} to {window.end.astimezone(zone):%H:%M} {campaign.timezone}"
    return "\n".join(
        (
            f"{nodes} of {window.cluster}, {local}",
            f"Sure by {window.end_confidence:.0%} to be back in time",
            f"Updates: {', '.join(window.updates)}",
            f"Reboots of a node: {window.reboots_per_node}",
            f"Window {window.id} of {plan.id}",
        )
    )
