"""Approvals that arrive as acknowledged events: the same word in the same ledger as every other approval."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.ids import NodeId
from fermata.domain.policy import Scope, ScopeLevel, Verdict
from fermata.domain.reasons import Code, Reason
from fermata.domain.scheduled_events import EventStatus, ScheduledEvent
from fermata.services import consent
from fermata.services.errors import Refusal
from fermata.services.maintenance import MaintenanceDesk, Picture
from fermata.store.database import Database

NewId = Callable[[str], str]
TRIES = 3  # a request that changes under our hands is looked at again so often


class UnknownEvents(Exception):
    """There are no such events where they were looked for; nothing was approved. `ids` in the order given."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = tuple(ids)
        super().__init__(", ".join(self.ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """Where a word is heard, when, and `why` it was said: which door, and in answer to what."""

    db: Database
    desk: MaintenanceDesk
    now: datetime
    new_id: NewId
    why: str


def start_node_events(hearing: Hearing, node: NodeId, ids: Collection[str]) -> None:
    """Approves the work behind events of one node, for a client inside it: all or, with an unknown id, nothing. What
    the node's customer took back, or a policy keeps off, is unknown to it. Raises UnknownEvents or Refusal.
    """

    def choose(picture: Picture) -> list[ScheduledEvent]:
        is_held = picture.outlook(node).is_held
        found = [picture.events.get(name.lower()) for name in ids]
        known = {
            event.id: event
            for event in found
            if event is not None and event.node == node and not (is_held and event.status is EventStatus.SCHEDULED)
        }
        unknown = [name for name in ids if name.lower() not in known]
        if unknown:
            raise UnknownEvents(unknown)
        return list(known.values())

    _approve(hearing, choose)


def acknowledge_events(
    hearing: Hearing, ids: Collection[str], among: Callable[[Picture], Collection[NodeId]]
) -> Mapping[str, bool]:
    """Approves the work behind those events that are of a node `among` the picture's; says of each id whether it is
    one. Raises Refusal.
    """
    found: dict[str, bool] = {}

    def choose(picture: Picture) -> list[ScheduledEvent]:
        nodes = frozenset(among(picture))
        events = {name: picture.events.get(name.lower()) for name in ids}
        chosen = {name: event for name, event in events.items() if event is not None and event.node in nodes}
        found.update({name: name in chosen for name in ids})
        return list(chosen.values())

    _approve(hearing, choose)
    return found


def approve_scope(hearing: Hearing, scope: Scope) -> None:
    """Approves all that is asked on a scope now. Raises Refusal."""
    consent.approve(hearing.db, scope, now=hearing.now, actor=None, new_id=hearing.new_id, why=hearing.why)
    hearing.desk.look(again=True)


def withdraw_scope(hearing: Hearing, scope: Scope) -> None:
    """Takes the approval of a scope back, as long as no work has started there. Raises Refusal."""
    consent.withdraw(hearing.db, scope, now=hearing.now, actor=None, new_id=hearing.new_id, why=hearing.why)
    hearing.desk.look(again=True)


def _approve(hearing: Hearing, choose: Callable[[Picture], list[ScheduledEvent]]) -> None:
    """One word for each node. What was chosen is judged against the incarnation it was read from: an event that was
    looked at covers nothing that came later.
    """
    for left in reversed(range(TRIES)):
        picture = hearing.desk.look(again=True)
        orders = [_order(picture, event, hearing.why) for event in _one_per_node(choose(picture))]
        if not orders:
            return
        try:
            consent.decide(hearing.db, orders, now=hearing.now, new_id=hearing.new_id)
        except Refusal as refusal:
            if not left or any(each.code is not Code.REQUEST_CHANGED for each in refusal.reasons):
                raise
            continue
        hearing.desk.look(again=True)
        return


def _one_per_node(events: Iterable[ScheduledEvent]) -> Iterable[ScheduledEvent]:
    """What has started needs no word any more."""
    return {event.node: event for event in events if event.status is EventStatus.SCHEDULED}.values()


def _order(picture: Picture, event: ScheduledEvent, why: str) -> consent.Order:
    question = picture.outlook(event.node).question
    return consent.Order(
        scope=Scope(level=ScopeLevel.NODE, name=event.node),
        verdict=Verdict.APPROVED,
        reason=why,
        seen=question.incarnation if question else None,
    )


def sentences(reasons: Iterable[Reason]) -> str:
    """What a client is told of a refusal."""
    return " ".join(reason.sentence for reason in reasons)
