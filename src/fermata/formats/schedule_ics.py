"""The published schedule as a calendar that others subscribe to (iCalendar, RFC 5545)."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, vDuration, vText

from fermata.domain.ids import ClusterId
from fermata.domain.schedule import Scheduled

REFRESH = timedelta(hours=1)  # how often a calendar asks again, where it listens to that


def schedule_to_bytes(schedule: Sequence[Scheduled], *, title: str, zones: Mapping[ClusterId, str]) -> bytes:
    """One event a window, in UTC, with the times of its cluster's zone in its words. The same schedule gives the same
    bytes: an event keeps its UID, and its SEQUENCE grows when something else was published of it; what was withdrawn
    stays as CANCELLED, so that it leaves calendars that have it.
    """
    calendar = Calendar()
    calendar.add("prodid", "-//Fermata//Published schedule//EN")
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", title)
    calendar.add("refresh-interval", vDuration(REFRESH), parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", vDuration(REFRESH))
    events = [_event(each, zones) for each in schedule]
    used = {zones[each.cluster] for each in schedule if each.cluster in zones}
    if len(used) == 1:
        calendar.add("x-wr-timezone", vText(used.pop()))
    for event in events:
        calendar.add_component(event)
    return bytes(calendar.to_ical())


def _event(said: Scheduled, zones: Mapping[ClusterId, str]) -> Event:
    nodes = f"{said.nodes:,} node{'' if said.nodes == 1 else 's'}"
    event = Event()
    event.add("uid", f"{said.campaign}.{said.window}@fermata")
    event.add("dtstamp", said.said_at)
    event.add("last-modified", said.said_at)
    event.add("sequence", said.version)
    event.add("dtstart", said.start)
    event.add("dtend", said.end)
    event.add("summary", f"{said.cluster}: {nodes} out, planned maintenance")
    event.add("status", "CANCELLED" if said.is_withdrawn else "CONFIRMED")
    event.add("transp", "TRANSPARENT")  # whoever has it in a calendar is not busy meanwhile
    event.add("location", said.cluster)
    event.add("categories", ["maintenance", said.cluster])
    event.add("description", _describe(said, nodes, zones.get(said.cluster)))
    return event


def _describe(said: Scheduled, nodes: str, timezone: str | None) -> str:
    lines = [f"{nodes} of {said.cluster}"]
    if said.is_withdrawn:
        lines = ["Does not take place.", *lines]
    if timezone is not None:
        start, end = (at.astimezone(ZoneInfo(timezone)) for at in (said.start, said.end))
        lines.append(f"{start:%a %Y-%m-%d %H:%M} to {end:%a %Y-%m-%d %H:%M} {timezone}")
    lines += [
        f"Updates: {', '.join(said.updates)}",
        f"Reboots of a node: {said.reboots_per_node}",
        f"Window {said.window} of {said.plan}",
    ]
    return "\n".join(lines)
