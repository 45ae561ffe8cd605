"""What the conductor tells of units, as announcements in the outbox: the port Outbox over a store."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from fermata.domain.announcements import UNIT_KEY, Announcement, Phase, Topic
from fermata.domain.deliveries import OPEN, DeliveryState
from fermata.domain.ids import ClusterId, StepKey
from fermata.domain.notices import NoticeKind
from fermata.domain.subscriptions import Subscription, SubscriptionState
from fermata.ports import Clock, Notice, OutboxLook, OutcomeUnknown, Posted, Reached
from fermata.ports import NoticeKind as Told
from fermata.store.announcing import announce_all_in, clusters_of, find_deliveries
from fermata.store.database import Connection, Database, StoreUnavailable
from fermata.store.outbox import Delivery
from fermata.store.subscriptions import load_subscriptions

ACTOR = "conductor"
WORDS = {
    Told.NEEDS_REPAIR: (Topic.REPAIR, "needs repair"),
    Told.ASTRAY: (Topic.ASTRAY, "is out of our hands"),
}
OF_UNITS = frozenset({NoticeKind.UNIT_NEEDS_REPAIR, NoticeKind.UNIT_ASTRAY})


@dataclass(frozen=True, slots=True)
class StoreOutbox:
    """See the port."""

    database: Database
    clock: Clock

    def post(self, notices: Sequence[Notice]) -> Mapping[StepKey, Posted]:
        """See the port. The second transaction reads what the first one committed. Raises OutcomeUnknown."""
        try:
            with self.database.begin() as conn:
                there = find_deliveries(conn, map(_about, notices))
                fresh = [notice for notice in notices if _about(notice) not in there]
                homes = clusters_of(conn, {notice.subject for notice in fresh})
                told = [_announcement(notice, homes.get(notice.subject)) for notice in fresh]
                announce_all_in(conn, told, now=self.clock.now(), actor=ACTOR)
            with self.database.read() as conn:
                return _read_back(conn, notices)
        except StoreUnavailable as lost:
            raise OutcomeUnknown(str(lost)) from lost

    def look(self) -> OutboxLook:
        """See the port. Raises OutcomeUnknown."""
        try:
            with self.database.read() as conn:
                hear = [each for each in load_subscriptions(conn).values() if _hears_of_units(each)]
        except StoreUnavailable as lost:
            raise OutcomeUnknown(str(lost)) from lost
        silent = tuple(each.id for each in hear if each.state is not SubscriptionState.OPEN)
        return OutboxLook(subscriptions=tuple(each.id for each in hear), silent=silent)


def _hears_of_units(each: Subscription) -> bool:
    """The operator's own, of units."""
    is_own = not each.customers and not each.teams
    return is_own and each.hears_kind(NoticeKind.UNIT_NEEDS_REPAIR)


def _announcement(notice: Notice, cluster: ClusterId | None) -> Announcement:
    topic, words = WORDS[notice.kind]
    return Announcement(
        key=_key(notice),
        phase=Phase.OPENED,
        topic=topic,
        to_operator=True,
        subject=f"{cluster}: {notice.subject} {words}" if cluster else f"{notice.subject} {words}",
        text=notice.sentence,
        facts={"unit": notice.subject, "step": notice.key},
        clusters=frozenset({cluster} if cluster else ()),
    )


def _key(notice: Notice) -> str:
    """Of a unit and a step: another step of the same unit is told anew."""
    return f"{UNIT_KEY}{notice.subject}:{sha256(notice.key.encode()).hexdigest()[:16]}"


def _about(notice: Notice) -> str:
    return f"incident:{_key(notice)}"


def _read_back(conn: Connection, notices: Sequence[Notice]) -> dict[StepKey, Posted]:
    about = {notice.key: _about(notice) for notice in notices}
    found = find_deliveries(conn, about.values())
    lost = about.values() - found.keys()
    assert not lost, f"{sorted(lost)} is not in the outbox, though it was committed"
    return {key: _judge(found[subject]) for key, subject in about.items()}


def _judge(deliveries: Iterable[Delivery]) -> Posted:
    states = {each.state for each in deliveries}
    if DeliveryState.DELIVERED in states:
        return Posted(reached=Reached.SOMEBODY)
    if states & OPEN:
        return Posted(reached=Reached.NOBODY_YET)
    if not states:
        return Posted(reached=Reached.UNHEARD)
    why = "; ".join(sorted({each.why for each in deliveries if each.why})) or "its subscription was removed"
    return Posted(reached=Reached.NOBODY, why=why)
