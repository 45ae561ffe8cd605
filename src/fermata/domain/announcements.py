"""Announcements: one message of facts to all who have to hear it, kept together by a stable key from first to last."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from fermata.domain.ids import ClusterId, CustomerId, SupercomputerId, TeamId
from fermata.domain.notices import OF_INCIDENTS, Audience, Change, Home, Notice, NoticeKind, make_notice
from fermata.domain.run_states import NOT_OPENED_YET

KEY_LENGTH_MAX = 200  # incident APIs take 255, and ours stands behind a word
NOBODY = CustomerId("")  # whom the operator's own subscriptions hear for


UNIT_KEY = "unit:"  # keys of what is told of a unit begin with it, and with the unit's name
BACK_EVENTS = frozenset({"node.returned", "node.kept_out", "node.gone", "unit.resumed", "unit.proven"})


class Phase(StrEnum):
    """How far it is with what an announcement tells of."""

    OPENED = "opened"
    UPDATED = "updated"
    ACKNOWLEDGED = "acknowledged"  # somebody is at it: who is paged is paged no more
    CLOSED = "closed"


class Topic(StrEnum):
    """What kind of thing an announcement is about: subscriptions choose by it."""

    INCIDENT = "incident"  # what customers, teams or the operator read
    SCHEDULE = "schedule"  # a window of a published plan, on status pages; once it is due, its key is an incident's
    REPAIR = "repair"  # a unit that somebody has to repair
    ASTRAY = "astray"  # a node that is out of the conductor's hands


KINDS: Mapping[tuple[Topic, Phase], NoticeKind] = {
    (Topic.INCIDENT, Phase.OPENED): NoticeKind.INCIDENT_OPENED,
    (Topic.INCIDENT, Phase.UPDATED): NoticeKind.INCIDENT_UPDATED,
    (Topic.INCIDENT, Phase.ACKNOWLEDGED): NoticeKind.INCIDENT_ACKNOWLEDGED,
    (Topic.INCIDENT, Phase.CLOSED): NoticeKind.INCIDENT_CLOSED,
    (Topic.SCHEDULE, Phase.OPENED): NoticeKind.MAINTENANCE_SCHEDULED,
    (Topic.SCHEDULE, Phase.UPDATED): NoticeKind.MAINTENANCE_MOVED,
    (Topic.SCHEDULE, Phase.CLOSED): NoticeKind.MAINTENANCE_WITHDRAWN,
    (Topic.REPAIR, Phase.OPENED): NoticeKind.UNIT_NEEDS_REPAIR,
    (Topic.REPAIR, Phase.CLOSED): NoticeKind.UNIT_BACK,
    (Topic.ASTRAY, Phase.OPENED): NoticeKind.UNIT_ASTRAY,
    (Topic.ASTRAY, Phase.CLOSED): NoticeKind.UNIT_BACK,
}
PHASES: Mapping[str, Phase] = {kind.value: phase for (_topic, phase), kind in KINDS.items()}
SEVERITIES = ("critical", "error", "warning", "info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """`key` names what it is about, the same in every phase: `window:win_1`. `subject` is one line, `text` what stands
    below it, ready to be read: no channel writes words of its own. `facts` are JSON-ready and say the same in numbers;
    channels know four of them: `severity`, one of SEVERITIES, `start` and `end` (ISO 8601) of a maintenance, and the
    `state` of its window.

    Who hears: the customers of `clusters`, only those of `customers` if any are named; customers alone: all that is
    theirs; and `teams`, as teams. Nobody named: the operator's own subscriptions, as with `to_operator`, which then
    name the supercomputers of the clusters or none. All of them read the same words, so what one customer must not read
    of another is another announcement, under a key of its own.
    """

    key: str
    phase: Phase
    subject: str
    text: str
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    customers: frozenset[CustomerId] = frozenset()
    clusters: frozenset[ClusterId] = frozenset()
    teams: frozenset[TeamId] = frozenset()
    topic: Topic = Topic.INCIDENT
    to_operator: bool = False
    audience: Audience = Audience.ALL

    def __post_init__(self) -> None:
        """Raises ValueError for a key or a subject that a channel could not carry."""
        if not self.key or len(self.key) > KEY_LENGTH_MAX or not self.key.isprintable() or " " in self.key:
            raise ValueError(f"{self.key!r} is no key: up to {KEY_LENGTH_MAX} letters without spaces")
        if not self.subject or not self.subject.isprintable():
            raise ValueError(f"{self.subject!r} is no subject: one line that says something")
        if (self.topic, self.phase) not in KINDS:
            raise ValueError(f"{self.topic} is no topic that is ever {self.phase}")

    @property
    def about(self) -> str:
        """The subject of its lines in the journal and of its notices."""
        return subject_of(self.key)

    @property
    def event(self) -> str:
        """What the journal calls it."""
        return KINDS[self.topic, self.phase].value

    def to_data(self) -> dict[str, Any]:
        """JSON-ready, for the journal; `tell_announcement` reads it."""
        return {
            "subject": self.subject,
            "text": self.text,
            "facts": dict(self.facts),
            "customers": sorted(self.customers),
            "clusters": sorted(self.clusters),
            "teams": sorted(self.teams),
            "to_operator": self.to_operator,
            "audience": self.audience.value,
        }


def subject_of(key: str) -> str:
    """What the lines and notices of a key are about."""
    return f"incident:{key}"


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
        return any(last.data.get(key) != said for key, said in message.to_data().items() if key != "facts")
    return message.phase is not before


def tell_announcement(change: Change, homes: Mapping[ClusterId, Home]) -> tuple[Notice, ...]:
    """One notice to each customer and supercomputer concerned, and one to teams, or to the operator alone. Whoever
    hears several of them needs only the first.
    """
    data = change.data
    facts = {**data["facts"], "key": change.name, "subject": data["subject"], "text": data["text"]}
    facts["audience"] = data.get("audience", Audience.ALL.value)  # older lines say none
    kind = NoticeKind(change.event)
    concerned = _concerned(data, homes)
    told = [
        make_notice(change, kind, home.customer, home.supercomputer, {**facts, "clusters": clusters})
        for home, clusters in concerned.items()
    ]
    if data["teams"] or not told:
        told.append(make_notice(change, kind, NOBODY, SupercomputerId(""), {**facts, "teams": list(data["teams"])}))
    return tuple(told)


def is_back(change: Change) -> bool:
    """True when what was told of a unit is over. A node that is proven is on its way yet; a device is not."""
    return change.event in BACK_EVENTS and (change.event != "unit.proven" or change.subject.startswith("device:"))


def tell_back(change: Change, opened: Notice) -> Notice:
    """What was told of a unit is over: to the same, in the same line."""
    facts = dict(opened.facts)
    told = f"{', '.join(facts.get('clusters', ())) or opened.supercomputer}: {facts['unit']} needs nobody any more"
    facts |= {"subject": told, "text": change.why}
    over = replace(change, subject=opened.subject)
    return make_notice(over, NoticeKind.UNIT_BACK, opened.customer, opened.supercomputer, facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What an incident API or a status page has to know of a notice. `number` grows with every word under the `key`.
    `is_ahead`: the maintenance has not begun, whatever the clock says.
    """

    key: str
    number: int
    phase: Phase
    subject: str
    text: str
    at: datetime
    severity: str
    start: datetime | None
    end: datetime | None
    is_ahead: bool
    source: str
    clusters: tuple[str, ...]


def incident_of(notice: Notice) -> Incident | None:
    """None of a notice that is no announcement."""
    if notice.kind not in OF_INCIDENTS:
        return None
    facts = notice.facts
    severity, start, state = facts.get("severity"), _instant(facts.get("start")), facts.get("state")
    return Incident(
        key=facts["key"],
        number=notice.seq,
        phase=PHASES[notice.kind.value],
        subject=facts["subject"],
        text=facts["text"],
        at=notice.at,
        severity=severity if severity in SEVERITIES else "warning",
        start=start,
        end=_instant(facts.get("end")),
        is_ahead=state in NOT_OPENED_YET if state else start is not None and notice.at < start,
        source=notice.supercomputer or "fermata",
        clusters=tuple(facts.get("clusters", ())),
    )


def _instant(text: object) -> datetime | None:
    """None for what is no time with a zone."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo is not None else None


def _concerned(data: Mapping[str, Any], homes: Mapping[ClusterId, Home]) -> dict[Home, list[str]]:
    """The clusters named, by where they belong."""
    found: dict[Home, list[str]] = {}
    for cluster in _clusters(data, homes):
        home = homes[cluster]
        to = Home(customer=NOBODY, supercomputer=home.supercomputer) if data["to_operator"] else home
        found.setdefault(to, []).append(cluster)
    return dict(sorted(found.items(), key=lambda item: (item[0].supercomputer, item[0].customer)))


def _clusters(data: Mapping[str, Any], homes: Mapping[ClusterId, Home]) -> Iterator[ClusterId]:
    customers = frozenset(data["customers"])
    named: Iterable[str] = data["clusters"] or (sorted(homes) if customers else ())
    for name in named:
        cluster = ClusterId(name)
        if cluster in homes and (not customers or homes[cluster].customer in customers):
            yield cluster
