"""Maintenance requests that customers' clients put at the resource manager's door: each is one or more repairs, opened
like those of people, under the name that the client chose. One call is one transaction.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fermata.domain import arm
from fermata.domain.ids import NodeId, OrderId
from fermata.domain.maintenance_words import UpdateStatus, work_status
from fermata.domain.reasons import Reason
from fermata.domain.request_kinds import RequestKind, request_id
from fermata.domain.request_states import IllegalRequestMove, RequestEvent, RequestState, move
from fermata.domain.scheduled_events import Answer, EventStatus, OrderedWork
from fermata.domain.work_orders import Places as TargetPlaces
from fermata.domain.work_orders import Word, WorkOrder
from fermata.services.approvers import find_approver
from fermata.services.errors import Refusal, refuse_all, refusing_unknown
from fermata.services.event_approvals import Hearing
from fermata.services.maintenance import Picture
from fermata.services.order_words import WordOrder, decide_in
from fermata.services.places import Group, Places
from fermata.services.unhealthy import find_targets
from fermata.services.work_orders import Desk, NewOrder, cancel_in, open_desk, open_in
from fermata.store import maintenance_requests, work_orders
from fermata.store.database import Database
from fermata.store.maintenance_requests import KeptRequest, PutRequest

__all__ = ["KeptRequest", "NameTaken", "PutRequest", "RequestView", "delete_request", "find_operation", "put_request"]

IN_TURN = (
    UpdateStatus.IN_PROGRESS,
    UpdateStatus.RETRY_LATER,
    UpdateStatus.PENDING,
    UpdateStatus.COMPLETED,
    UpdateStatus.CANCELLED,
)  # of several orders, the first of these that one of them stands at says where the request stands


class NameTaken(Exception):
    """A request of that name is there and asks for something else; nothing was changed. `differs`: in what."""

    def __init__(self, differs: Sequence[str]) -> None:
        self.differs = tuple(differs)
        super().__init__(", ".join(differs))


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestView:
    """A request as it stands. `nodes`: those of its customer that it concerns; `asked`: how many of them lack a word;
    `repaired`: its resources that nothing is left to do on.
    """

    kept: KeptRequest
    status: UpdateStatus
    nodes: tuple[NodeId, ...]
    asked: int
    repaired: tuple[str, ...]

    @property
    def orders(self) -> tuple[OrderId, ...]:
        """The work orders that it became, each once."""
        return tuple(dict.fromkeys(name for names in self.kept.orders for name in names))


def put_request(hearing: Hearing, group: Group, asked: PutRequest, *, is_approved: bool) -> tuple[KeptRequest, bool]:
    """Opens a repair of each resource that is named and, if it `is_approved`, records the customer's word on all of
    them, by its first approver: all of it or nothing. The same again changes nothing. Returns what is on record, and
    whether it is new.

    Raises NameTaken, UnknownResources, or Refusal with every reason found.
    """
    path = path_of(group, asked.name)
    with refusing_unknown(), hearing.db.begin() as conn:
        known = maintenance_requests.find_at(conn, path)
        if known is not None:
            differs = _differences(known.asked, asked)
            if differs:
                raise NameTaken(differs)
            return known, False
        desk = open_desk(conn, hearing.now)
        places = Places(fleet=desk.inputs.fleet)
        targets = find_targets(places, group.customer, group.supercomputer, asked.resources)
        actor = _find_actor(desk, group)
        cause = f"{asked.description} (maintenance request {asked.name}: {asked.type}, {asked.category})"
        distinct = tuple(dict.fromkeys(target for found in targets for target in found))
        wanted = [NewOrder(kind=RequestKind.REPAIR, target=target, cause=cause) for target in distinct]
        opened = open_in(desk, wanted, actor=actor, new_id=hearing.new_id)
        orders = {target: each.order.id for target, each in zip(distinct, opened, strict=True)}
        if is_approved:
            yes = WordOrder(word=Word.APPROVED, orders=frozenset(orders.values()), actor=actor, reason=hearing.why)
            repairs = request_id(group.supercomputer, RequestKind.REPAIR)
            told = decide_in(desk, repairs, [yes], new_id=hearing.new_id)
            refuse_all(answer for answer in told if isinstance(answer, Reason))
        kept = KeptRequest(
            id=hearing.new_id("mr"),
            path=path,
            actor=actor,
            made_at=hearing.now,
            asked=asked,
            orders=tuple(tuple(orders[target] for target in found) for found in targets),
        )
        maintenance_requests.add_request(conn, kept)
    hearing.desk.look(again=True)
    return kept, True


def delete_request(hearing: Hearing, group: Group, name: str) -> KeptRequest | None:
    """Cancels what it asked for and is not over yet, and frees its name; None when there is none. Raises Refusal, and
    changes nothing, when any of it has begun.
    """
    picture = hearing.desk.look(again=True)
    with refusing_unknown(), hearing.db.begin() as conn:
        kept = maintenance_requests.find_at(conn, path_of(group, name))
        if kept is None:
            return None
        orders = work_orders.load_named(conn, {order for names in kept.orders for order in names})
        still = [order for _, order in sorted(orders.items()) if order.is_open]
        refuse_all(_say_begun(order) for order in still if _is_handed_over(picture, order))
        if still:
            desk = open_desk(conn, hearing.now)
            cancel_in(desk, [order.id for order in still], actor=_find_actor(desk, group), why=hearing.why)
        maintenance_requests.mark_deleted(conn, kept.id, hearing.now)
    hearing.desk.look(again=True)
    return kept


def list_requests(db: Database, picture: Picture, group: Group) -> tuple[RequestView, ...]:
    """Of one customer's part of a supercomputer, by name."""
    with db.read() as conn:
        found = maintenance_requests.load_requests(conn, path_of(group, ""))
        orders = work_orders.load_named(conn, {order for kept in found for names in kept.orders for order in names})
    return tuple(_view(picture, group, kept, orders) for kept in found)


def find_request(db: Database, picture: Picture, group: Group, name: str) -> RequestView | None:
    """The one of that name, in whatever case."""
    with db.read() as conn:
        kept = maintenance_requests.find_at(conn, path_of(group, name))
        if kept is None:
            return None
        orders = work_orders.load_named(conn, {order for names in kept.orders for order in names})
    return _view(picture, group, kept, orders)


def find_operation(db: Database, groups: Sequence[Group], name: str) -> KeptRequest | None:
    """The request of one of these groups that an operation made or deleted, by its own id."""
    with db.read() as conn:
        kept = maintenance_requests.find_ever(conn, name)
    is_theirs = kept is not None and any(kept.path.startswith(path_of(group, "")) for group in groups)
    return kept if is_theirs else None


def path_of(group: Group, name: str) -> str:
    """The id of a request there, in lower case."""
    whole = arm.supercomputer_id(group.id, group.supercomputer)
    return f"{whole}/maintenanceRequests/{name}".lower()


def _differences(known: PutRequest, asked: PutRequest) -> list[str]:
    """In what two bodies under one name differ: ids have no case and no order."""
    pairs = {
        "description": (known.description, asked.description),
        "maintenanceRequestType": (known.type, asked.type),
        "state": (known.state, asked.state),
        "impactCategory": (known.category, asked.category),
        "unhealthyResources": (_plain(known.resources), _plain(asked.resources)),
    }
    return [name for name, (one, other) in pairs.items() if one != other]


def _plain(resources: Sequence[str]) -> frozenset[str]:
    return frozenset(text.lower() for text in resources)


def _find_actor(desk: Desk, group: Group) -> str:
    """The customer's first approver, who speaks for it while there is no sign-in."""
    found = find_approver(desk.inputs.policy, [group.customer], None)
    if isinstance(found, Reason):
        raise Refusal(found)
    return found


def _say_begun(order: WorkOrder) -> Reason:
    try:
        move(order.id, RequestState.IN_PROGRESS, RequestEvent.CANCEL)
    except IllegalRequestMove as illegal:
        return illegal.reason
    raise AssertionError("what has begun is not cancelled")


def _is_handed_over(picture: Picture, order: WorkOrder) -> bool:
    """True when a window has a node out for it: it is under way there, though it begins when all of them are."""
    return any(work.status is EventStatus.STARTED for _, work in _works(picture, order))


def _works(picture: Picture, order: WorkOrder) -> Iterator[tuple[NodeId, OrderedWork]]:
    for node in TargetPlaces(picture.fleet).nodes_of(order):
        for work in picture.outlook(node.name).ordered:
            if work.order == order.id:
                yield node.name, work


def _view(picture: Picture, group: Group, kept: KeptRequest, orders: Mapping[OrderId, WorkOrder]) -> RequestView:
    own = {cluster.name for cluster in group.clusters}
    nodes: dict[NodeId, None] = {}
    asked: set[NodeId] = set()
    stands: dict[OrderId, UpdateStatus] = {}
    for order in orders.values():
        works = tuple(_works(picture, order)) if order.is_open else ()
        lacking = {
            node for node, work in works if work.status is EventStatus.SCHEDULED and work.answer is not Answer.GIVEN
        }
        stands[order.id] = _stand(order, works, is_asked=bool(lacking) or not works)
        asked |= lacking
        nodes |= dict.fromkeys(_list_nodes(picture, order))
    mine = {name for name in nodes if picture.fleet.nodes[name].cluster in own}
    return RequestView(
        kept=kept,
        status=next((status for status in IN_TURN if status in stands.values()), UpdateStatus.CANCELLED),
        nodes=tuple(sorted(mine)),
        asked=len(asked & mine),
        repaired=tuple(
            text
            for text, names in zip(kept.asked.resources, kept.orders, strict=True)
            if all(stands.get(name) is UpdateStatus.COMPLETED for name in names)
        ),
    )


def _list_nodes(picture: Picture, order: WorkOrder) -> Iterator[NodeId]:
    """What it was begun with, or is about, as far as the fleet has it."""
    if order.held:
        return (name for name in order.held if name in picture.fleet.nodes)
    return (node.name for node in TargetPlaces(picture.fleet).nodes_of(order))


def _stand(order: WorkOrder, works: Sequence[tuple[NodeId, OrderedWork]], *, is_asked: bool) -> UpdateStatus:
    if order.ended is not None:
        is_done = order.ended.how is RequestState.COMPLETED
        return UpdateStatus.COMPLETED if is_done else UpdateStatus.CANCELLED
    return work_status((work.status for _, work in works), has_pending=True, is_asked=is_asked)
