"""Announcements: one message of facts to all who have to hear it, kept together by a stable key from first to last."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from fermata.domain.ids import ClusterId, CustomerId, SupercomputerId, TeamId
from fermata.domain.notices import Change, Home, Notice, NoticeKind, make_notice

KEY_LENGTH_MAX = 200  # incident APIs take 255, and ours stands behind a word
NOBODYS = Home(customer=CustomerId(""), supercomputer=SupercomputerId(""))


class Phase(StrEnum):
    """How far it is with what an announcement tells of."""

    OPENED = "opened"
    UPDATED = "updated"
    ACKNOWLEDGED = "acknowledged"  # somebody is at it: who is paged is paged no more
    CLOSED = "closed"


KINDS: Mapping[Phase, NoticeKind] = {
    Phase.OPENED: NoticeKind.INCIDENT_OPENED,
    Phase.UPDATED: NoticeKind.INCIDENT_UPDATED,
    Phase.ACKNOWLEDGED: NoticeKind.INCIDENT_ACKNOWLEDGED,
    Phase.CLOSED: NoticeKind.INCIDENT_CLOSED,
}
PHASES: Mapping[str, Phase] = {kind.value: phase for phase, kind in KINDS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """`key` names what it is about, the same in every phase: `window:win_1`. `subject` is one line, `text` what stands
    below it, ready to be read: no channel writes words of its own. `facts` are JSON-ready and say the same in numbers.

    Who hears: the customers of `clusters`, only those of `customers` if any are named; customers alone: all that is
    theirs; and `teams`, as teams. Nobody named: the operator's own subscriptions. All of them read the same words, so
    what one customer must not read of another is another announcement, under a key of its own.
    """

    key: str
    phase: Phase
    subject: str
    text: str
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    customers: frozenset[CustomerId] = frozenset()
    clusters: frozenset[ClusterId] = frozenset()
    teams: frozenset[TeamId] = frozenset()

    def __post_init__(self) -> None:
        """Raises ValueError for a key or a subject that a channel could not carry."""
        if not self.key or len(self.key) > KEY_LENGTH_MAX or not self.key.isprintable() or " " in self.key:
            raise ValueError(f"{self.key!r} is no key: up to {KEY_LENGTH_MAX} letters without spaces")
        if not self.subject or not self.subject.isprintable():
            raise ValueError(f"{self.subject!r} is no subject: one line that says something")

    @property
    def about(self) -> str:
        """The subject of its lines in the journal and of its notices."""
        return f"incident:{self.key}"

    @property
    def event(self) -> str:
        """What the journal calls it."""
        return KINDS[self.phase].value

    def to_data(self) -> dict[str, Any]:
        """JSON-ready, for the journal; `tell_announcement` reads it."""
        return {
            "subject": self.subject,
            "text": self.text,
            "facts": dict(self.facts),
            "customers": sorted(self.customers),
            "clusters": sorted(self.clusters),
            "teams": sorted(self.teams),
        }


def says_something(message: Announcement, last: Change | None) -> bool:
    """False when the last word under its key said the same, so that everybody stays in peace. What was closed is opened
    anew by `opened` alone: an update that comes late would page people for what is over.
    """
    if last is None:
        return True
    before = PHASES[last.event]
    if before is Phase.CLOSED and message.phase is not Phase.OPENED:
        return False
    if before is not Phase.CLOSED and message.phase in (Phase.OPENED, Phase.UPDATED):
        return any(last.data[key] != said for key, said in message.to_data().items() if key != "facts")
    return message.phase is not before


def tell_announcement(change: Change, homes: Mapping[ClusterId, Home]) -> tuple[Notice, ...]:
    """One notice to each customer and supercomputer concerned, and one to teams, or to the operator alone. Whoever
    hears several of them needs only the first.
    """
    data = change.data
    facts = {"key": change.name, "subject": data["subject"], "text": data["text"], **data["facts"]}
    kind = NoticeKind(change.event)
    told = [
        make_notice(change, kind, home.customer, home.supercomputer, {**facts, "clusters": clusters})
        for home, clusters in _concerned(data, homes).items()
    ]
    if data["teams"] or not told:
        told.append(make_notice(change, kind, *_of(NOBODYS), {**facts, "teams": list(data["teams"])}))
    return tuple(told)


def _of(home: Home) -> tuple[CustomerId, SupercomputerId]:
    return home.customer, home.supercomputer


def _concerned(data: Mapping[str, Any], homes: Mapping[ClusterId, Home]) -> dict[Home, list[str]]:
    """The clusters named, by where they belong."""
    found: dict[Home, list[str]] = {}
    for cluster in _clusters(data, homes):
        found.setdefault(homes[cluster], []).append(cluster)
    return dict(sorted(found.items(), key=lambda item: (item[0].supercomputer, item[0].customer)))


def _clusters(data: Mapping[str, Any], homes: Mapping[ClusterId, Home]) -> Iterator[ClusterId]:
    customers = frozenset(data["customers"])
    named: Iterable[str] = data["clusters"] or (sorted(homes) if customers else ())
    for name in named:
        cluster = ClusterId(name)
        if cluster in homes and (not customers or homes[cluster].customer in customers):
            yield cluster
