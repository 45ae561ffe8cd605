"""Notices of windows as maintenance notes: iCalendar with the X-MAINTNOTE fields that network operators agreed on.

The profile is NANOG's Best Current Operational Practice; draft-gunter-calext-maintenance-notifications describes it.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from icalendar import Calendar, Event, vCalAddress, vText

import fermata
from fermata.domain.notices import Notice, NoticeKind

PROVIDER = "fermata"
_STATUS = {
    NoticeKind.WINDOW_OPENED: "IN-PROCESS",
    NoticeKind.WINDOW_LATE: "IN-PROCESS",
    NoticeKind.WINDOW_CLOSED: "COMPLETED",
    NoticeKind.WINDOW_MISSED: "CANCELLED",
    NoticeKind.WINDOW_SKIPPED: "CANCELLED",
    NoticeKind.WINDOW_CANCELLED: "CANCELLED",
}


def maintnote_to_bytes(notice: Notice, *, organizer: str, provider: str = PROVIDER) -> bytes | None:
    """One event a window, or None for a notice of no window. `organizer` is a mail address. Later notices of the same
    window carry its UID and a greater SEQUENCE.
    """
    lines = list(_windows(notice))
    if not lines:
        return None
    calendar = Calendar()
    calendar.add("prodid", f"-//Fermata//{fermata.__version__}//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    for status, facts in lines:
        calendar.add_component(_event(notice, facts, status=status, organizer=organizer, provider=provider))
    return bytes(calendar.to_ical())


def _windows(notice: Notice) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if notice.kind is NoticeKind.PLAN_PUBLISHED:
        for line in notice.facts["windows"]:
            yield ("CANCELLED" if line["change"] == "dropped" else "CONFIRMED"), line
    elif notice.kind in _STATUS:
        yield _STATUS[notice.kind], notice.facts


def _event(notice: Notice, facts: Mapping[str, Any], *, status: str, organizer: str, provider: str) -> Event:
    event = Event()
    event.add("uid", f"{facts['window']}@fermata")
    event.add("dtstamp", notice.at)
    event.add("sequence", notice.seq)
    event.add("dtstart", datetime.fromisoformat(facts["start"]))
    event.add("dtend", datetime.fromisoformat(facts["end"]))
    event.add("summary", f"{facts['cluster']}: planned maintenance of {len(facts['nodes'])} node(s)")
    event.add("organizer", vCalAddress(f"mailto:{organizer}"))
    if status == "CANCELLED":
        event.add("status", "CANCELLED")
    event.add("x-maintnote-provider", vText(provider))
    event.add("x-maintnote-account", vText(notice.customer))
    event.add("x-maintnote-maintenance-id", vText(facts["window"]))
    for node in facts["nodes"]:
        event.add("x-maintnote-object-id", vText(node), parameters={"X-MAINTNOTE-OBJECT-IMPACT": "OUTAGE"})
    event.add("x-maintnote-impact", vText("OUTAGE"))
    event.add("x-maintnote-status", vText(status))
    return event
