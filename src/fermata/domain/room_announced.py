"""A message of a room as channels carry it: to those who do the work in their words, to its customer in its own."""

from urllib.parse import quote

from fermata.domain.announcements import KEY_LENGTH_MAX, Announcement, Phase
from fermata.domain.hashing import to_plain
from fermata.domain.ids import ClusterId, WindowId
from fermata.domain.notices import Audience
from fermata.domain.posted_schedule import maintenance_key
from fermata.domain.room import Message, MessageKind, OwnWords
from fermata.domain.run_states import WindowState


def announce_room(message: Message, window: WindowId, last: Message | None) -> Announcement:
    """To the operator's own subscriptions and to the window's teams: what a room needs from people, and where they
    meet.
    """
    title, *rest = (*message.lines, *message.door)
    return Announcement(
        key=f"window:{quote(window, safe='')}"[:KEY_LENGTH_MAX],
        phase=_phase(message, last),
        subject=_one_line(title),
        text="\n".join(rest) or title,
        facts=_facts(message, window),
        teams=frozenset(message.teams),
        audience=Audience.CREW,
    )


def announce_own(message: Message, own: OwnWords, window: WindowId, cluster: ClusterId) -> Announcement:
    """To the customer of the window's cluster, under the key by which status pages have it since it was published."""
    title, *rest = own.lines
    phase = Phase.OPENED if own.is_first else Phase.UPDATED
    return Announcement(
        key=maintenance_key(window),
        phase=Phase.CLOSED if message.kind is MessageKind.CLOSED else phase,
        subject=_one_line(title),
        text="\n".join(rest),
        facts=_facts(message, window),
        clusters=frozenset({cluster}),
        audience=Audience.CUSTOMERS,
    )


def _facts(message: Message, window: WindowId) -> dict[str, object]:
    return {
        "severity": _severity(message),
        "start": message.planned_start.isoformat(),
        "end": message.planned_end.isoformat(),
        "window": window,
        **to_plain(message.figures),
    }


def _one_line(title: str) -> str:
    return "".join(char if char.isprintable() else " " for char in title)


def _phase(message: Message, last: Message | None) -> Phase:
    if message.kind is MessageKind.CLOSED:
        return Phase.CLOSED
    if last is None:
        return Phase.OPENED
    is_taken = bool(message.holder) and not last.holder
    return Phase.ACKNOWLEDGED if is_taken else Phase.UPDATED


def _severity(message: Message) -> str:
    """As incident APIs name them."""
    if message.figures.state is WindowState.MISSED:
        return "error"
    return "warning" if message.marks.is_alarming or message.figures.state is WindowState.WAITING else "info"
